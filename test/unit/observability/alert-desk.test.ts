import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Alert, Condition } from '../../../src/core/alert.ts';
import { days, minutes } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import { AlertDesk, type AlertSink } from '../../../src/observability/alert-desk.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

let folder: string;
let clock: FakeClock;
let log: MemoryLog;
let sent: Alert[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-alerts-'));
  clock = new FakeClock();
  log = new MemoryLog();
  sent = [];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const file = () => join(folder, 'var', 'alerts.json');

/** Sees what is on disk at the moment an alert arrives. */
class Sink implements AlertSink {
  isClosed = false;
  readonly onDisk: string[] = [];

  take(alert: Alert): void {
    sent.push(alert);
    this.onDisk.push(readFileSync(file(), 'utf8'));
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

function open(sink: AlertSink = new Sink(), accounts = ['billing', 'sales']): Promise<AlertDesk> {
  return AlertDesk.open({ file: file(), accounts, sinks: [sink], clock, log });
}

/** A desk that does something, and ends. */
async function session(act: (desk: AlertDesk) => void, accounts?: string[]): Promise<string[]> {
  const before = sent.length;
  const desk = await open(undefined, accounts);
  act(desk);
  await desk.close();
  return sent.slice(before).map(({ account, event }) => `${account} ${event}`);
}

const trouble = (account = 'billing', changes: Partial<Condition> = {}): Condition => ({
  account,
  topic: 'tokens',
  event: 'reauth_required',
  problem: problem('TOKEN_REAUTH_REQUIRED', 'AADSTS50173'),
  ...changes,
});

describe('the desk', () => {
  it('tells sinks and log once, whoever asks how often', async () => {
    const told = await session((desk) => {
      for (let count = 0; count < 50; count += 1) desk.raise(trouble());
      for (let count = 0; count < 50; count += 1) desk.clear('billing', 'tokens');
    });
    expect(told).toEqual(['billing reauth_required', 'billing recovered']);
    expect(log.of('alert')).toMatchObject([
      { level: 'warn', account: 'billing', alert: 'reauth_required', topic: 'tokens', problem: { code: 'TOKEN_REAUTH_REQUIRED' } },
      { level: 'warn', account: 'billing', alert: 'recovered', message: expect.stringContaining('reauth_required') as string },
    ]);
  });

  it('keeps accounts and topics apart', async () => {
    const told = await session((desk) => {
      desk.raise(trouble('billing'));
      desk.raise(trouble('sales'));
      desk.raise(trouble('billing', { topic: 'upstream', event: 'account_blocked', problem: problem('UPSTREAM_BLOCKED') }));
      desk.clear('sales', 'tokens');
      desk.clear('sales', 'upstream');
    });
    expect(told).toEqual(['billing reauth_required', 'sales reauth_required', 'billing account_blocked', 'sales recovered']);
  });

  it('writes before it tells, for its owner only', async () => {
    const sink = new Sink();
    const desk = await open(sink);
    desk.raise(trouble());
    await desk.close();
    expect(JSON.parse(sink.onDisk[0] ?? '')).toMatchObject({
      version: 1,
      entries: [{ account: 'billing', told: { event: 'reauth_required' } }],
    });
    expect(statSync(file()).mode & 0o077).toBe(0);
    expect(sink.isClosed).toBe(true);
  });

  it('writes nothing while all is well', async () => {
    await session((desk) => {
      for (let count = 0; count < 50; count += 1) desk.clear('billing', 'upstream');
    });
    expect(() => statSync(file())).toThrow('ENOENT');
  });
});

describe('after a restart', () => {
  it('nothing is told again', async () => {
    await session((desk) => desk.raise(trouble()));
    await clock.advance(minutes(5));
    expect(await session((desk) => desk.raise(trouble()))).toEqual([]);
    expect(await session((desk) => desk.raise(trouble('billing', { problem: problem('TOKEN_MISSING') })))).toEqual([
      'billing reauth_required',
    ]);
  });

  it('a recovery is told, and once', async () => {
    await session((desk) => desk.raise(trouble()));
    await clock.advance(minutes(5));
    expect(await session((desk) => desk.clear('billing', 'tokens'))).toEqual(['billing recovered']);
    expect(await session((desk) => desk.clear('billing', 'tokens'))).toEqual([]);
  });

  it('a token that was stored before the trouble is no recovery', async () => {
    const earlier = clock.now();
    await clock.advance(minutes(30));
    await session((desk) => desk.raise(trouble()));
    await clock.advance(minutes(1));
    expect(await session((desk) => desk.clear('billing', 'tokens', earlier))).toEqual([]);
    expect(await session((desk) => desk.clear('billing', 'tokens', clock.now()))).toEqual(['billing recovered']);
  });

  it('the reminder comes when it is due', async () => {
    await session((desk) => desk.raise(trouble()));
    await clock.advance(days(1));
    await session((desk) => desk.raise(trouble()));
    expect(sent.at(-1)).toMatchObject({ event: 'reauth_required', isReminder: true });
  });

  it('accounts that are no longer configured are forgotten', async () => {
    await session((desk) => desk.raise(trouble('sales')));
    await session((desk) => desk.raise(trouble('billing')), ['billing']);
    expect(readFileSync(file(), 'utf8')).not.toContain('sales');
  });
});

describe('a ledger that is', () => {
  const good = { account: 'billing', topic: 'tokens', toldAt: Date.UTC(2026, 10, 23), recent: [Date.UTC(2026, 10, 23)] };
  const told = { event: 'reauth_required', code: 'TOKEN_REAUTH_REQUIRED', since: 1 };

  it.each([
    ['empty', ''],
    ['cut off', '{"version":1,"entr'],
    ['not ours', '[1,2,3]'],
    ['of another version', JSON.stringify({ version: 2, entries: [] })],
    ['huge', ' '.repeat(5 * 1024 * 1024)],
  ])('%s counts as an empty one, and is replaced', async (_name, content) => {
    mkdirSync(dirname(file()), { recursive: true });
    writeFileSync(file(), content);
    expect(await session((desk) => desk.raise(trouble()))).toEqual(['billing reauth_required']);
    expect(log.of('alert-record-failed')).toMatchObject([{ level: 'warn', problem: { code: 'ALERT_RECORD_FAILED' } }]);
    expect(await session((desk) => desk.raise(trouble()))).toEqual([]);
  });

  it.each([
    ['an unknown event', { ...good, told: { ...told, event: 'explosion' } }],
    ['recovery as trouble', { ...good, told: { ...told, event: 'recovered' } }],
    ['an unknown code', { ...good, told: { ...told, code: 'toString' } }],
    ['an unknown topic', { ...good, told, topic: '__proto__' }],
    ['a moment that is none', { ...good, told, toldAt: null }],
    ['moments that are none', { ...good, told, recent: ['x'] }],
    ['no entry at all', null],
  ])('holding %s is read without that entry', async (_name, entry) => {
    mkdirSync(dirname(file()), { recursive: true });
    writeFileSync(file(), JSON.stringify({ version: 1, entries: [entry, { ...good, account: 'sales', told }] }));
    expect(await session((desk) => [desk.raise(trouble('billing')), desk.raise(trouble('sales'))])).toEqual(['billing reauth_required']);
    expect(log.of('alert-record-failed')).toEqual([]);
  });

  it('not writable does not keep alerts back, and is told once', async () => {
    writeFileSync(join(folder, 'var'), 'a file in place of the directory');
    const alerts: Alert[] = [];
    const desk = await open({ take: (alert) => void alerts.push(alert), close: async () => undefined });
    log.lines.length = 0;
    desk.raise(trouble('billing'));
    desk.raise(trouble('sales'));
    await desk.close();
    expect(alerts).toHaveLength(2);
    expect(log.of('alert-record-failed')).toHaveLength(1);
  });
});

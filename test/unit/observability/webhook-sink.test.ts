import { describe, expect, it } from 'vitest';
import { ALERT_EVENTS, type Alert } from '../../../src/core/alert.ts';
import { days, type EpochMs, hours, minutes, seconds } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import type { Handover } from '../../../src/observability/webhook.ts';
import { type AlertReceiver, MOST_WAITING, WebhookSink, type WebhookSinkOptions } from '../../../src/observability/webhook-sink.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

/** A webhook in the hands of the test. */
class Receiver implements AlertReceiver {
  readonly host = 'hooks.example.test';
  readonly posts: { readonly account: string; readonly id: string; readonly at: number; readonly body: string }[] = [];
  isDown = false;
  isClosed = false;
  /** Set: posts wait until it is called. */
  release: (() => void) | undefined;
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  async post(body: string, id: string): Promise<Handover> {
    const { account } = JSON.parse(body) as { account: string };
    this.posts.push({ account, id, at: this.#clock.monotonic(), body });
    if (this.release !== undefined) {
      await new Promise<void>((resolve) => {
        this.release = resolve;
      });
    }
    return this.isDown || this.isClosed ? { kind: 'untaken', cause: `${this.host} answered HTTP 500, not 2xx` } : { kind: 'taken' };
  }

  async close(): Promise<void> {
    this.isClosed = true;
    this.release?.();
  }

  get accounts(): string[] {
    return this.posts.map(({ account }) => account);
  }
}

function stage(options: Partial<WebhookSinkOptions> = {}) {
  const clock = new FakeClock();
  const log = new MemoryLog();
  const scrubber = new Scrubber();
  const webhook = new Receiver(clock);
  let count = 0;
  const random = { fraction: () => 0, octets: (length: number) => new Uint8Array(length).fill((count += 1)) };
  const origin = { host: 'relay-1', version: '1.2.3' };
  const sink = new WebhookSink({ webhook, events: ALERT_EVENTS, origin, scrubber, clock, random, log, ...options });
  return { clock, log, scrubber, webhook, sink };
}

function alert(account: string, changes: { cause?: string } = {}): Alert {
  return {
    event: 'reauth_required',
    account,
    topic: 'tokens',
    at: Date.UTC(2026, 10, 23) as EpochMs,
    problem: problem('TOKEN_REAUTH_REQUIRED', changes.cause),
    isReminder: false,
  };
}

const recovery: Alert = {
  event: 'recovered',
  account: 'billing',
  topic: 'tokens',
  at: Date.UTC(2026, 10, 23) as EpochMs,
  was: { event: 'reauth_required', code: 'TOKEN_REAUTH_REQUIRED', since: Date.UTC(2026, 10, 22) as EpochMs },
};

/** Nothing but promise callbacks. */
const turn = (clock: FakeClock) => clock.advance(seconds(0));

describe('alerts go to the webhook', () => {
  it('in order, one at a time', async () => {
    const { clock, sink, webhook } = stage();
    webhook.release = () => undefined;
    for (const name of ['a', 'b', 'c']) sink.take(alert(name));
    await turn(clock);
    expect(webhook.accounts).toEqual(['a']);
    webhook.release();
    await turn(clock);
    expect(webhook.accounts).toEqual(['a', 'b']);
    webhook.release();
    webhook.release = undefined;
    await turn(clock);
    expect(webhook.accounts).toEqual(['a', 'b', 'c']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('but only those of its events', async () => {
    const { clock, sink, webhook } = stage({ events: ['recovered'] });
    sink.take(alert('a'));
    sink.take(recovery);
    await turn(clock);
    expect(webhook.accounts).toEqual(['billing']);
  });

  it('without what must not be shown, should a cause hold it', async () => {
    const { clock, sink, webhook, scrubber } = stage();
    scrubber.add('canary-refresh-token-0123456789');
    sink.take(alert('a', { cause: 'AADSTS: canary-refresh-token-0123456789 is revoked' }));
    await turn(clock);
    expect(webhook.posts[0]?.body).not.toContain('canary');
    expect(JSON.parse(webhook.posts[0]?.body ?? '')).toMatchObject({ problem: { cause: 'AADSTS: [secret] is revoked' } });
  });
});

describe('an alert that is not taken', () => {
  it('is offered five times in an hour, with the same id, and given up', async () => {
    const { clock, sink, webhook, log } = stage();
    webhook.isDown = true;
    sink.take(alert('a'));
    const begun = clock.monotonic();
    await clock.advance(days(1));
    expect(webhook.posts.map(({ at }) => at - begun)).toEqual([0, minutes(1), minutes(6), minutes(21), minutes(61)]);
    expect(new Set(webhook.posts.map(({ id }) => id)).size).toBe(1);
    expect(log.of('alert-not-delivered').filter(({ level }) => level === 'warn')).toHaveLength(1);
    expect(log.of('alert-lost')).toHaveLength(1);
    expect(log.of('alert-lost')[0]).toMatchObject({ level: 'warn', account: 'a', alert: 'reauth_required', attempt: 5 });
  });

  it('is taken later, and those behind it then follow at once and in order', async () => {
    const { clock, sink, webhook, log } = stage();
    webhook.isDown = true;
    sink.take(alert('a'));
    await turn(clock);
    for (const name of ['b', 'c']) sink.take(alert(name));
    await clock.advance(seconds(59));
    expect(webhook.accounts).toEqual(['a']);
    webhook.isDown = false;
    await clock.advance(seconds(1));
    expect(webhook.accounts).toEqual(['a', 'a', 'b', 'c']);
    expect(log.of('alert-lost')).toEqual([]);
  });

  it('does not make the others hammer a webhook that is down', async () => {
    const { clock, sink, webhook, log } = stage();
    webhook.isDown = true;
    for (let count = 0; count < 20; count += 1) {
      sink.take(alert(`a${count}`));
      await clock.advance(minutes(1));
    }
    await clock.advance(hours(100));
    expect(webhook.posts.length).toBeLessThan(30);
    expect(log.of('alert-lost')).toHaveLength(20);
    expect(log.of('alert-not-delivered').filter(({ level }) => level === 'warn')).toHaveLength(1);
  });
});

it(`no more than ${MOST_WAITING} wait: the oldest goes, with a line`, async () => {
  const { clock, sink, webhook, log } = stage();
  webhook.release = () => undefined;
  for (let count = 0; count < MOST_WAITING + 5; count += 1) sink.take(alert(`a${count}`));
  expect(log.of('alert-lost').map(({ account }) => account)).toEqual(['a1', 'a2', 'a3', 'a4', 'a5']);
  const release = webhook.release;
  webhook.release = undefined;
  release();
  await turn(clock);
  expect(webhook.accounts).toHaveLength(MOST_WAITING);
  expect(webhook.accounts.slice(0, 2)).toEqual(['a0', 'a6']);
});

describe('at the end', () => {
  it('what is on its way arrives, and what waits behind it', async () => {
    const { sink, webhook, log } = stage();
    for (const name of ['a', 'b', 'c']) sink.take(alert(name));
    await sink.close();
    expect(webhook.accounts).toEqual(['a', 'b', 'c']);
    expect(webhook.isClosed).toBe(true);
    expect(log.of('alert-lost')).toEqual([]);
    sink.take(alert('late'));
    expect(webhook.accounts).not.toContain('late');
  });

  it('what hangs is cut after 2 s, and each alert that is lost is told', async () => {
    const { clock, sink, webhook, log } = stage();
    webhook.release = () => undefined;
    for (const name of ['a', 'b']) sink.take(alert(name));
    const closed = sink.close();
    await clock.advance(seconds(2));
    await closed;
    expect(log.of('alert-lost').map(({ account }) => account)).toEqual(['a', 'b']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('what waits for a webhook that is down is not waited for', async () => {
    const { clock, sink, webhook, log } = stage();
    webhook.isDown = true;
    sink.take(alert('a'));
    await turn(clock);
    await sink.close();
    expect(log.of('alert-lost')).toHaveLength(1);
    expect(clock.pendingTimers).toBe(0);
  });
});

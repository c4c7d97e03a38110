import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import type { FetchRule } from '../../../src/core/fetch-rule.ts';
import type { CursorStore } from '../../../src/core/ports/cursor-store.ts';
import type { MessageSink } from '../../../src/core/ports/message-sink.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { FetchRules } from '../../../src/fetch/fetch-rules.ts';
import { FileCursorStore } from '../../../src/fetch/file-cursor-store.ts';
import type { OpenSource } from '../../../src/fetch/mailbox-source.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fetchRule } from '../../support/fetch-rule.ts';
import { MemoryCursorStore } from '../../support/memory-cursor-store.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const rule = (name: string, changes: Partial<FetchRule> = {}): FetchRule =>
  fetchRule({ name, sink: { kind: 'maildir', path: `/mail/${name}` }, tries: 1, ...changes });

/** One message in each mailbox, which the sink refuses. */
function lab(store: CursorStore = new MemoryCursorStore()) {
  const clock = new FakeClock();
  const opened: string[] = [];
  const closed: string[] = [];
  const alerts: string[] = [];
  const log = new MemoryLog();
  const source: OpenSource = {
    upstream: 'imap.test:993',
    uidValidity: 1n,
    uidNext: 2,
    canIdle: true,
    search: async (from) => (from <= 1 ? [1] : []),
    describe: async (uid) => ({ uid, size: 1, flags: [], print: '0' }),
    async *content() {
      yield Buffer.from('x');
    },
    change: async () => {},
    waitForNews: (_limit, signal) => new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    close: () => {},
  };
  const rules = new FetchRules({
    source: {
      open: async ({ name }) => {
        opened.push(name);
        return source;
      },
    },
    store,
    openSink: (settings): MessageSink => ({
      description: 'path' in settings ? settings.path : settings.kind,
      deliver: async () => ({ kind: 'refused', problem: problem('FETCH_SINK_FAILED') }),
      close: async () => void closed.push('path' in settings ? settings.path : ''),
    }),
    alerts: {
      raise: ({ topic, problem: { cause } }) => void alerts.push(`${topic}: ${cause}`),
      clear: (account, topic) => void alerts.push(`${topic}: ${account} is well`),
    },
    clock,
    random: { fraction: () => 0, octets: (count) => new Uint8Array(count) },
    log,
    hostname: 'relay.test',
  });
  const update = async (...wanted: readonly FetchRule[]): Promise<void> => {
    await rules.update(wanted);
    await clock.advance(milliseconds(0));
  };
  return { rules, update, opened, closed, alerts, log };
}

describe('a changed configuration', () => {
  it('starts and stops the rules that it is about, and leaves the others alone', async () => {
    const { rules, update, opened, closed } = lab();
    await update(rule('a'), rule('b'), rule('c'));
    expect(opened).toEqual(['a', 'b', 'c']);
    await update(rule('a'), rule('b', { mailbox: 'Archive' }), rule('d'));
    expect(opened).toEqual(['a', 'b', 'c', 'b', 'd']);
    expect(closed).toEqual(['/mail/b', '/mail/c']);
    expect(rules.list().map(({ name, mailbox }) => [name, mailbox])).toEqual([
      ['a', 'INBOX'],
      ['b', 'Archive'],
      ['d', 'INBOX'],
    ]);
    await rules.stop();
    expect(closed.length).toBe(5);
    await update(rule('e'));
    expect(opened).toHaveLength(5);
  });
});

describe('messages set aside', () => {
  it('are one alert for the account, whichever rules they belong to; it is over with the last of them', async () => {
    const { update, alerts } = lab();
    await update(rule('a'), rule('b'));
    expect(alerts.at(-1)).toMatch(/^fetch: account billing: 2 messages set aside/);
    await update(rule('b'));
    expect(alerts.at(-1)).toMatch(/^fetch: account billing: 1 messages set aside/);
    await update();
    expect(alerts.at(-1)).toBe('fetch: billing is well');
  });
});

describe('rules that are paused at once', () => {
  it('are all paused, and stay so', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-paused-'));
    const { rules, update } = lab(new FileCursorStore(folder));
    const names = ['a', 'b', 'c', 'd'];
    await update(...names.map((name) => rule(name)));
    await Promise.all(names.map((name) => rules.setPaused(name, true)));
    expect([...(await new FileCursorStore(folder).paused())].toSorted()).toEqual(names);
    await rules.stop();
    rmSync(folder, { recursive: true });
  });
});

describe('a rule that nobody knows', () => {
  it('cannot be handled', async () => {
    const unknown = expect.objectContaining({ problem: expect.objectContaining({ code: 'FETCH_RULE_UNKNOWN' }) });
    const { rules } = lab();
    await expect(rules.run('x', false)).rejects.toEqual(unknown);
    await expect(rules.reset('x')).rejects.toEqual(unknown);
    await expect(rules.setPaused('x', true)).rejects.toEqual(unknown);
  });
});

describe('what cannot be read of which rules are paused', () => {
  it('starts none, says so, and does not throw: the rest of the relay goes on', async () => {
    const store = new MemoryCursorStore();
    store.paused = async () => {
      throw new ProblemError(problem('FETCH_CURSOR_FAILED', 'reading paused.json: EIO'));
    };
    const { update, opened, log } = lab(store);
    await update(rule('a'));
    expect(opened).toEqual([]);
    expect(log.of('fetch-failed')).toMatchObject([{ level: 'error', problem: { code: 'FETCH_CURSOR_FAILED' } }]);
  });
});

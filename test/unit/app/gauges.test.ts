/** What the metrics say about the present, where that takes no whole relay. */
import { describe, expect, it } from 'vitest';
import { gaugeConfiguration, gaugeMailboxes } from '../../../src/app/gauges.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import type { Gauges } from '../../../src/core/ports/metrics.ts';
import { problem } from '../../../src/core/problem.ts';
import { testAccount } from '../../support/accounts.ts';

const listener = (protocol: 'smtp' | 'imap' | 'pop3') => ({ name: protocol, protocol, tls: 'off' as const, isOpen: true, sessionCount: 9 });
const accounts = [testAccount({ name: 'billing' }), testAccount({ name: 'sales' })];
const counts: Readonly<Record<string, number>> = { 'billing imap': 3, 'billing pop3': 1 };
const mailboxes = { sessionCount: (account: string, protocol: string) => counts[`${account} ${protocol}`] ?? 0 };

function read(protocols: readonly ('smtp' | 'imap' | 'pop3')[]): unknown[] {
  const read: unknown[] = [];
  const gauges: Gauges = { set: (name, labels, value) => void read.push([name, labels, value]) };
  gaugeMailboxes({ accounts, listeners: protocols.map(listener), mailboxes }, gauges);
  return read;
}

describe('postern_mailbox_sessions', () => {
  it('has each account under each protocol that is listened for', () => {
    expect(read(['smtp', 'imap', 'imap'])).toEqual([
      ['postern_mailbox_sessions', { account: 'billing', protocol: 'imap' }, 3],
      ['postern_mailbox_sessions', { account: 'sales', protocol: 'imap' }, 0],
    ]);
    expect(read(['pop3'])).toContainEqual(['postern_mailbox_sessions', { account: 'billing', protocol: 'pop3' }, 1]);
  });

  it('is absent where no application can read mail', () => {
    expect(read(['smtp'])).toEqual([]);
  });
});

describe('postern_config_in_use', () => {
  it.each([
    [undefined, 1],
    [problem('CONFIG_REJECTED', 'accounts: must not be empty'), 0],
  ])('is %j: %d', (what, expected) => {
    const read: unknown[] = [];
    const status = {
      source: '/etc/postern.yaml',
      loadedAt: 1_500 as EpochMs,
      reloads: 1,
      ...(what === undefined ? {} : { problem: what }),
    };
    gaugeConfiguration({ configuration: () => status }, { set: (name, _labels, value) => void read.push([name, value]) });
    expect(read).toEqual([
      ['postern_config_in_use', expected],
      ['postern_config_loaded_timestamp_seconds', 1.5],
    ]);
  });
});

/** What the metrics say about the present, where that takes no whole relay. */
import { describe, expect, it } from 'vitest';
import { gaugeMailboxes } from '../../../src/app/gauges.ts';
import type { Gauges } from '../../../src/core/ports/metrics.ts';
import { testAccount } from '../../support/accounts.ts';

const listener = (protocol: 'smtp' | 'imap' | 'pop3') => ({ name: protocol, protocol, isOpen: true, sessionCount: 9 });
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

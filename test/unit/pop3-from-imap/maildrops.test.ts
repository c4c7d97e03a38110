/** From where POP3 is served, and for how long that is remembered. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Account, Pop3Mode } from '../../../src/core/account.ts';
import { hours, minutes } from '../../../src/core/clock.ts';
import { MailboxError, type MailboxRequest, type OpenMailbox } from '../../../src/core/ports/mailbox.ts';
import { problem } from '../../../src/core/problem.ts';
import { Maildrops } from '../../../src/pop3-from-imap/maildrops.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { ScriptedImap } from './stage.ts';

const EMPTY = '* 0 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n%TAG% OK [READ-WRITE] done\r\n';

let clock: FakeClock;
let asked: string[];
let refusal: MailboxError | undefined;

const refusedAs = (row: string): MailboxError => new MailboxError(problem('UPSTREAM_MAILBOX_CLOSED', row), { row });

beforeEach(() => {
  clock = new FakeClock();
  asked = [];
  refusal = undefined;
});

function drops(pop3: Pop3Mode | undefined, hasPop3 = true): Maildrops {
  const imap = new ScriptedImap(() => EMPTY);
  const endpoint = { host: 'x.test', port: 995, tls: 'implicit' };
  const account = {
    name: 'billing',
    provider: hasPop3 ? { pop3: endpoint } : {},
    ...(pop3 === undefined ? {} : { pop3 }),
  } as unknown as Account;
  const open = async ({ protocol }: MailboxRequest): Promise<OpenMailbox> => {
    asked.push(protocol);
    if (protocol === 'pop3' && refusal !== undefined) throw refusal;
    return { ...(await imap.open()), protocol, user: 'billing@x.test' };
  };
  return new Maildrops({ mailboxes: { open }, accounts: [account], clock, log: new MemoryLog() });
}

const pop3 = (from: Maildrops) => from.open({ protocol: 'pop3', account: 'billing' });

describe('POP3', () => {
  it.each<[Pop3Mode | undefined, boolean, string[]]>([
    ['proxy', true, ['pop3']],
    ['imap', true, ['imap']],
    ['auto', true, ['pop3']],
    ['auto', false, ['imap']],
    [undefined, true, ['pop3']],
  ])('mode %s, provider with POP3 %s: asks for %o', async (mode, hasPop3, protocols) => {
    const { protocol } = await pop3(drops(mode, hasPop3));
    expect([protocol, asked]).toEqual(['pop3', protocols]);
  });

  it.each(['protocol-off', 'sign-in-not-understood', 'command-not-understood'])('refused as %s: IMAP serves, for an hour', async (row) => {
    const from = drops('auto');
    refusal = refusedAs(row);
    await pop3(from);
    await clock.advance(minutes(59));
    await pop3(from);
    expect(asked).toEqual(['pop3', 'imap', 'imap']);
    await clock.advance(hours(1));
    refusal = undefined;
    await pop3(from);
    expect(asked.slice(3)).toEqual(['pop3']);
  });

  it.each(['throttled', 'token-expired', 'in-use', 'not-connected', 'sign-in-refused'])(
    'refused as %s: the application hears it',
    async (row) => {
      refusal = refusedAs(row);
      await expect(pop3(drops('auto'))).rejects.toBe(refusal);
      expect(asked).toEqual(['pop3']);
    },
  );

  it('refused in mode proxy is refused', async () => {
    refusal = refusedAs('protocol-off');
    await expect(pop3(drops('proxy'))).rejects.toBe(refusal);
  });

  it('is tried again after a change of the configuration', async () => {
    const from = drops('auto');
    refusal = refusedAs('protocol-off');
    await pop3(from);
    from.update([{ name: 'billing', provider: { pop3: {} } } as unknown as Account]);
    refusal = undefined;
    await pop3(from);
    expect(asked).toEqual(['pop3', 'imap', 'pop3']);
  });

  it('leaves IMAP alone', async () => {
    const from = drops('imap');
    expect((await from.open({ protocol: 'imap', account: 'billing' })).protocol).toBe('imap');
  });
});

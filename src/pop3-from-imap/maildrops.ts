/**
 * POP3 for accounts whose provider has none, or does not let it be used: such a session is served from IMAP.
 *
 * Whoever opens a mailbox gets the same in each case, a connection in TRANSACTION state; here its other end is in this process. So deadlines, the end of the
 * application and of Postern are dealt with where they are for every session.
 *
 * `auto` tries the provider's POP3 first. Where that is refused for a reason that has nothing to do with the token or the load (switched off, unknown to the
 * server, or the token too long for it), IMAP serves, and the answer is remembered for an hour.
 *
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import type { Account, AccountName } from '../core/account.ts';
import { between, days, hours, type MonotonicMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError, type MailboxRequest, type MailboxUpstream, type OpenMailbox } from '../core/ports/mailbox.ts';
import { ProblemError } from '../core/problem.ts';
import { duplexPair } from '../platform/duplex-pair.ts';
import { Maildrop } from './maildrop.ts';
import { servePop3Transaction } from './transaction.ts';

/** What it needs. */
export interface MaildropsDependencies {
  /** The sessions themselves. */
  readonly mailboxes: MailboxUpstream;
  readonly accounts: readonly Account[];
  readonly clock: Clock;
  readonly log: Log;
}

const REMEMBER_FOR = hours(1);
/** Whoever has the connection watches for silence. */
const NEVER_IDLE = days(1);
/** Rows of policy/mailbox-answers.ts that say that POP3 is not to be had, whatever the token. */
const NO_POP3: ReadonlySet<string> = new Set(['protocol-off', 'sign-in-not-understood', 'command-not-understood']);

export class Maildrops implements MailboxUpstream {
  readonly #deps: MaildropsDependencies;
  #accounts: ReadonlyMap<AccountName, Account> = new Map();
  /** Accounts whose provider has refused POP3, and when. */
  readonly #refused = new Map<AccountName, MonotonicMs>();

  constructor(deps: MaildropsDependencies) {
    this.#deps = deps;
    this.update(deps.accounts);
  }

  /** Take over a changed configuration: what was refused may be allowed now. */
  update(accounts: readonly Account[]): void {
    this.#accounts = new Map(accounts.map((account) => [account.name, account]));
    this.#refused.clear();
  }

  async open(request: MailboxRequest): Promise<OpenMailbox> {
    const { mailboxes } = this.#deps;
    const account = this.#accounts.get(request.account);
    if (request.protocol !== 'pop3' || account === undefined) return mailboxes.open(request);
    const { pop3: mode = 'auto', provider } = account;
    if (mode === 'proxy') return mailboxes.open(request);
    if (mode === 'imap' || provider.pop3 === undefined || this.#isRefused(account.name)) return this.#openFromImap(request);
    try {
      return await mailboxes.open(request);
    } catch (error) {
      if (!(error instanceof MailboxError) || error.row === undefined || !NO_POP3.has(error.row)) throw error;
      return this.#fallBack(request, error);
    }
  }

  /** POP3 counts as refused only once IMAP has let somebody in: else the fault may be the mailbox's. */
  async #fallBack(request: MailboxRequest, error: MailboxError): Promise<OpenMailbox> {
    const { clock, log } = this.#deps;
    const mailbox = await this.#openFromImap(request);
    this.#refused.set(request.account, clock.monotonic());
    const fields = { event: 'pop3-from-imap', account: request.account, problem: error.problem };
    log.info(fields, 'the provider does not let POP3 be used: it is served from IMAP');
    return mailbox;
  }

  #isRefused(account: AccountName): boolean {
    const since = this.#refused.get(account);
    return since !== undefined && between(since, this.#deps.clock.monotonic()) < REMEMBER_FOR;
  }

  async #openFromImap(request: MailboxRequest): Promise<OpenMailbox> {
    const { mailboxes, clock } = this.#deps;
    const first = await mailboxes.open({ ...request, protocol: 'imap' });
    let opened: OpenMailbox | undefined = first;
    const open = (): Promise<OpenMailbox> => {
      const mailbox = opened;
      opened = undefined;
      // Later ones are opened because the first was lost, for as long as somebody reads.
      return mailbox === undefined ? mailboxes.open({ protocol: 'imap', account: request.account }) : Promise.resolve(mailbox);
    };
    try {
      const maildrop = await Maildrop.open({ open, clock });
      return this.#serve(first, maildrop, request.account);
    } catch (error) {
      first.close();
      if (error instanceof MailboxError || !(error instanceof ProblemError)) throw error;
      throw new MailboxError(error.problem, { cause: error });
    }
  }

  #serve({ upstream, user, tokenExpiresAt }: OpenMailbox, maildrop: Maildrop, account: AccountName): OpenMailbox {
    const [ours, theirs] = duplexPair();
    // A side that is destroyed with an error says so in its end; nobody else is to hear of it.
    for (const side of [ours, theirs]) side.on('error', () => undefined);
    void this.#follow(ours, maildrop, account);
    return {
      protocol: 'pop3',
      upstream,
      user,
      socket: theirs.pause(),
      rest: Buffer.alloc(0),
      capabilities: [],
      ...(tokenExpiresAt === undefined ? {} : { tokenExpiresAt }),
      close: () => void theirs.destroy(),
    };
  }

  /** Never rejects. */
  async #follow(app: Duplex, maildrop: Maildrop, account: AccountName): Promise<void> {
    const { clock, log } = this.#deps;
    try {
      const report = await servePop3Transaction({ app, ahead: Buffer.alloc(0), maildrop, clock, idleTimeout: NEVER_IDLE });
      const { end, removed, problem } = report;
      const fields = { event: 'maildrop-closed', account, ...(problem === undefined ? {} : { problem }) };
      log.debug(fields, `a maildrop was closed (${end}), ${removed} messages deleted`);
      if (end === 'broken') app.destroy();
      else app.end();
    } catch (error) {
      log.error({ event: 'defect', account, error }, 'a session of POP3 from IMAP has broken');
      app.destroy();
    }
  }
}

/**
 * POP3 for accounts whose provider has none, or does not let it be used: such a session is served from IMAP.
 *
 * Whoever opens a mailbox gets the same in each case, a connection in TRANSACTION state; here its other end is in this process. So deadlines, the end of the
 * application and of Postern are dealt with where they are for every session.
 *
 * `auto` tries the provider's POP3 first. Where that is refused for a reason that has nothing to do with the token's life or the load (switched off, unknown to the
 * server, without XOAUTH2, or the token too long for it), IMAP serves. That is remembered over restarts ({@link ./way-memory.ts}): messages have other
 * unique-ids at the provider's POP3, so an application whose mailbox went to and fro would take all of it for new each time.
 *
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { type Account, type AccountName, usesTokens } from '../core/account.ts';
import { days } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError, type MailboxRequest, type MailboxUpstream, type OpenMailbox } from '../core/ports/mailbox.ts';
import type { TokenSource } from '../core/ports/token-source.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { duplexPair } from '../platform/duplex-pair.ts';
import { isPop3Refused, LONGEST_POP3_TOKEN } from '../policy/pop3-service.ts';
import { Maildrop } from './maildrop.ts';
import { servePop3Transaction } from './transaction.ts';
import type { Way, WayMemory } from './way-memory.ts';

/** What it needs. */
export interface MaildropsDependencies {
  /** The sessions themselves. */
  readonly mailboxes: MailboxUpstream;
  readonly accounts: readonly Account[];
  readonly tokens: TokenSource;
  readonly memory: WayMemory;
  readonly clock: Clock;
  readonly log: Log;
}

/** Whoever has the connection watches for silence. */
const NEVER_IDLE = days(1);

/** What speaks against POP3, and the server's refusal if there was one. */
interface Obstacle {
  readonly why: Problem;
  readonly refusal?: MailboxError;
}

export class Maildrops implements MailboxUpstream {
  readonly #deps: MaildropsDependencies;
  #accounts: ReadonlyMap<AccountName, Account> = new Map();
  /** Maildrops that somebody reads: RFC 1939 §4 lets in one session at a time, whose numbers and deletions no other one disturbs. */
  readonly #locked = new Set<AccountName>();

  constructor(deps: MaildropsDependencies) {
    this.#deps = deps;
    this.update(deps.accounts);
  }

  /** Take over a changed configuration. Sessions that are open go on. */
  update(accounts: readonly Account[]): void {
    this.#accounts = new Map(accounts.map((account) => [account.name, account]));
  }

  async open(request: MailboxRequest): Promise<OpenMailbox> {
    const { mailboxes } = this.#deps;
    const account = this.#accounts.get(request.account);
    if (request.protocol !== 'pop3' || account === undefined) return mailboxes.open(request);
    const { pop3: mode = 'auto', provider } = account;
    if (mode === 'auto' && provider.pop3 !== undefined) return this.#openEither(account, request);
    // Whoever sets it back to auto begins anew.
    await this.#deps.memory.note(account, undefined);
    return mode === 'proxy' ? mailboxes.open(request) : this.#openFromImap(request);
  }

  async #openEither(account: Account, request: MailboxRequest): Promise<OpenMailbox> {
    const { mailboxes, memory } = this.#deps;
    const known = await memory.wayOf(account);
    if (known === 'imap') return this.#openFromImap(request);
    // Where POP3 has worked, the server itself has to say no.
    const why = known === undefined ? await this.#tooLong(account) : undefined;
    if (why !== undefined) return this.#changeOver(account, request, known, { why });
    try {
      const mailbox = await mailboxes.open(request);
      await memory.note(account, 'pop3');
      return mailbox;
    } catch (error) {
      if (!(error instanceof MailboxError) || !isPop3Refused(error.problem, error.row)) throw error;
      return this.#changeOver(account, request, known, { why: error.problem, refusal: error });
    }
  }

  /** A token that Exchange would not take. @throws MailboxError where there is no token. */
  async #tooLong({ name, auth, provider: { imap } }: Account): Promise<Problem | undefined> {
    if (imap === undefined || !usesTokens(auth)) return undefined;
    const { value } = await toldAsMailbox(() => this.#deps.tokens.accessToken(name));
    if (value.length <= LONGEST_POP3_TOKEN) return undefined;
    const cause = `the access token has ${value.length} characters; Exchange takes at most ${LONGEST_POP3_TOKEN} over POP3`;
    return problem('UPSTREAM_PROTOCOL', cause, {
      remedy: 'Nothing: IMAP takes it. pop3: proxy of the account would try POP3 all the same.',
    });
  }

  /** POP3 counts as refused only once IMAP has let somebody in: else the fault may be the mailbox's, and then what POP3 said is told. */
  async #changeOver(account: Account, request: MailboxRequest, known: Way | undefined, { why, refusal }: Obstacle): Promise<OpenMailbox> {
    const { memory, log } = this.#deps;
    let mailbox: OpenMailbox;
    try {
      mailbox = await this.#openFromImap(request);
    } catch (error) {
      if (refusal !== undefined && error instanceof MailboxError && error.problem.heals !== 'by-itself') throw refusal;
      throw error;
    }
    await memory.note(account, 'imap');
    const fields = { event: 'pop3-from-imap', account: account.name, problem: why };
    if (known === undefined) log.info(fields, 'the provider does not let POP3 be used: it is served from IMAP');
    else
      log.warn(fields, 'the provider no longer lets POP3 be used: it is served from IMAP, where applications take every message for new');
    return mailbox;
  }

  /** The lock goes with the session, however that ends. @throws MailboxError `UPSTREAM_MAILBOX_IN_USE` where another session has it. */
  async #openFromImap(request: MailboxRequest): Promise<OpenMailbox> {
    const { account } = request;
    if (this.#locked.has(account)) {
      const remedy = 'Nothing: it passes once the other session is over.';
      const cause = `another session reads the maildrop of account ${account}; POP3 lets in one at a time`;
      throw new MailboxError(problem('UPSTREAM_MAILBOX_IN_USE', cause, { remedy }));
    }
    this.#locked.add(account);
    try {
      return await this.#openLocked(request);
    } catch (error) {
      this.#locked.delete(account);
      throw error;
    }
  }

  async #openLocked(request: MailboxRequest): Promise<OpenMailbox> {
    const { mailboxes, clock } = this.#deps;
    const { signal } = request;
    const first = await mailboxes.open({ ...request, protocol: 'imap' });
    const callOff = (): void => first.close();
    let opened: OpenMailbox | undefined = first;
    const open = (): Promise<OpenMailbox> => {
      const mailbox = opened;
      opened = undefined;
      // Later ones are opened because the first was lost, for as long as somebody reads.
      return mailbox === undefined ? mailboxes.open({ protocol: 'imap', account: request.account }) : Promise.resolve(mailbox);
    };
    signal?.addEventListener('abort', callOff);
    if (signal?.aborted === true) callOff();
    try {
      const maildrop = await toldAsMailbox(() => Maildrop.open({ open, clock }));
      return this.#serve(first, maildrop, request.account);
    } catch (error) {
      first.close();
      throw error;
    } finally {
      signal?.removeEventListener('abort', callOff);
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
    const unlock = oneTime(() => this.#locked.delete(account));
    try {
      const ahead = Buffer.alloc(0);
      const report = await servePop3Transaction({ app, ahead, maildrop, clock, idleTimeout: NEVER_IDLE, onUpdated: unlock });
      const { end, removed, problem: what } = report;
      const text = `a maildrop was closed (${end}), ${removed} messages deleted`;
      if (what === undefined) log.debug({ event: 'maildrop-closed', account }, text);
      else log.warn({ event: 'maildrop-closed', account, problem: what }, `${text}: ${what.cause}`);
      if (end === 'broken') app.destroy();
      else app.end();
    } catch (error) {
      log.error({ event: 'defect', account, error }, 'a session of POP3 from IMAP has broken');
      app.destroy();
    } finally {
      unlock();
    }
  }
}

/** What was unlocked once may be locked by another session when this one comes to its end. */
function oneTime(action: () => void): () => void {
  let isDone = false;
  return () => {
    if (!isDone) action();
    isDone = true;
  };
}

/** @throws MailboxError with the problem of a ProblemError. */
async function toldAsMailbox<Value>(attempt: () => Promise<Value>): Promise<Value> {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof ProblemError) || error instanceof MailboxError) throw error;
    throw new MailboxError(error.problem, { cause: error });
  }
}

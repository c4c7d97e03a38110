/**
 * The port to the mailboxes of all accounts: as many sessions of each as its provider allows, and none while a server has asked for patience.
 *
 * A server that throttles says for how long. Until then nothing is opened for that account: each further sign-in would only make the wait longer, and the
 * application hears at once what it would hear anyway. Sessions that are open go on.
 *
 * Accounts are told apart by name. Sessions that are open go on with the settings with which they were opened.
 *
 * @packageDocumentation
 */
import { setMaxListeners } from 'node:events';
import { isDeepStrictEqual } from 'node:util';
import type { Account, AccountName } from '../core/account.ts';
import { between, type DurationMs, milliseconds, type MonotonicMs, plus, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError, type MailboxProtocol, type MailboxRequest, type MailboxUpstream, type OpenMailbox } from '../core/ports/mailbox.ts';
import type { TokenSource } from '../core/ports/token-source.ts';
import { type Problem, problem } from '../core/problem.ts';
import { type Dial, dial } from '../platform/dial.ts';
import { LinkedAbort } from '../platform/linked-abort.ts';
import { PasswordGuard } from '../policy/password-guard.ts';
import { SessionCount } from '../policy/session-count.ts';
import { type Leave, type NoPlace, SessionPlaces } from './session-places.ts';
import { type SignInDependencies, signInToMailbox } from './sign-in.ts';

/** What the mailboxes need. */
export interface MailboxDependencies {
  readonly accounts: readonly Account[];
  readonly tokens: TokenSource;
  readonly clock: Clock;
  readonly log: Log;
  readonly dial?: Dial;
}

/** For everything together but the wait for a place: most readers give up after a minute. */
const OPEN_DEADLINE = seconds(45);
const PATIENCE = seconds(10);

interface AccountMailbox {
  readonly account: Account;
  readonly places: SessionPlaces;
  /** The server has asked to be left alone. */
  pause?: { readonly until: MonotonicMs; readonly error: MailboxError } | undefined;
}

export class Mailboxes implements MailboxUpstream {
  #accounts: ReadonlyMap<AccountName, AccountMailbox> = new Map();
  readonly #deps: SignInDependencies;
  readonly #stopping = new AbortController();
  /** Signed in, by account. Places are more: one is held from before the connection. */
  readonly #open: Readonly<Record<MailboxProtocol, SessionCount>> = { imap: new SessionCount(), pop3: new SessionCount() };

  constructor({ accounts, tokens, clock, log, dial: open = dial }: MailboxDependencies) {
    this.#deps = { tokens, clock, log, dial: open, passwords: new PasswordGuard(clock) };
    this.update(accounts);
    setMaxListeners(0, this.#stopping.signal); // One for each sign-in in progress; Node would warn of a leak at eleven.
  }

  /** Sessions of the account that have signed in and are not over. */
  sessionCount(account: AccountName, protocol: MailboxProtocol): number {
    return this.#open[protocol].of(account);
  }

  /** Take over a changed configuration. */
  update(accounts: readonly Account[]): void {
    this.#accounts = new Map(accounts.map((account) => [account.name, this.#mailboxOf(account)]));
  }

  /** Another limit counts from now on, and only new sessions. */
  #mailboxOf(account: Account): AccountMailbox {
    const known = this.#accounts.get(account.name);
    const { mailboxSessions: places } = account.provider.limits;
    if (known?.account.provider.limits.mailboxSessions === places) {
      const isSame = isDeepStrictEqual(known.account, account);
      return { account, places: known.places, ...(isSame ? { pause: known.pause } : {}) };
    }
    return { account, places: new SessionPlaces(this.#deps.clock, { places, waiters: places, patience: PATIENCE }) };
  }

  async open({ protocol, account: name, signal }: MailboxRequest): Promise<OpenMailbox> {
    const mailbox = this.#accounts.get(name);
    if (mailbox === undefined) throw new Error(`there is no account ${name}`);
    this.#throwIfPaused(mailbox);
    const ending = new LinkedAbort([signal, this.#stopping.signal]);
    try {
      return await this.#openOnce(mailbox, protocol, ending);
    } finally {
      ending.release();
    }
  }

  async #openOnce(mailbox: AccountMailbox, protocol: MailboxProtocol, ending: LinkedAbort): Promise<OpenMailbox> {
    const { name } = mailbox.account;
    const leave = await mailbox.places.take(ending.signal);
    if (typeof leave === 'string') throw new MailboxError(noPlace(mailbox, leave));
    try {
      this.#throwIfPaused(mailbox); // Things may have changed during the wait.
      const session = await this.#signIn(mailbox, protocol, ending);
      const uncount = this.#open[protocol].enter(name, undefined);
      return openMailbox(protocol, session, () => {
        uncount?.();
        leave();
      });
    } catch (error) {
      leave();
      if (error instanceof MailboxError) this.#notePause(mailbox, error);
      throw error;
    }
  }

  /** Nothing is opened any more. Sessions that are open belong to those who have them. */
  close(): void {
    this.#stopping.abort();
  }

  async #signIn({ account }: AccountMailbox, protocol: MailboxRequest['protocol'], ending: LinkedAbort) {
    let isLate = false;
    const timer = this.#deps.clock.startTimer(OPEN_DEADLINE, () => {
      isLate = true;
      ending.abort(undefined);
    });
    try {
      return await signInToMailbox(account, protocol, this.#deps, ending.signal);
    } catch (error) {
      if (!isLate) throw error;
      const cause = `account ${account.name}: signing in with ${protocol.toUpperCase()} took more than ${OPEN_DEADLINE / 1000} s`;
      throw new MailboxError(problem('UPSTREAM_TIMEOUT', cause), { cause: error });
    } finally {
      timer.cancel();
    }
  }

  #notePause(mailbox: AccountMailbox, error: MailboxError): void {
    if (error.row !== 'throttled' || error.retryAfter === undefined) return;
    mailbox.pause = { until: plus(this.#deps.clock.monotonic(), error.retryAfter), error };
  }

  #throwIfPaused(mailbox: AccountMailbox): void {
    const { pause } = mailbox;
    if (pause === undefined) return;
    const left = between(this.#deps.clock.monotonic(), pause.until);
    if (left <= 0) {
      mailbox.pause = undefined;
      return;
    }
    throw stillPaused(pause.error, milliseconds(left));
  }
}

function stillPaused({ problem: said, row }: MailboxError, retryAfter: DurationMs): MailboxError {
  const cause = `The server is left alone for another ${Math.ceil(retryAfter / 1000)} s, as it asked: ${said.cause}`;
  return new MailboxError({ ...said, cause }, { ...(row === undefined ? {} : { row }), retryAfter });
}

function noPlace({ account, places }: AccountMailbox, why: NoPlace): Problem {
  if (why === 'called-off') return problem('UPSTREAM_LOST', `account ${account.name}: opening the mailbox was called off`);
  const reason = why === 'queue-full' ? 'as many others wait already' : `none came free within ${PATIENCE / 1000} s`;
  return problem('UPSTREAM_MAILBOX_IN_USE', `account ${account.name} has ${places.held} sessions open, its limit, and ${reason}`);
}

/** The place is held until the connection is gone, whoever ends it. */
function openMailbox(
  protocol: MailboxRequest['protocol'],
  session: Awaited<ReturnType<typeof signInToMailbox>>,
  leave: Leave,
): OpenMailbox {
  const { socket, ...facts } = session;
  if (socket.destroyed) leave();
  socket.once('close', leave);
  return { ...facts, protocol, socket, close: () => void socket.destroy() };
}

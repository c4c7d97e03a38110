/**
 * The AUTH exchanges of one signing in, and the connections they need.
 *
 * A server that is draining says 421 to AUTH, which means nothing about the credentials: it is left for another one, once, since the host name
 * stands for many.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { LogLevel } from '../core/ports/log.ts';
import { UpstreamError } from '../core/ports/upstream.ts';
import { problem } from '../core/problem.ts';
import { describeReply } from '../core/reply.ts';
import { SaslStringError } from '../sasl/bearer.ts';
import type { AuthOutcome, Credentials } from './authenticate.ts';
import { signInRefused } from './failures.ts';
import { openSession, type SessionOptions, type SmtpSession } from './smtp-session.ts';

/** What opening sessions needs. */
export type ConnectDependencies = Omit<SessionOptions, 'endpoint' | 'ca' | 'account'>;

export type Refusal = Extract<AuthOutcome, { kind: 'refused' }>;

/** What to show to a session. @throws UpstreamError where the session offers no way to show it. */
export type Present = (session: SmtpSession) => Credentials;

/** Owns the connection until the account has signed in. */
export class AuthAttempts {
  readonly #account: Account;
  readonly #deps: ConnectDependencies;
  #session: SmtpSession | undefined;

  constructor(account: Account, deps: ConnectDependencies) {
    this.#account = account;
    this.#deps = deps;
  }

  /** The session that has signed in. @throws UpstreamError where it ended meanwhile. */
  get signedIn(): SmtpSession {
    const session = this.#session;
    if (session?.isReady !== true) throw session?.failure('auth') ?? new Error('signed in without a session');
    return session;
  }

  /** Once, or where the server is draining once more on another connection. @returns Undefined where it was accepted. */
  async unlessDraining(present: Present): Promise<Refusal | undefined> {
    const refusal = await this.#once(present);
    if (refusal?.reply.code !== 421) return refusal;
    this.log('debug', 'server is draining, trying another connection', refusal);
    return this.#once(present);
  }

  /** With other credentials: on this connection if it lives, and on a new one if it does not, or dies over it, or takes no second AUTH. */
  async again(present: Present): Promise<Refusal | undefined> {
    if (this.#session?.isOpen !== true) return this.unlessDraining(present);
    try {
      const refusal = await this.#once(present);
      // RFC 4954 §4 lets a client try again after a refusal; a server that does not say so with 503 or 421.
      if (refusal === undefined || (refusal.reply.code !== 503 && refusal.reply.code !== 421)) return refusal;
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.problem.code !== 'UPSTREAM_LOST') throw error;
    }
    this.cut();
    return this.#once(present);
  }

  /** For after a failure: a connection that has not signed in is of no use to anyone. */
  cut(): void {
    this.#session?.cut();
  }

  log(level: LogLevel, message: string, { reply }: Refusal): void {
    const { name, smtpUser: user } = this.#account;
    const fields = { event: 'upstream-auth-refused', account: name, user, stage: 'auth' } as const;
    this.#deps.log[level]({ ...fields, reply: describeReply(reply) }, message);
  }

  async #once(present: Present): Promise<Refusal | undefined> {
    const session = this.#session?.isOpen === true ? this.#session : await this.#connect();
    try {
      const outcome = await session.authenticate(present(session));
      return outcome.kind === 'refused' ? outcome : undefined;
    } catch (error) {
      throw error instanceof SaslStringError ? unusable(error, this.#account.name) : error;
    }
  }

  async #connect(): Promise<SmtpSession> {
    const { provider, name } = this.#account;
    this.#session = await openSession({ ...this.#deps, endpoint: provider.smtp, ca: provider.ca, account: name });
    return this.#session;
  }
}

/** Something in the credentials must not be sent; the error does not show it. */
function unusable(error: SaslStringError, account: string): UpstreamError {
  const what =
    error.part === 'token'
      ? problem('TOKEN_ENDPOINT_NONSENSE', `${error.message}; it was not sent`)
      : problem('CONFIG_INVALID', `account ${account}: ${error.message}`, { remedy: REMEDIES[error.part] });
  return signInRefused(what, error);
}

const REMEDIES = {
  user: 'Correct accounts[].smtpUser or mailbox.',
  password: 'Correct accounts[].auth.password.',
} as const;

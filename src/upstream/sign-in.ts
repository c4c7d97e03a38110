/**
 * From an account to a session that has signed in.
 *
 * A token may have been revoked, or refused by a server that has not heard of it yet, so a refusal that a token can cure is answered with
 * exactly one forced refresh and one more try: on the same connection where it is still open, else on a new one. A refusal that no token
 * cures (SMTP AUTH switched off, a policy) costs no refresh. A server that is draining or busy says nothing about the token.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { between, type EpochMs } from '../core/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { AccessToken, TokenSource } from '../core/ports/token-source.ts';
import { UpstreamError } from '../core/ports/upstream.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { describeReply } from '../core/reply.ts';
import { SaslStringError } from '../sasl/bearer.ts';
import type { AuthOutcome } from './authenticate.ts';
import { noToken, signInDeferred, signInRefused } from './failures.ts';
import { classifyReply, type ReplyMeaning } from './reply-table.ts';
import { openSession, type SessionOptions, type SmtpSession } from './smtp-session.ts';

/** What signing in needs. */
export interface SignInDependencies extends Omit<SessionOptions, 'endpoint' | 'ca' | 'account'> {
  readonly tokens: TokenSource;
}

/** A session, and how long its token lives. */
export interface SignedInSession {
  readonly session: SmtpSession;
  readonly user: string;
  readonly tokenExpiresAt: EpochMs;
}

type Refusal = Extract<AuthOutcome, { kind: 'refused' }>;

/**
 * Open a session and sign in.
 *
 * @throws UpstreamError
 */
export async function signIn(account: Account, deps: SignInDependencies): Promise<SignedInSession> {
  const attempt = new SignIn(account, deps);
  try {
    return await attempt.run();
  } catch (error) {
    attempt.cut();
    throw error;
  }
}

/** One signing in; it owns the connection until it has succeeded. */
class SignIn {
  readonly #account: Account;
  readonly #deps: SignInDependencies;
  #session: SmtpSession | undefined;

  constructor(account: Account, deps: SignInDependencies) {
    this.#account = account;
    this.#deps = deps;
  }

  async run(): Promise<SignedInSession> {
    const { tokens, clock } = this.#deps;
    const begun = clock.monotonic();
    const token = await this.#obtain(() => tokens.accessToken(this.#account.name));
    const refusal = await this.#tryUnlessDraining(token);
    if (refusal === undefined) return this.#done(token, begun);

    const meaning = classifyReply('auth', refusal.reply);
    this.#log('debug', `AUTH refused: ${meaning.row}`, refusal);
    if (meaning.verdict !== 'auth') throw this.#unhealable(meaning);
    const fresh = await this.#obtain(() => tokens.replaceRefused(this.#account.name, token));
    const second = await this.#tryAgain(fresh);
    if (second === undefined) return this.#done(fresh, begun);
    const verdict = classifyReply('auth', second.reply);
    throw verdict.verdict === 'auth' ? signInRefused(this.#refusedTwice(verdict, second)) : this.#unhealable(verdict);
  }

  /** For after a failure: a connection that has not signed in is of no use to anyone. */
  cut(): void {
    this.#session?.cut();
  }

  async #obtain(ask: () => Promise<AccessToken>): Promise<AccessToken> {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      // The token manager refuses to refresh again and again for an upstream that refuses every token.
      throw error.problem.code === 'UPSTREAM_AUTH_REFUSED' ? signInRefused(error.problem, error) : noToken(error);
    }
  }

  /** A draining server (421) is left for another one, once: the host name stands for many. */
  async #tryUnlessDraining(token: AccessToken): Promise<Refusal | undefined> {
    const refusal = await this.#try(token);
    if (refusal?.reply.code !== 421) return refusal;
    this.#log('debug', 'server is draining, trying another connection', refusal);
    return this.#try(token);
  }

  /** With a fresh token: on this connection if it lives, and on a new one if it does not, or dies over it, or takes no second AUTH. */
  async #tryAgain(token: AccessToken): Promise<Refusal | undefined> {
    if (this.#session?.isOpen !== true) return this.#tryUnlessDraining(token);
    try {
      const refusal = await this.#try(token);
      // RFC 4954 §4 lets a client try again after a refusal; a server that does not say so with 503 or 421.
      if (refusal === undefined || (refusal.reply.code !== 503 && refusal.reply.code !== 421)) return refusal;
    } catch (error) {
      if (!(error instanceof UpstreamError) || error.problem.code !== 'UPSTREAM_LOST') throw error;
    }
    this.cut();
    return this.#try(token);
  }

  async #try(token: AccessToken): Promise<Refusal | undefined> {
    const session = this.#session?.isOpen === true ? this.#session : await this.#connect();
    const { name, smtpUser: user, provider } = this.#account;
    if (!session.offers(provider.mechanism)) {
      throw signInRefused(problem('UPSTREAM_XOAUTH2_MISSING', `${session.upstream} does not offer AUTH ${provider.mechanism}`));
    }
    try {
      const outcome = await session.authenticate({ mechanism: provider.mechanism, user, accessToken: token.value });
      return outcome.kind === 'refused' ? outcome : undefined;
    } catch (error) {
      throw error instanceof SaslStringError ? unusable(error, name) : error;
    }
  }

  async #connect(): Promise<SmtpSession> {
    const { provider, name } = this.#account;
    this.#session = await openSession({ ...this.#deps, endpoint: provider.smtp, ca: provider.ca, account: name });
    return this.#session;
  }

  #done(token: AccessToken, begun: ReturnType<SignInDependencies['clock']['monotonic']>): SignedInSession {
    const session = this.#session;
    if (session?.isReady !== true) throw session?.failure('auth') ?? new Error('signed in without a session');
    const { smtpUser: user, provider, name } = this.#account;
    this.#deps.log.debug(
      {
        event: 'upstream-signed-in',
        account: name,
        upstream: session.upstream,
        user,
        mechanism: provider.mechanism,
        generation: token.generation,
        durationMs: between(begun, this.#deps.clock.monotonic()),
      },
      'signed in upstream',
    );
    return { session, user, tokenExpiresAt: token.expiresAt };
  }

  /** What another token does not change. */
  #unhealable(meaning: ReplyMeaning): UpstreamError {
    return meaning.verdict === 'transient' || meaning.verdict === 'quota'
      ? signInDeferred(meaning.problem)
      : signInRefused(meaning.problem);
  }

  #refusedTwice(meaning: ReplyMeaning, { failure }: Refusal): Problem {
    const { smtpUser, provider } = this.#account;
    const explained = failure === undefined ? '' : `; the upstream explains: ${Object.entries(failure).flat().join(' ')}`;
    const cause = `${provider.smtp.host} refused ${smtpUser} with a fresh token too: ${meaning.problem.cause}${explained}`;
    return problem('UPSTREAM_AUTH_REFUSED', cause);
  }

  #log(level: keyof Log, message: string, { reply }: Refusal): void {
    const { name, smtpUser: user, provider } = this.#account;
    const fields = { event: 'upstream-auth-refused', account: name, user, mechanism: provider.mechanism, stage: 'auth' } as const;
    this.#deps.log[level]({ ...fields, reply: describeReply(reply) }, message);
  }
}

/** The token or the user has characters that must not be sent; the error does not show them. */
function unusable(error: SaslStringError, account: string): UpstreamError {
  const what =
    error.part === 'token'
      ? problem('TOKEN_ENDPOINT_NONSENSE', `${error.message}; it was not sent`)
      : problem('CONFIG_INVALID', `account ${account}: ${error.message}`, { remedy: 'Correct accounts[].smtpUser or mailbox.' });
  return signInRefused(what, error);
}

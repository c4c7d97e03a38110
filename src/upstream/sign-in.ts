/**
 * From an account to a session that has signed in.
 *
 * A token may have been revoked, or refused by a server that has not heard of it yet, so a refusal that a token can cure is answered with
 * exactly one forced refresh and one more try: on the same connection where it is still open, else on a new one. A refusal that no token
 * cures (SMTP AUTH switched off, a policy) costs no refresh. A server that is draining or busy says nothing about the token. Accounts with a password in
 * place of tokens go another way ({@link ./password-sign-in.ts}).
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { between, type EpochMs, type MonotonicMs } from '../core/clock.ts';
import type { AccessToken, TokenSource } from '../core/ports/token-source.ts';
import type { UpstreamError } from '../core/ports/upstream.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import type { ReplyMeaning } from '../core/reply-meaning.ts';
import { AuthAttempts, type ConnectDependencies, type Present, type Refusal } from './auth-attempts.ts';
import { noToken, signInDeferred, signInRefused } from './failures.ts';
import type { PasswordGuard } from '../policy/password-guard.ts';
import { signInWithPassword } from './password-sign-in.ts';
import { classifyReply } from './reply-table.ts';
import type { SmtpSession } from './smtp-session.ts';

/** What signing in needs. */
export interface SignInDependencies extends ConnectDependencies {
  readonly tokens: TokenSource;
  /** Remembers refused passwords; absent for a single trial by hand. */
  readonly passwords?: PasswordGuard;
}

/** A session, and how long its token lives. */
export interface SignedInSession {
  readonly session: SmtpSession;
  readonly user: string;
  /** Absent where there is no token: a password does not end. */
  readonly tokenExpiresAt?: EpochMs;
}

/**
 * Open a session and sign in.
 *
 * @throws UpstreamError
 */
export async function signIn(account: Account, deps: SignInDependencies): Promise<SignedInSession> {
  const attempts = new AuthAttempts(account, deps);
  const begun = deps.clock.monotonic();
  try {
    const { auth, smtpUser: user } = account;
    const token = auth.grant === 'basic' ? undefined : await signInWithToken(account, deps, attempts);
    if (auth.grant === 'basic') await signInWithPassword(account, auth, attempts, deps.passwords);
    const session = attempts.signedIn;
    report(account, session, token, deps, begun);
    return { session, user, ...(token === undefined ? {} : { tokenExpiresAt: token.expiresAt }) };
  } catch (error) {
    attempts.cut();
    throw error;
  }
}

/** @returns The token that was accepted. */
async function signInWithToken(account: Account, { tokens }: SignInDependencies, attempts: AuthAttempts): Promise<AccessToken> {
  const token = await obtain(() => tokens.accessToken(account.name));
  const refusal = await attempts.unlessDraining(presentToken(account, token));
  if (refusal === undefined) return token;

  const meaning = classifyReply('auth', refusal.reply);
  attempts.log('debug', `AUTH refused: ${meaning.row}`, refusal);
  if (meaning.verdict !== 'auth') throw unhealable(meaning);
  const fresh = await obtain(() => tokens.replaceRefused(account.name, token));
  const second = await attempts.again(presentToken(account, fresh));
  if (second === undefined) return fresh;
  const verdict = classifyReply('auth', second.reply);
  throw verdict.verdict === 'auth' ? signInRefused(refusedTwice(account, verdict, second)) : unhealable(verdict);
}

async function obtain(ask: () => Promise<AccessToken>): Promise<AccessToken> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    // The token manager refuses to refresh again and again for an upstream that refuses every token.
    throw error.problem.code === 'UPSTREAM_AUTH_REFUSED' ? signInRefused(error.problem, error) : noToken(error);
  }
}

function presentToken({ provider, smtpUser: user }: Account, { value: accessToken }: AccessToken): Present {
  const { mechanism } = provider;
  return (session) => {
    if (session.offers(mechanism)) return { mechanism, user, accessToken };
    throw signInRefused(problem('UPSTREAM_XOAUTH2_MISSING', `${session.upstream} does not offer AUTH ${mechanism}`));
  };
}

/** What another token does not change. */
function unhealable(meaning: ReplyMeaning): UpstreamError {
  return meaning.verdict === 'transient' || meaning.verdict === 'quota' ? signInDeferred(meaning.problem) : signInRefused(meaning.problem);
}

function refusedTwice({ smtpUser, provider }: Account, meaning: ReplyMeaning, { failure }: Refusal): Problem {
  const explained = failure === undefined ? '' : `; the upstream explains: ${Object.entries(failure).flat().join(' ')}`;
  const cause = `${provider.smtp.host} refused ${smtpUser} with a fresh token too: ${meaning.problem.cause}${explained}`;
  return problem('UPSTREAM_AUTH_REFUSED', cause);
}

function report(
  { name, smtpUser: user, provider }: Account,
  { upstream }: SmtpSession,
  token: AccessToken | undefined,
  { log, clock }: SignInDependencies,
  begun: MonotonicMs,
): void {
  const how = token === undefined ? { mechanism: 'password' } : { mechanism: provider.mechanism, generation: token.generation };
  const durationMs = between(begun, clock.monotonic());
  log.debug({ event: 'upstream-signed-in', account: name, upstream, user, ...how, durationMs }, 'signed in upstream');
}

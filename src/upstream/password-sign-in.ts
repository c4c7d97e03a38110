/**
 * Signing in with user name and password (`grant: basic`), for upstreams that still take them.
 *
 * What an upstream refuses is not shown to it again: a password does not get better by waiting, and providers lock a mailbox after a few failures
 * ({@link ../policy/password-guard.ts}). TLS is on and verified before the first octet of it, as for tokens: sessions come no other way.
 *
 * @packageDocumentation
 */
import type { Account, BasicAuth } from '../core/account.ts';
import { minutes } from '../core/clock.ts';
import type { UpstreamError } from '../core/ports/upstream.ts';
import { problem } from '../core/problem.ts';
import { describeReply } from '../core/reply.ts';
import type { ReplyMeaning } from '../core/reply-meaning.ts';
import type { AuthAttempts, Present, Refusal } from './auth-attempts.ts';
import { signInDeferred, signInRefused } from './failures.ts';
import type { PasswordGuard } from '../policy/password-guard.ts';
import { classifyReply } from './reply-table.ts';

/** A policy or a fault of the provider may be behind a refusal that does not name the password; so long it is left alone. */
const PAUSE = minutes(15);

/**
 * Sign in.
 *
 * @param guard - Absent for a single trial by hand.
 * @throws UpstreamError
 */
export async function signInWithPassword(
  account: Account,
  auth: BasicAuth,
  attempts: AuthAttempts,
  guard: PasswordGuard | undefined,
): Promise<void> {
  const signIn = async (): Promise<void> => {
    const refusal = await attempts.unlessDraining(presentPassword(account, auth));
    if (refusal !== undefined) throw refuse(account, refusal, attempts, guard);
  };
  await (guard === undefined ? signIn() : guard.run(account, signIn, signInRefused));
}

/** PLAIN where it is offered, since it is the standard; else LOGIN. */
function presentPassword({ smtpUser: user }: Account, { password }: BasicAuth): Present {
  return (session) => {
    const mechanism = (['PLAIN', 'LOGIN'] as const).find((candidate) => session.offers(candidate));
    if (mechanism !== undefined) return { mechanism, user, password };
    const cause = `${session.upstream} offers neither AUTH PLAIN nor AUTH LOGIN; the password was not sent`;
    throw signInRefused(problem('UPSTREAM_MISCONFIGURED', cause, { remedy: USE_OAUTH }));
  };
}

const USE_OAUTH = 'Check host and port of the provider; where it has ended sign-in by password, set accounts[].auth.grant to one of OAuth.';

function refuse(account: Account, refusal: Refusal, attempts: AuthAttempts, guard: PasswordGuard | undefined): UpstreamError {
  const meaning = classifyReply('auth', refusal.reply);
  attempts.log('debug', `AUTH refused: ${meaning.row}`, refusal);
  if (meaning.verdict === 'transient' || meaning.verdict === 'quota') return signInDeferred(meaning.problem);
  const what = meaning.verdict === 'auth' ? passwordRefused(account, refusal) : meaning.problem;
  guard?.note(account, what, isWrongPassword(meaning) ? undefined : PAUSE);
  return signInRefused(what);
}

/** Rows about tokens say too little here. */
const passwordRefused = ({ provider, smtpUser }: Account, { reply }: Refusal) =>
  problem('UPSTREAM_PASSWORD_REFUSED', `${provider.smtp.host} refused user name and password of ${smtpUser}: ${describeReply(reply)}`);

const isWrongPassword = ({ row }: ReplyMeaning): boolean => row === 'password-wrong';

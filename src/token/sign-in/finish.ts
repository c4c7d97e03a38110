/**
 * The end of every sign-in: tokens that belong to the account are stored, and nothing else is.
 *
 * @packageDocumentation
 */
import { type EpochMs, plus } from '../../core/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { storeNewGrant } from '../new-grant.ts';
import type { TokenAnswer } from '../token-answer.ts';
import { verdictOn } from '../verdict.ts';
import { checkIdentity } from './identity.ts';
import type { SignedIn, SignInAccount, SignInDependencies } from './sign-in.ts';

/**
 * @param since - When the tokens were asked for: their life is counted from there, to be on the safe side.
 * @throws ProblemError where no tokens came, not all that are needed, or those of somebody else. Nothing is stored then.
 */
export async function finishSignIn(
  account: SignInAccount,
  answer: TokenAnswer,
  since: EpochMs,
  { store, clock, redactor }: SignInDependencies,
): Promise<SignedIn> {
  if (answer.kind !== 'granted') throw new ProblemError(verdictOn(answer).problem);
  const { accessToken, refreshToken, idToken, expiresIn } = answer;
  for (const secret of [accessToken, refreshToken, idToken]) if (secret !== undefined) redactor.add(secret, 'rotating');
  const user = checkIdentity(account, answer);
  if (refreshToken === undefined) throw new ProblemError(problem('SIGN_IN_NO_REFRESH_TOKEN'));
  const expiresAt = plus(since, expiresIn);
  const { generation } = await storeNewGrant(store, account, { refreshToken, accessToken: { value: accessToken, expiresAt } }, clock.now());
  return { user, expiresAt, generation };
}

/**
 * Sign-in on another device: a code is shown, the person types it there, and we ask until they have.
 *
 * We ask no sooner than the provider says, and later each time it wants us to slow down or cannot be reached.
 *
 * Source: RFC 8628 §3.3–§3.5.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds, minutes, plus, seconds } from '../../core/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import type { TokenAnswer } from '../token-answer.ts';
import { verdictOn } from '../verdict.ts';
import type { DeviceGrant } from './device-response.ts';
import { finishSignIn } from './finish.ts';
import { OAuthRequests } from './oauth-requests.ts';
import { expired, type SignedIn, type SignInAccount, type SignInDependencies, unavailable } from './sign-in.ts';

/** What the person needs. */
export type DevicePrompt = Pick<DeviceGrant, 'userCode' | 'verificationUri' | 'expiresIn'>;

/** RFC 8628 §3.5: "increase the interval by 5 seconds for this and all subsequent requests". */
const SLOWER_BY = seconds(5);
/** So much slower do we ask at most while the endpoint cannot be reached. */
const LONGEST_INTERVAL = minutes(1);

/** @throws ProblemError where nobody signs in, the provider refuses, or somebody else does. Nothing is stored then. */
export async function signInByDevice(
  account: SignInAccount,
  show: (prompt: DevicePrompt) => void,
  deps: SignInDependencies,
): Promise<SignedIn> {
  const { deviceUrl, name } = account.provider;
  if (deviceUrl === undefined) throw unavailable(`provider ${name} of account ${account.name} has no sign-in by device code (deviceUrl)`);
  const requests = new OAuthRequests(account, deps);
  const device = await requests.startDevice(deviceUrl);
  if (device.kind !== 'device') throw new ProblemError(verdictOn(device).problem);
  deps.redactor.add(device.deviceCode);
  show(device);
  return poll(account, device, requests, deps);
}

async function poll(account: SignInAccount, device: DeviceGrant, requests: OAuthRequests, deps: SignInDependencies): Promise<SignedIn> {
  const { clock } = deps;
  const end = plus(clock.monotonic(), device.expiresIn);
  let { interval } = device;
  for (;;) {
    if (plus(clock.monotonic(), interval) >= end) {
      await pause(milliseconds(Math.max(0, between(clock.monotonic(), end))), deps);
      throw new ProblemError(expired(device.expiresIn));
    }
    await pause(interval, deps);
    const since = clock.now();
    const answer = await requests.redeemDevice(device.deviceCode);
    const next = nextInterval(answer, interval);
    if (next === undefined) return finishSignIn(account, decided(answer, device), since, deps);
    interval = next;
  }
}

/** Undefined where the answer is final. */
function nextInterval(answer: TokenAnswer, interval: DurationMs): DurationMs | undefined {
  switch (answer.kind) {
    case 'refused':
      if (answer.error === 'authorization_pending') return interval;
      return answer.error === 'slow_down' ? milliseconds(interval + SLOWER_BY) : undefined;
    case 'unreachable':
    case 'busy': {
      // RFC 8628 §3.5: after a connection timeout, back off; doubling is suggested.
      const asked = answer.kind === 'busy' ? (answer.retryAfter ?? 0) : 0;
      return milliseconds(Math.max(Math.min(interval * 2, LONGEST_INTERVAL), interval, asked));
    }
    default:
      return undefined;
  }
}

/** What only this dialogue knows how to say; everything else is said as for every grant. */
function decided(answer: TokenAnswer, { expiresIn }: DeviceGrant): TokenAnswer {
  if (answer.kind !== 'refused') return answer;
  if (answer.error === 'expired_token') throw new ProblemError(expired(expiresIn));
  // Entra says authorization_declined where RFC 8628 §3.5 says access_denied.
  if (answer.error === 'authorization_declined' || answer.error === 'access_denied') {
    throw new ProblemError(problem('SIGN_IN_REFUSED', `the sign-in was declined (${answer.error}); nothing was stored`));
  }
  return answer;
}

function pause(delay: DurationMs, { clock }: SignInDependencies): Promise<void> {
  return new Promise((resolve) => void clock.startTimer(delay, resolve));
}

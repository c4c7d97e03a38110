/**
 * Sign-in with a browser on this machine: it comes back to a listener on loopback.
 *
 * @packageDocumentation
 */
import { between, type DurationMs, milliseconds } from '../../core/clock.ts';
import { type Problem, ProblemError, problem } from '../../core/problem.ts';
import { AuthorizationFlow, type Received } from './authorization-flow.ts';
import { CallbackListener } from './callback-listener.ts';
import type { CallbackPage } from './callback-page.ts';
import { finishSignIn } from './finish.ts';
import type { LoopbackRedirect } from './redirect-uri.ts';
import { expired, SIGN_IN_LIMIT, type SignedIn, type SignInAccount, type SignInDependencies } from './sign-in.ts';

/** What is particular about this way. */
export interface BrowserSignIn {
  readonly redirect: LoopbackRedirect;
  /** Brings the person to this address. */
  readonly show: (url: string) => void;
}

/** @throws ProblemError where nobody signs in, the provider refuses, or somebody else comes back. Nothing is stored then. */
export async function signInByBrowser(
  account: SignInAccount,
  { redirect, show }: BrowserSignIn,
  deps: SignInDependencies,
): Promise<SignedIn> {
  const listener = await CallbackListener.open(redirect, deps.clock);
  try {
    const flow = await AuthorizationFlow.begin(account, listener.redirectUri, deps);
    const outcome = waitForBrowser(account, flow, listener, deps);
    show(flow.url);
    return await outcome;
  } finally {
    await listener.close();
  }
}

/** The page for the browser is sent once the outcome is known, so that it tells the same as the terminal. */
function waitForBrowser(
  account: SignInAccount,
  flow: AuthorizationFlow,
  listener: CallbackListener,
  deps: SignInDependencies,
): Promise<SignedIn> {
  const { clock } = deps;
  return new Promise((resolve, reject) => {
    const timer = clock.startTimer(untilEnd(flow, deps), () => reject(new ProblemError(expired(SIGN_IN_LIMIT))));
    const fail = (error: unknown): CallbackPage => {
      timer.cancel();
      reject(error instanceof Error ? error : new Error(String(error)));
      return failurePage(error instanceof ProblemError ? error.problem : problem('INTERNAL'));
    };
    const conclude = async (received: Exclude<Received, { kind: 'stranger' }>): Promise<CallbackPage> => {
      try {
        if (received.kind === 'ended') return fail(new ProblemError(received.problem));
        timer.cancel(); // The person has done their part in time.
        const since = clock.now();
        const signedIn = await finishSignIn(account, await received.redeem(), since, deps);
        resolve(signedIn);
        return successPage(account, signedIn);
      } catch (error) {
        return fail(error);
      }
    };
    listener.handleWith(async (parameters) => {
      const received = flow.receive(parameters);
      return received.kind === 'stranger' ? strangerPage(received.why) : conclude(received);
    });
  });
}

const untilEnd = (flow: AuthorizationFlow, { clock }: SignInDependencies): DurationMs =>
  milliseconds(Math.max(0, between(clock.monotonic(), flow.endsAt)));

function successPage(account: SignInAccount, { user }: SignedIn): CallbackPage {
  const who = user === undefined ? 'The sign-in is complete' : `${user} is signed in`;
  return { status: 200, title: 'Signed in', text: `${who} for the account ${account.name}. You can close this page.` };
}

const failurePage = ({ cause, remedy }: Problem): CallbackPage => ({ status: 400, title: 'Not signed in', text: `${cause}. ${remedy}` });

/** Whoever sent this chose its words; none of them is shown. */
const strangerPage = (why: string): CallbackPage => ({
  status: 400,
  title: 'Not the answer to this sign-in',
  text: `The answer ${why}. Nothing was done with it. Go back to the page that the terminal showed.`,
});

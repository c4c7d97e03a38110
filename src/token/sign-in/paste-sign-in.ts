/**
 * Sign-in with a browser elsewhere: the person brings back the address of the page where it ended.
 *
 * That page shows an error, since nobody listens there; its address is all that is needed. Whoever sees it cannot use the code in it: the exchange
 * needs the verifier, which never leaves this process.
 *
 * @packageDocumentation
 */
import { between, milliseconds } from '../../core/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { AuthorizationFlow } from './authorization-flow.ts';
import { finishSignIn } from './finish.ts';
import { expired, SIGN_IN_LIMIT, type SignedIn, type SignInAccount, type SignInDependencies } from './sign-in.ts';

/** What is particular about this way. */
export interface PasteSignIn {
  readonly redirectUri: string;
  /** Tells the person to open this address. */
  readonly show: (url: string) => void;
  /**
   * What the person pasted; undefined when nothing more comes.
   *
   * @param complaint - What was wrong with the text before.
   */
  readonly ask: (complaint?: string) => Promise<string | undefined>;
}

const LONGEST_TEXT = 32 * 1024;
/** More are a program gone wrong. */
const MOST_TRIES = 10;

/** @throws ProblemError where nothing usable is pasted, the provider refuses, or somebody else signed in. Nothing is stored then. */
export async function signInByPaste(
  account: SignInAccount,
  { redirectUri, show, ask }: PasteSignIn,
  deps: SignInDependencies,
): Promise<SignedIn> {
  const flow = await AuthorizationFlow.begin(account, redirectUri, deps);
  show(flow.url);
  let complaint: string | undefined;
  for (let tries = 0; tries < MOST_TRIES; tries += 1) {
    const text = await withinLimit(ask(complaint), flow, deps);
    if (text === undefined) break;
    const parameters = readPasted(text);
    const received = parameters === undefined ? undefined : flow.receive(parameters);
    if (received?.kind === 'ended') throw new ProblemError(received.problem);
    if (received?.kind === 'code') {
      const since = deps.clock.now();
      return finishSignIn(account, await received.redeem(), since, deps);
    }
    complaint = received === undefined ? 'it is no address with a code in it' : `it ${received.why}`;
  }
  const cause = complaint === undefined ? 'no address was pasted' : `the address that was pasted cannot be used: ${complaint}`;
  throw new ProblemError(problem('SIGN_IN_ANSWER_INVALID', cause));
}

/** The whole address, or the part behind its question mark; with whatever came along when it was copied. */
function readPasted(text: string): URLSearchParams | undefined {
  if (text.length > LONGEST_TEXT) return undefined;
  const bare = text.trim().replace(/^["'<]+|["'>]+$/g, '');
  if (/^https?:\/\//i.test(bare)) return URL.canParse(bare) ? new URL(bare).searchParams : undefined;
  return /(^|[?&])(code|error)=/.test(bare) ? new URLSearchParams(bare.replace(/^.*\?/, '')) : undefined;
}

async function withinLimit<Answer>(asked: Promise<Answer>, flow: AuthorizationFlow, { clock }: SignInDependencies): Promise<Answer> {
  let expire: (error: Error) => void = () => undefined;
  const late = new Promise<never>((_resolve, reject) => {
    expire = reject;
  });
  const wait = milliseconds(Math.max(0, between(clock.monotonic(), flow.endsAt)));
  const timer = clock.startTimer(wait, () => expire(new ProblemError(expired(SIGN_IN_LIMIT))));
  try {
    return await Promise.race([asked, late]);
  } finally {
    timer.cancel();
  }
}

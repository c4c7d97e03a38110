/**
 * `postern login`: gives the ways to sign in of src/token/sign-in what they need.
 *
 * It may run beside a Postern that serves on the same state, which notices the new grant by itself.
 *
 * @packageDocumentation
 */
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { signInByBrowser } from '../token/sign-in/browser-sign-in.ts';
import { type DevicePrompt, signInByDevice } from '../token/sign-in/device-sign-in.ts';
import { signInByPaste } from '../token/sign-in/paste-sign-in.ts';
import { DEFAULT_REDIRECT_URI, parseRedirectUri } from '../token/sign-in/redirect-uri.ts';
import { type SignedIn, type SignInAccount, type SignInDependencies, signInAccount, unavailable } from '../token/sign-in/sign-in.ts';
import { TokenHttp } from '../token/token-http.ts';
import { openTokens } from './open-tokens.ts';
import { refuseForeignState } from './state-owner.ts';

/** How a person signs in: in a browser that can reach this machine, in one that cannot, or on another device. */
export type SignInWay = 'browser' | 'paste' | 'device';

export interface SignInChoice {
  readonly way: SignInWay;
  /** In place of the provider's. */
  readonly redirectUri?: string;
}

/** The person, as far as a sign-in talks to them. */
export interface SignInAudience {
  /** Open this address here; the browser comes back by itself. */
  browser(url: string): void;
  /** Open this address anywhere and bring back the one that it ends at. */
  paste(url: string): void;
  /** @returns What they brought; undefined when nothing more comes. `complaint`: what was wrong with the one before. */
  pasted(complaint?: string): Promise<string | undefined>;
  device(prompt: DevicePrompt): void;
}

/**
 * @param clock - For how long the person is waited for.
 * @throws ProblemError. Nothing is stored then.
 */
export async function signIn(
  config: Config,
  account: Account,
  choice: SignInChoice,
  audience: SignInAudience,
  clock: Clock = systemClock,
): Promise<SignedIn> {
  const person = signInAccount(account);
  await refuseForeignState(config.state.dir);
  const scrubber = new Scrubber();
  const { store, manager } = await openTokens(config, [account], scrubber);
  const http = new TokenHttp({ clock: systemClock });
  try {
    return await run(person, choice, audience, { http, store, clock, random: systemRandom, redactor: scrubber });
  } finally {
    await Promise.all([http.close(), manager.close()]);
  }
}

function run(account: SignInAccount, choice: SignInChoice, audience: SignInAudience, deps: SignInDependencies): Promise<SignedIn> {
  if (choice.way === 'device') return signInByDevice(account, (prompt) => audience.device(prompt), deps);
  const redirectUri = choice.redirectUri ?? account.provider.redirectUri ?? DEFAULT_REDIRECT_URI;
  const redirect = parseRedirectUri(redirectUri);
  if (redirect === undefined) {
    const remedy = `Give an absolute address without # or blanks, as registered with the provider: ${DEFAULT_REDIRECT_URI} (--redirect-uri, or redirectUri of the provider).`;
    throw unavailable(`${redirectUri} cannot be a redirect URI`, remedy);
  }
  // Where we cannot listen, only the person can bring the answer back.
  if (choice.way === 'browser' && redirect.kind === 'loopback') {
    return signInByBrowser(account, { redirect, show: (url) => audience.browser(url) }, deps);
  }
  const ask = (complaint?: string): Promise<string | undefined> => audience.pasted(complaint);
  return signInByPaste(account, { redirectUri, show: (url) => audience.paste(url), ask }, deps);
}

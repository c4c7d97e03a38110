/**
 * A sign-in that goes on while somebody looks at it: what the person has to do now, and how it has ended.
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import type { SignInView, SignInWay } from '../core/ports/setup.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { SignedIn } from '../token/sign-in/sign-in.ts';
import { EndableClock } from './endable-clock.ts';
import type { SignInAudience } from './sign-in.ts';

/** Hides known secrets. */
type Scrub = (text: string) => string;

/** What a sign-in needs. */
export interface RunningSignInOptions {
  readonly clock: Clock;
  readonly scrub: Scrub;
}

export class RunningSignIn implements SignInAudience {
  #view: SignInView;
  readonly #scrub: Scrub;
  /** Resolves once the person can do something, or it has ended. */
  readonly shown: Promise<void>;
  #isShown: () => void = () => undefined;
  readonly #clock: EndableClock;
  #followed: Promise<void> = Promise.resolve();
  #bring: ((address: string | undefined) => void) | undefined;

  constructor(id: string, account: string, way: SignInWay, { clock, scrub }: RunningSignInOptions) {
    this.#view = { id, account, way, state: 'begun' };
    this.#scrub = scrub;
    this.#clock = new EndableClock(clock);
    this.shown = new Promise((resolve) => {
      this.#isShown = resolve;
    });
  }

  get view(): SignInView {
    return this.#view;
  }

  /** How long the person is waited for. */
  get clock(): Clock {
    return this.#clock;
  }

  /** Nobody is waited for any more. Resolves once it is over, and its port is free again. */
  async end(): Promise<void> {
    this.#clock.end();
    await this.#followed;
  }

  browser(url: string): void {
    this.#show({ url });
  }

  paste(url: string): void {
    this.#show({ url });
  }

  device({ verificationUri: url, userCode }: Parameters<SignInAudience['device']>[0]): void {
    this.#show({ url, userCode });
  }

  pasted(complaint?: string): Promise<string | undefined> {
    if (complaint !== undefined) this.#show({ complaint: this.#scrub(complaint) });
    return new Promise((resolve) => {
      this.#bring = resolve;
    });
  }

  /** What the person has brought; undefined: they will not. */
  bring(address: string | undefined): void {
    const bring = this.#bring;
    this.#bring = undefined;
    const { complaint: _, ...rest } = this.#view;
    this.#view = rest;
    bring?.(address);
  }

  /** @param outcome - How it ends. @param ended - Is told so. */
  follow(outcome: Promise<SignedIn>, ended: (view: SignInView) => void): void {
    this.#followed = this.#follow(outcome).then(() => ended(this.#view));
  }

  /** Never rejects. */
  async #follow(outcome: Promise<SignedIn>): Promise<void> {
    const { id, account, way } = this.#view;
    try {
      const { user } = await outcome;
      this.#view = { id, account, way, state: 'done', ...(user === undefined ? {} : { user }) };
    } catch (error) {
      const what = error instanceof ProblemError ? error.problem : problem('INTERNAL');
      const shown = { ...what, cause: this.#scrub(what.cause), remedy: this.#scrub(what.remedy) };
      this.#view = { id, account, way, state: 'failed', problem: shown };
    }
    this.#isShown();
  }

  #show(what: Partial<SignInView>): void {
    this.#view = { ...this.#view, state: 'waiting', ...what };
    this.#isShown();
  }
}

/** Somebody signs in: which way, what to do in it, and what has become of it. For operators, and for guests. */
import type { SignInView, SignInWay } from '../../core/ports/setup.ts';
import { type Child, h, replace } from '../dom.ts';
import { badge, choice, field, type ShownProblem } from '../parts.ts';
import { Refusal } from '../server.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import { copyable } from './copyable.ts';

const W = WORDS.setup.signIn;
const LOOK_EVERY_MS = 1_000;

/** How a sign-in goes. */
export type SignInProgress = Omit<SignInView, 'id' | 'account'>;

/** Where it is done. Each may throw a Refusal. */
export interface SignInPlace {
  readonly ways: readonly SignInWay[];
  /** What each way is called. */
  readonly texts: Readonly<Partial<Record<SignInWay, string>>>;
  /** What was begun before. */
  readonly begun?: SignInProgress | undefined;
  begin(way: SignInWay): Promise<SignInProgress>;
  look(): Promise<SignInProgress>;
  paste(address: string): Promise<unknown>;
  /** How a failure is told. */
  describe(problem: ShownProblem): HTMLElement;
  /** Somebody has signed in. */
  done(): void;
}

export function signInDialogue(place: SignInPlace): Child {
  const texts = Object.fromEntries(place.ways.map((way) => [way, place.texts[way] ?? way]));
  const way = choice(texts, place.ways[0] ?? '', () => undefined);
  const progress = h('div', { 'aria-live': 'polite' });
  let turn = 0;
  const begin = async (): Promise<Child> => {
    turn += 1;
    const chosen = place.ways.find((known) => known === way.value);
    if (chosen === undefined) return undefined;
    replace(progress); // What was begun before is over.
    goOn(await place.begin(chosen));
    return undefined;
  };
  const goOn = (view: SignInProgress): void => {
    replace(progress, prompt(place, view));
    void follow(view, turn).catch(tell);
  };
  const tell = (error: unknown): void => {
    if (!(error instanceof Refusal)) throw error;
    const { code, detail: cause, remedy } = error.problem;
    replace(progress, place.describe({ code, cause, remedy, heals: 'never' }));
  };
  /** Until it has ended, another was begun, or the page is another. */
  const follow = async (view: SignInProgress, mine: number): Promise<void> => {
    let now = view;
    while (now.state === 'begun' || now.state === 'waiting') {
      await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY_MS));
      if (turn !== mine || !progress.isConnected) return;
      now = await place.look();
    }
    if (now.state === 'failed' && now.problem !== undefined) replace(progress, place.describe(now.problem));
    if (now.state !== 'done') return;
    replace(progress, badge('good', now.user === undefined ? W.doneUnknown : W.done(now.user)));
    place.done();
  };
  if (place.begun !== undefined) goOn(place.begun);
  return [asking([field(W.how, way)], { [W.begin]: begin }), progress];
}

function prompt(place: SignInPlace, { way, url, userCode, problem }: SignInProgress): Child {
  if (problem !== undefined) return place.describe(problem);
  if (url === undefined) return undefined;
  const link = h('p', {}, h('a', { href: url, target: '_blank', rel: 'noreferrer' }, W.open));
  if (way === 'device')
    return [link, h('p', {}, W.code), h('p', { class: 'code' }, userCode ?? ''), h('p', { class: 'quiet' }, url), h('p', {}, W.wait)];
  if (way === 'browser') return [link, h('p', {}, W.wait)];
  const address = h('input', { required: true, autocomplete: 'off', spellcheck: 'false' });
  const bring = async (): Promise<Child> => {
    await place.paste(address.value.trim());
    address.value = '';
    await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY_MS));
    const { complaint } = await place.look();
    return complaint === undefined ? undefined : badge('bad', complaint);
  };
  return [link, copyable(url), h('p', {}, W.pasteNote), asking([field(W.address, address)], { [W.paste]: bring })];
}

/**
 * The page of a guest: the owner of a mailbox, who was sent a link and signs in for one account. It knows nothing else of Postern.
 *
 * The link's secret stands in the fragment of the address, which no browser sends along, until it is used up. Opening the page uses nothing up: programs that look at links
 * in mail do so, too. What the button brings is kept for this tab, so that it may be loaded again.
 *
 * @packageDocumentation
 */
import type { GuestView, OpenedLink } from '../core/ports/sign-in-links.ts';
import { type Child, h, replace } from './dom.ts';
import { badge, type ShownProblem } from './parts.ts';
import { Refusal, Server } from './server.ts';
import { WORDS } from './words.ts';
import { asking } from './views/asking.ts';
import { type SignInProgress, signInDialogue } from './views/sign-in-dialogue.ts';

const W = WORDS.guest;
const PATH = '/api/v1/guest';
const KEPT = 'postern-guest';

const server = new Server('x-guest-token');
const root = document.querySelector('#page') ?? document.body;

function show(...content: readonly Child[]): void {
  replace(root, h('main', { class: 'guest', id: 'content' }, h('h1', {}, W.title), h('section', { class: 'card' }, ...content)));
}

/** What went wrong, and whom to tell. */
const note = ({ code, cause }: Pick<ShownProblem, 'code' | 'cause'>): HTMLElement =>
  h(
    'div',
    { class: 'problem', role: 'alert' },
    h('p', {}, cause, ' ', h('code', {}, code)),
    h(
      'p',
      { class: 'quiet' },
      code === 'SIGN_IN_WRONG_MAILBOX' ? W.wrongMailbox : code === 'SIGN_IN_LINK_INVALID' ? W.askAgain : W.tellThem,
    ),
  );

/** A refusal is all that is shown then. */
async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const { code, detail: cause } = error.problem;
    show(note({ code, cause }));
  }
}

/** Nothing is used up before somebody goes on. */
function invite(secret: string): void {
  const open = async (): Promise<void> => {
    const opened = await server.post<OpenedLink>(PATH, { secret });
    sessionStorage.setItem(KEPT, opened.token);
    history.replaceState(undefined, '', location.pathname);
    server.useToken(opened.token);
    signIn(opened);
  };
  const goOn = async (): Promise<Child> => {
    await guarded(open);
    return undefined;
  };
  show(h('p', {}, W.invitation), h('p', { class: 'quiet' }, W.promise), asking([], { [W.goOn]: goOn }));
}

function signIn({ user, ways, signIn: last }: GuestView): void {
  if (last?.state === 'done') {
    finish(last);
    return;
  }
  const progressOf = async (view: Promise<GuestView>): Promise<SignInProgress> => {
    const { signIn: progress } = await view;
    return progress ?? { way: 'paste', state: 'failed', problem: { code: 'INTERNAL', cause: W.gone, heals: 'never', remedy: '' } };
  };
  show(
    h('p', {}, W.as, ' ', h('strong', {}, user)),
    h('p', { class: 'quiet' }, W.how),
    signInDialogue({
      ways,
      texts: W.ways,
      begun: last,
      begin: (way) => progressOf(server.post<GuestView>(`${PATH}/sign-in`, { way })),
      look: () => progressOf(server.get<GuestView>(PATH)),
      paste: (address) => server.post<GuestView>(`${PATH}/address`, { address }),
      describe: note,
      done: () => void guarded(async () => finish(await progressOf(server.get<GuestView>(PATH)))),
    }),
  );
}

function finish({ user }: SignInProgress): void {
  show(h('p', {}, badge('good', user === undefined ? WORDS.setup.signIn.doneUnknown : WORDS.setup.signIn.done(user))), h('p', {}, W.close));
}

async function begin(): Promise<void> {
  const secret = location.hash.slice(1);
  if (secret !== '') {
    invite(secret);
    return;
  }
  const token = sessionStorage.getItem(KEPT);
  if (token === null) {
    show(h('p', {}, W.nothing));
    return;
  }
  server.useToken(token);
  signIn(await server.get<GuestView>(PATH));
}

window.addEventListener('hashchange', () => void guarded(begin));
void guarded(begin);

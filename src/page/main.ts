/**
 * The admin page in the browser: which page is shown, who is signed in, and when to look again.
 *
 * @packageDocumentation
 */
import { h, replace } from './dom.ts';
import { badge, refusalNote } from './parts.ts';
import { Refusal, Server } from './server.ts';
import { signInForm } from './sign-in.ts';
import type { View } from './view.ts';
import { accounts } from './views/accounts.ts';
import { clients } from './views/clients.ts';
import { fetch } from './views/fetch.ts';
import { log } from './views/log.ts';
import { messages } from './views/messages.ts';
import { overview } from './views/overview.ts';
import { queue } from './views/queue.ts';
import { settings } from './views/settings.ts';
import { setup } from './views/setup.ts';
import { trace } from './views/trace.ts';
import { WORDS } from './words.ts';

const VIEWS = { overview, messages, queue, accounts, clients, fetch, trace, log, setup, settings } as const satisfies Record<string, View>;

type Name = keyof typeof VIEWS;

const server = new Server();
const root = document.querySelector('#page') ?? document.body;
const place = h('main', { id: 'content', tabindex: -1 });
const live = h('span', { class: 'live', 'aria-live': 'polite' });
/** Draws the page that is shown again. */
let redraw: () => Promise<void> = () => Promise.resolve();
let heard: EventSource | undefined;
/** Of the page that was asked for last; what an earlier one brings late is not shown. */
let turn = 0;

interface Address {
  readonly name: Name;
  readonly rest: string;
  readonly query: URLSearchParams;
}

function addressOf(hash: string): Address {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split(/\?(.*)/s, 2);
  const [name = '', ...rest] = path.split('/');
  return { name: isName(name) ? name : 'overview', rest: decode(rest.join('/')), query: new URLSearchParams(query) };
}

const isName = (name: string): name is Name => Object.hasOwn(VIEWS, name);

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

async function show(): Promise<void> {
  turn += 1;
  const mine = turn;
  const { name, rest, query } = addressOf(location.hash);
  const page = h('div', { class: 'page' });
  const filter = (wanted: Readonly<Record<string, string>>): void => {
    const given = new URLSearchParams(Object.entries(wanted).filter(([, value]) => value !== ''));
    location.hash = `#/${name}${given.size > 0 ? `?${given.toString()}` : ''}`;
  };
  redraw = () => Promise.resolve();
  for (const link of root.querySelectorAll('nav a')) {
    const isCurrent = link.getAttribute('href') === `#/${name}`;
    if (!isCurrent) link.removeAttribute('aria-current');
    else {
      link.setAttribute('aria-current', 'page');
      link.scrollIntoView({ block: 'nearest', inline: 'center' }); // On a narrow screen they stand in a row that is wider.
    }
  }
  document.title = `${WORDS.nav[name]} · ${WORDS.name}`;
  await guarded(async () => {
    const again = await VIEWS[name]({ server, place: page, rest, query, filter });
    if (mine !== turn) return;
    replace(place, page);
    redraw = again;
  });
}

/** What is refused is shown in place of the page; without a session, the way to get one. */
async function guarded(work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (error.problem.status === 401) await begin();
    else replace(place, h('div', { class: 'page' }, refusalNote(error.problem)));
  }
}

function frame(asksForPassword: boolean): void {
  const signOut = async (): Promise<void> => {
    await server.signOut();
    location.reload();
  };
  const skip = (event: Event): void => {
    event.preventDefault();
    place.focus();
  };
  replace(
    root,
    h('a', { class: 'skip', href: '#/', onclick: skip }, WORDS.skip),
    h(
      'header',
      {},
      h('a', { class: 'brand', href: '#/overview' }, WORDS.name),
      h(
        'nav',
        { 'aria-label': WORDS.nav.label },
        ...(Object.keys(VIEWS) as Name[]).map((name) => h('a', { href: `#/${name}` }, WORDS.nav[name])),
      ),
      live,
      asksForPassword && h('button', { type: 'button', onclick: () => void signOut() }, WORDS.signOut),
    ),
    place,
  );
}

/** Looks again when the server says that something has happened, and when the connection is back. */
function listen(): void {
  heard?.close(); // Of a session that is over.
  const events = new EventSource('/api/v1/events');
  heard = events;
  events.addEventListener('open', () => replace(live, badge('good', WORDS.live.on)));
  events.addEventListener('error', () => replace(live, badge('bad', WORDS.live.off)));
  events.addEventListener('changed', () => void guarded(redraw));
}

async function begin(): Promise<void> {
  const { isSignedIn, asksForPassword } = await server.session();
  if (!isSignedIn) {
    replace(root, signInForm(server, begin));
    return;
  }
  frame(asksForPassword);
  listen();
  await show();
}

window.addEventListener('hashchange', () => void show());
replace(root, place);
void guarded(begin);

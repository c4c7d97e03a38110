/** The first page: what needs somebody, then how everything is. */
import { type Caller, type Rate, RATE_WINDOWS, type SeenMessage } from '../../core/ports/activity.ts';
import type { QueueListing } from '../../core/ports/queue-control.ts';
import type { AccountView, StatusView } from '../../core/ports/relay-view.ts';
import { chart } from '../chart.ts';
import { type Child, h, replace } from '../dom.ts';
import { ago, describeLength, describeMoment, describeOctets } from '../format.ts';
import { badge, problemNote, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { drawn } from '../view.ts';
import { WORDS } from '../words.ts';
import { stateBadge } from './accounts.ts';
import { rulesInNeed, rulesOf } from './fetch.ts';
import { messageTable } from './messages.ts';

const W = WORDS.overview;
const SOON_DAYS = 30;
const SIGN_IN_AGAIN: ReadonlySet<string> = new Set(['TOKEN_MISSING', 'TOKEN_REAUTH_REQUIRED']);

export const overview = drawn(async ({ server, place, query, filter }) => {
  const window = RATE_WINDOWS.find((one) => one === query.get('window')) ?? '1h';
  const [status, accounts, rates, latest, attention] = await Promise.all([
    server.get<StatusView>('/api/v1/status'),
    server.get<{ items: AccountView[] }>('/api/v1/accounts'),
    server.get<{ items: Rate[] }>(`/api/v1/rates?window=${window}`),
    server.get<{ items: SeenMessage[] }>('/api/v1/messages?limit=8'),
    othersInNeed(server),
  ]);
  const notes = [...troubles(status, accounts.items), ...attention];
  replace(
    place,
    h('h1', {}, W.title),
    section(
      W.attention,
      notes.length === 0 ? h('p', {}, badge('good', W.allWell)) : h('ul', { class: 'notes' }, ...notes.map((note) => h('li', {}, note))),
    ),
    h(
      'div',
      { class: 'columns' },
      section(
        W.accounts,
        h(
          'ul',
          { class: 'lines' },
          ...accounts.items.map((account) =>
            h('li', {}, h('a', { href: '#/accounts' }, account.name), h('span', { class: 'quiet' }, account.mailbox), stateBadge(account)),
          ),
        ),
      ),
      section(
        W.queue,
        h('p', { class: 'figure' }, h('a', { href: '#/queue' }, W.waiting(status.queue.messages))),
        h(
          'p',
          { class: 'quiet' },
          `${W.heldOf(status.queue.held)}; ${W.space(describeOctets(status.queue.octets), describeOctets(status.queue.limitOctets))}`,
        ),
      ),
      section(
        W.listeners,
        h(
          'ul',
          { class: 'lines' },
          ...status.listeners.map(({ name, protocol, isOpen, sessions }) =>
            h(
              'li',
              {},
              h('span', {}, `${protocol.toUpperCase()} ${name}`),
              isOpen ? h('span', { class: 'quiet' }, W.sessions(sessions)) : badge('bad', W.closed),
            ),
          ),
        ),
        h('p', { class: 'quiet' }, W.running(status.version, describeLength(status.uptimeSeconds))),
      ),
    ),
    section(
      W.rates,
      h(
        'div',
        { class: 'switch', role: 'group', 'aria-label': W.rates },
        ...RATE_WINDOWS.map((one) =>
          h(
            'button',
            { type: 'button', 'aria-pressed': one === window ? 'true' : 'false', onclick: () => filter({ window: one }) },
            W.windows[one],
          ),
        ),
      ),
      chart(rates.items),
    ),
    section(W.latest, messageTable(latest.items)),
  );
});

/** What only a person can mend. */
function troubles(status: StatusView, accounts: readonly AccountView[]): Child[] {
  const inTrouble = accounts.flatMap((account) => {
    const problem = account.problem ?? account.token?.problem;
    if (problem === undefined) return [];
    const signIn =
      SIGN_IN_AGAIN.has(problem.code) &&
      h('p', {}, h('a', { class: 'button', href: `#/setup/${encodeURIComponent(account.name)}` }, WORDS.setup.reauthorise));
    return [[h('p', {}, h('a', { href: '#/accounts' }, account.name), ' ', stateBadge(account)), problemNote(problem), signIn]];
  });
  const ending = accounts.flatMap(({ name, secrets }) =>
    secrets
      .filter(({ endsAt }) => new Date(endsAt).getTime() - Date.now() < SOON_DAYS * 86_400_000)
      .map(({ secret, endsAt }) => [
        h('p', {}, h('a', { href: '#/accounts' }, name), ' ', W.secretEnds(secret, describeMoment(endsAt))),
        h('p', { class: 'quiet' }, W.secretRemedy),
      ]),
  );
  const damaged =
    status.queue.quarantined === 0
      ? []
      : [[h('p', {}, W.quarantined(status.queue.quarantined)), h('p', { class: 'quiet' }, W.quarantinedRemedy)]];
  const { problem } = status.configuration;
  const configuration = problem === undefined ? [] : [[h('p', {}, h('a', { href: '#/settings' }, W.configuration)), problemNote(problem)]];
  return [...configuration, ...status.reasons.map((reason) => h('p', {}, badge('bad', reason))), ...inTrouble, ...ending, ...damaged];
}

async function othersInNeed(server: Server): Promise<Child[]> {
  const [dead, callers, rules] = await Promise.all([
    server.get<QueueListing>('/api/v1/queue?code=DEAD_LETTER&limit=1'),
    server.get<{ items: Caller[] }>('/api/v1/callers'),
    rulesOf(server),
  ]);
  const refused = callers.items.filter(({ refusal, messages }) => refusal !== undefined && messages === 0);
  const [latest] = refused;
  return [
    ...rulesInNeed(rules),
    dead.matching > 0 && [
      h('p', {}, W.deadLetters(dead.matching), ' ', h('a', { href: '#/queue?code=DEAD_LETTER' }, W.see)),
      h('p', { class: 'quiet' }, W.deadLettersRemedy),
    ],
    latest?.refusal !== undefined && [
      h(
        'p',
        {},
        W.refusedCallers(refused.length),
        ' ',
        h('a', { href: '#/clients' }, W.see),
        ' ',
        h('span', { class: 'quiet' }, latest.peer, ' ', ago(latest.refusal.at)),
      ),
      problemNote(latest.refusal.problem),
    ],
  ].filter((note) => note !== false);
}

/** Accounts: how each is, and until when. */
import type { AccountView } from '../../core/ports/relay-view.ts';
import { h, replace } from '../dom.ts';
import { ago, describeMoment } from '../format.ts';
import { badge, facts, problemNote, refusalNote } from '../parts.ts';
import { Refusal, type Server } from '../server.ts';
import { drawn } from '../view.ts';
import { WORDS } from '../words.ts';

const W = WORDS.accounts;

/** What became of a refresh, by account: the page is drawn again as soon as there is a new token. */
const outcomes = new Map<string, HTMLElement>();

export const accounts = drawn(async ({ server, place }) => {
  const { items } = await server.get<{ items: AccountView[] }>('/api/v1/accounts');
  replace(place, h('h1', {}, W.title), ...items.map((account) => card(server, account)), items.length === 0 && h('p', {}, WORDS.nothing));
});

/** Also on the overview. */
export function stateBadge({ state, problem, token }: AccountView): HTMLElement {
  if (state === 'open' && token?.problem !== undefined) return badge('waiting', token.state);
  const tone = state === 'open' ? 'good' : problem?.heals === 'by-itself' ? 'waiting' : 'bad';
  return badge(tone, WORDS.states[state] ?? state);
}

function card(server: Server, account: AccountView): HTMLElement {
  const { name, mailbox, provider, grant, token, queue, connections, pace, secrets } = account;
  const problem = account.problem ?? token?.problem;
  const outcome = outcomes.get(name) ?? h('div', { 'aria-live': 'polite' });
  outcomes.set(name, outcome);
  const refresh = async (): Promise<void> => {
    try {
      const { expiresAt } = await server.post<{ expiresAt: string }>(`/api/v1/accounts/${encodeURIComponent(name)}/refresh`);
      replace(outcome, badge('good', W.refreshed(describeMoment(expiresAt))));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(outcome, refusalNote(error.problem));
    }
  };
  return h(
    'section',
    { class: 'card' },
    h('h2', {}, name, ' ', stateBadge(account)),
    problem !== undefined && problemNote(problem),
    facts(
      [W.mailbox, mailbox],
      [W.provider, provider],
      [W.grant, grant],
      token === undefined
        ? undefined
        : [W.token, [token.state, token.expiresAt !== undefined && `, ${W.until(describeMoment(token.expiresAt))}`]],
      [W.queue, h('a', { href: `#/queue?account=${encodeURIComponent(name)}` }, WORDS.overview.waiting(queue.messages))],
      [W.connections, W.of(connections.open, connections.limit)],
      [W.pace, W.paceLeft(pace.messagesLeft, pace.recipientsLeft)],
      secrets.length === 0 ? undefined : [W.secrets, secrets.map(({ secret, endsAt }) => h('div', {}, `${secret}: `, ago(endsAt)))],
    ),
    h(
      'p',
      { class: 'buttons start' },
      token !== undefined && h('button', { type: 'button', onclick: () => void refresh() }, W.refresh),
      h('a', { class: 'button', href: `#/setup/${encodeURIComponent(name)}` }, token === undefined ? W.change : W.changeOrSignIn),
    ),
    outcome,
  );
}

/** The queue: a list to choose from, and what can be done with the chosen. */
import type { QueueItem, QueueListing } from '../../core/ports/queue-control.ts';
import { h, replace } from '../dom.ts';
import { ago } from '../format.ts';
import { addresses, choice, field, senderOf, table } from '../parts.ts';
import type { Stage, View } from '../view.ts';
import { WORDS } from '../words.ts';
import { actions } from './queue-actions.ts';
import { queueState } from './queue-state.ts';
import { queuedMessage } from './queued-message.ts';

const W = WORDS.queue;
const PAGE = 100;

export const queue: View = (stage) => (stage.rest === '' ? list(stage) : queuedMessage(stage));

async function list({ server, place, query, filter }: Stage): Promise<() => Promise<void>> {
  const chosen = new Set<string>();
  const account = h('input', { type: 'search', value: query.get('account') ?? '', autocomplete: 'off', spellcheck: 'false' });
  const code = h('input', { type: 'search', value: query.get('code') ?? '', autocomplete: 'off', spellcheck: 'false' });
  const given = (): Record<string, string> => ({ account: account.value, state: state.value, code: code.value });
  const state = choice(W.states, query.get('state') ?? 'all', () => filter(given()));
  for (const input of [account, code]) input.addEventListener('change', () => filter(given()));
  const results = h('div', {});
  let most = PAGE;
  const bar = actions(server, chosen, () => draw());
  const draw = async (): Promise<void> => {
    const { matching, items } = await server.get<QueueListing>(`/api/v1/queue?${asked(query, most).toString()}`);
    for (const id of chosen) if (!items.some(({ queueId }) => queueId === id)) chosen.delete(id);
    const more = (): void => {
      most += PAGE;
      void draw();
    };
    replace(
      results,
      queueTable(items, chosen, () => bar.update()),
      items.length > 0 && h('p', { class: 'quiet' }, W.shown(items.length, matching)),
      items.length < matching && h('button', { type: 'button', onclick: more }, W.more),
    );
    bar.update();
  };
  await draw();
  replace(
    place,
    h('h1', {}, W.title),
    h('p', { class: 'quiet' }, W.note),
    h('div', { class: 'filters' }, field(W.account, account), field(W.state, state), field(W.code, code)),
    bar.element,
    h('section', { class: 'card' }, results),
  );
  return draw;
}

function asked(query: URLSearchParams, limit: number): URLSearchParams {
  const wanted = new URLSearchParams({ limit: String(limit) });
  for (const name of ['account', 'code']) {
    const value = query.get(name) ?? '';
    if (value !== '') wanted.set(name, value);
  }
  const state = query.get('state');
  if (state === 'held' || state === 'waiting') wanted.set('isHeld', String(state === 'held'));
  return wanted;
}

function queueTable(items: readonly QueueItem[], chosen: Set<string>, changed: () => void): HTMLElement {
  const C = W.columns;
  const boxes = items.map(({ queueId }) => {
    const box = h('input', { type: 'checkbox', 'aria-label': W.select(queueId), checked: chosen.has(queueId) });
    box.addEventListener('change', () => {
      if (box.checked) chosen.add(queueId);
      else chosen.delete(queueId);
      changed();
    });
    return box;
  });
  const all = h('input', { type: 'checkbox', 'aria-label': W.selectAll });
  all.addEventListener('change', () => {
    for (const [index, { queueId }] of items.entries()) {
      const box = boxes[index];
      if (box !== undefined) box.checked = all.checked;
      if (all.checked) chosen.add(queueId);
      else chosen.delete(queueId);
    }
    changed();
  });
  return table(
    W.title,
    [
      { title: all, label: '', cell: (item) => boxes[items.indexOf(item)] },
      { title: C.accepted, label: C.accepted, cell: ({ queueId, acceptedAt }) => h('a', { href: `#/queue/${queueId}` }, ago(acceptedAt)) },
      { title: C.from, label: C.from, cell: ({ reversePath }) => h('span', { class: 'address' }, senderOf(reversePath)) },
      { title: C.to, label: C.to, cell: ({ recipients }) => addresses(recipients.map(({ address }) => address)) },
      { title: C.account, label: C.account, cell: ({ account }) => account },
      { title: C.state, label: C.state, cell: queueState },
      { title: C.next, label: C.next, cell: ({ nextAttemptAt }) => nextAttemptAt !== undefined && ago(nextAttemptAt) },
    ],
    items,
    W.empty,
  );
}

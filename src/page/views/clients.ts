/** Clients as configured, and who connects. */
import type { Caller } from '../../core/ports/activity.ts';
import type { AccountView, ClientView } from '../../core/ports/relay-view.ts';
import type { NewClient } from '../../core/ports/setup.ts';
import { type Child, h, replace } from '../dom.ts';
import { ago } from '../format.ts';
import { addresses, badge, problemNote, refusalNote, section, table } from '../parts.ts';
import { Refusal, type Server } from '../server.ts';
import { drawn } from '../view.ts';
import { WORDS } from '../words.ts';
import { confirming } from './confirming.ts';
import { copyable } from './copyable.ts';

const W = WORDS.clients;
const C = W.columns;

/** The password that was made last stays on the page, whatever happens meanwhile. */
const outcome = h('div', { 'aria-live': 'polite' });

export const clients = drawn(async ({ server, place }) => {
  const [configured, callers, accounts] = await Promise.all([
    server.get<{ items: ClientView[] }>('/api/v1/clients'),
    server.get<{ items: Caller[] }>('/api/v1/callers'),
    server.get<{ items: AccountView[] }>('/api/v1/accounts'),
  ]);
  replace(
    place,
    h('h1', {}, W.title),
    section(
      W.configured,
      outcome,
      clientTable(configured.items, callers.items, (name) => resetPassword(server, name, outcome)),
    ),
    section(W.callers, h('p', { class: 'quiet' }, W.callersNote), callerTable(callers.items, accounts.items[0]?.name)),
  );
});

function clientTable(items: readonly ClientView[], callers: readonly Caller[], reset: (name: string) => void): HTMLElement {
  return table(
    W.configured,
    [
      { title: C.client, label: C.client, cell: ({ name }) => h('strong', {}, name) },
      { title: C.account, label: C.account, cell: ({ account }) => account },
      {
        title: C.proof,
        label: C.proof,
        cell: ({ username, networks }) =>
          [username === undefined ? undefined : W.password(username), networks.length === 0 ? undefined : W.networks(networks.join(', '))]
            .filter((proof) => proof !== undefined)
            .join(W.either),
      },
      {
        title: C.senders,
        label: C.senders,
        cell: ({ senders, onOtherSender }) => [
          addresses(senders, 3),
          onOtherSender === 'rewrite' && h('div', { class: 'quiet' }, W.rewrite),
        ],
      },
      {
        title: C.last,
        label: C.last,
        cell: ({ name }) => {
          const last = callers.find(({ client, messages }) => client === name && messages > 0);
          return last === undefined ? W.never : ago(last.lastAt);
        },
      },
      {
        title: '',
        label: '',
        cell: ({ name, username }) =>
          username !== undefined && h('button', { type: 'button', class: 'small', onclick: () => reset(name) }, W.reset),
      },
    ],
    items,
    WORDS.nothing,
  );
}

/** @param account - That a stranger may become a client of. */
function callerTable(items: readonly Caller[], account: string | undefined): HTMLElement {
  return table(
    W.callers,
    [
      { title: C.peer, label: C.peer, cell: ({ peer }) => h('code', {}, peer) },
      { title: C.client, label: C.client, cell: ({ client }) => client ?? badge('waiting', W.stranger) },
      { title: C.last, label: C.last, cell: ({ lastAt }) => ago(lastAt) },
      { title: C.counts, label: C.counts, cell: ({ messages, refusals }) => `${messages}, ${refusals}` },
      {
        title: C.security,
        label: C.security,
        cell: ({ tls, mechanism }) => [tls ?? W.clear, mechanism].filter((part) => part !== undefined).join(', '),
      },
      {
        title: C.refusal,
        label: C.refusal,
        cell: (caller) => refusalOf(caller, account),
      },
    ],
    items,
    WORDS.nothing,
  );
}

function refusalOf({ peer, client, refusal }: Caller, account: string | undefined): Child {
  if (refusal === undefined) return undefined;
  const isStranger = (client === undefined || refusal.problem.code === 'CLIENT_UNKNOWN') && account !== undefined;
  const target = isStranger ? `#/setup/${encodeURIComponent(account)}?network=${encodeURIComponent(peer)}` : undefined;
  return [
    ago(refusal.at),
    problemNote(refusal.problem),
    target !== undefined && h('a', { class: 'button', href: target }, WORDS.setup.accept),
  ];
}

/** Asks first: the application is locked out until it has the new one. */
function resetPassword(server: Server, name: string, place: HTMLElement): void {
  const reset = async (): Promise<void> => {
    try {
      const { password } = await server.post<NewClient>(`/api/v1/clients/${encodeURIComponent(name)}/password`);
      replace(place, h('p', {}, W.newPassword(name)), copyable(password ?? ''));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(place, refusalNote(error.problem));
    }
  };
  confirming({ text: W.resetAsk(name), no: W.resetNo, yes: W.resetYes }, reset);
}

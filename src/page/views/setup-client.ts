/** The fourth part: the application, and what to fill in there. */
import type { NewClient } from '../../core/ports/setup.ts';
import type { StatusView } from '../../core/ports/relay-view.ts';
import { type Child, h } from '../dom.ts';
import { choice, field, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { APPLICATIONS } from '../snippets/applications.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import { copyable } from './copyable.ts';
import { diffView } from './diff-view.ts';
import type { ChosenAccount } from './chosen-account.ts';

const W = WORDS.setup.client;

/** @param query - `network`: of a device that was refused, and is to become a client. */
export function clientPart(server: Server, { name: account, mailbox }: ChosenAccount, query: URLSearchParams): HTMLElement {
  const network = query.get('network') ?? '';
  const name = h('input', { required: true, autocomplete: 'off', spellcheck: 'false' });
  const username = h('input', { autocomplete: 'off', spellcheck: 'false' });
  const networks = h('textarea', { rows: 2, spellcheck: 'false' });
  networks.value = network;
  const fields = { password: field(W.username, username), network: field(W.networks, networks) };
  const show = (kind: string): void => {
    fields.password.hidden = kind !== 'password';
    fields.network.hidden = kind !== 'network';
  };
  const kind = choice(W.kinds, network === '' ? 'password' : 'network', show);
  show(kind.value);
  const send = async (isTrial: boolean): Promise<Child> => {
    const proof =
      kind.value === 'password'
        ? { username: username.value.trim() === '' ? name.value.trim() : username.value.trim() }
        : { networks: networks.value.split(/\s+/).filter((one) => one !== '') };
    const added = await server.post<NewClient>('/api/v1/setup/clients', { name: name.value.trim(), account, ...proof, isTrial });
    if (isTrial) return diffView(added);
    const status = await server.get<StatusView>('/api/v1/status');
    return settings(status, mailbox, 'username' in proof ? proof.username : undefined, added.password);
  };
  return section(
    W.title,
    h('p', { class: 'quiet' }, W.note),
    asking([h('div', { class: 'filters' }, field(W.name, name), field(W.kind, kind), fields.password, fields.network)], {
      [W.write]: () => send(false),
      [WORDS.setup.account.look]: () => send(true),
    }),
  );
}

function settings({ listeners }: StatusView, from: string, username: string | undefined, password: string | undefined): Child {
  const listener = listeners.find(({ protocol, isOpen }) => protocol === 'smtp' && isOpen);
  const [, host = 'localhost', port = '2525'] = /^\[?(.+?)\]?:(\d+)/.exec(listener?.name ?? '') ?? [];
  const known = {
    host: host === '0.0.0.0' || host === '::' ? location.hostname : host,
    port,
    tls: listener?.tls ?? 'off',
    from,
    username,
    password: password ?? '',
  };
  return [
    password !== undefined && [h('p', {}, W.password), copyable(password)],
    h('h3', {}, W.settings),
    ...APPLICATIONS.map(({ title, notes, render }) =>
      h(
        'details',
        {},
        h('summary', {}, title),
        copyable(render(known)),
        h('ul', { class: 'quiet' }, ...notes.map((note) => h('li', {}, marked(note)))),
      ),
    ),
    h('p', { class: 'quiet' }, W.docs),
  ];
}

/** The little Markdown that notes have. */
const marked = (text: string): Child =>
  text.split(/(`[^`]+`|\*[^*]+\*)/).map((part) => {
    if (part.startsWith('`')) return h('code', {}, part.slice(1, -1));
    return part.startsWith('*') ? h('em', {}, part.slice(1, -1)) : part;
  });

/** The first part: what to do at the provider, what to fill in, what would be written. */
import type { AccountDraft, ConfigEdit } from '../../core/ports/setup.ts';
import { type Child, h, replace } from '../dom.ts';
import { badge, choice, field, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import { copyable } from './copyable.ts';
import { diffView } from './diff-view.ts';
import { guideFor } from './guides.ts';
import type { ChosenAccount } from './chosen-account.ts';

const W = WORDS.setup.account;

export function accountPart(server: Server, done: (account: ChosenAccount) => void): HTMLElement {
  const guide = h('ol', { class: 'guide' });
  const input = (attributes: Readonly<Record<string, string | boolean>> = {}): HTMLInputElement =>
    h('input', { autocomplete: 'off', spellcheck: 'false', ...attributes, onchange: () => update() });
  const name = input({ required: true, placeholder: W.nameHint });
  const mailbox = input({ required: true, type: 'email' });
  const tenant = input();
  const clientId = input({ required: true });
  const clientSecret = input({ type: 'password' });
  const grant = choice(W.grants, 'refresh_token', () => update());
  const provider = h('select', { onchange: () => update() });
  const draft = (): AccountDraft => ({
    name: name.value.trim(),
    provider: provider.value,
    mailbox: mailbox.value.trim(),
    grant: grant.value === 'client_credentials' ? 'client_credentials' : 'refresh_token',
    clientId: clientId.value.trim(),
    ...(tenant.value.trim() === '' ? {} : { tenant: tenant.value.trim() }),
    ...(clientSecret.value === '' ? {} : { clientSecret: clientSecret.value }),
  });
  const update = (): void => {
    const { provider: chosen, grant: how, mailbox: box, clientId: id } = draft();
    replace(
      guide,
      ...guideFor(chosen, how, box, id).map(({ text, link, copy }) =>
        h(
          'li',
          {},
          link === undefined ? text : h('a', { href: link, target: '_blank', rel: 'noreferrer' }, text),
          copy !== undefined && copyable(copy),
        ),
      ),
    );
  };
  const send = async (isTrial: boolean): Promise<Child> => {
    const wanted = draft();
    const edit = await server.post<ConfigEdit>('/api/v1/setup/accounts', { ...wanted, isTrial });
    if (isTrial) return diffView(edit);
    clientSecret.value = '';
    done(wanted);
    return badge('good', W.written(edit.file));
  };
  void fillProviders(server, provider).then(update);
  return section(
    W.title,
    h('div', { class: 'filters' }, field(W.provider, provider), field(W.grant, grant)),
    h('details', { open: true }, h('summary', {}, W.guide), guide),
    asking(
      [
        h(
          'div',
          { class: 'filters' },
          field(W.name, name),
          field(W.mailbox, mailbox),
          field(W.tenant, tenant),
          field(W.clientId, clientId),
          field(W.clientSecret, clientSecret),
        ),
        h('p', { class: 'quiet' }, W.secretHint),
      ],
      { [W.look]: () => send(true), [W.write]: () => send(false) },
    ),
  );
}

async function fillProviders(server: Server, select: HTMLSelectElement): Promise<void> {
  const { items } = await server.get<{ items: string[] }>('/api/v1/setup/providers');
  replace(select, ...items.map((name) => h('option', { value: name, selected: name === 'microsoft365' }, name)));
}

/** The first part: what to do at the provider, what to fill in, what would be written. */
import type { AccountChanges, AccountDraft, ConfigEdit, ConfiguredAccount } from '../../core/ports/setup.ts';
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

/** The account that is there, with what may be changed in it. Only what differs is sent, so that references in the file stay where they are. */
export function editPart(server: Server, known: ConfiguredAccount, changed: () => void): HTMLElement {
  const input = (value: string | undefined, attributes: Readonly<Record<string, string | boolean>> = {}): HTMLInputElement => {
    const control = h('input', { autocomplete: 'off', spellcheck: 'false', ...attributes });
    control.value = value ?? '';
    return control;
  };
  let now = known;
  const mailbox = input(known.mailbox, { required: true, type: 'email' });
  const tenant = input(known.tenant, { required: known.tenant !== undefined });
  const clientId = input(known.clientId, { required: true });
  const clientSecret = input(undefined, { type: 'password', placeholder: known.hasClientSecret ? W.secretKept : '' });
  const grant = choice(W.grants, known.grant, () => undefined);
  const provider = h('select', {});
  const changes = (): AccountChanges => {
    const typed = {
      provider: provider.value === '' ? known.provider : provider.value, // Not filled yet.
      mailbox: mailbox.value.trim(),
      grant: grant.value,
      tenant: tenant.value.trim(),
      clientId: clientId.value.trim(),
    };
    const differing = Object.entries(typed).filter(([key, value]) => value !== (now[key as keyof typeof typed] ?? ''));
    return { ...Object.fromEntries(differing), ...(clientSecret.value === '' ? {} : { clientSecret: clientSecret.value }) };
  };
  const send = async (isTrial: boolean): Promise<Child> => {
    const wanted = changes();
    if (Object.keys(wanted).length === 0) return h('p', {}, W.unchanged);
    const edit = await server.post<ConfigEdit>(`/api/v1/setup/accounts/${encodeURIComponent(known.name)}`, { ...wanted, isTrial });
    const shown = edit.diff.every(({ kind }) => kind === 'same') ? h('p', {}, W.onlySecret) : diffView(edit);
    if (isTrial) return shown;
    clientSecret.value = '';
    now = { ...now, ...given(wanted) };
    changed();
    return [badge('good', W.written(edit.file)), shown, needsSignIn(wanted) && h('p', {}, W.signInNext)];
  };
  void fillProviders(server, provider, known.provider);
  return h(
    'details',
    {},
    h('summary', {}, W.change),
    asking(
      [
        h(
          'div',
          { class: 'filters' },
          field(W.provider, provider),
          field(W.grant, grant),
          field(W.mailbox, mailbox),
          field(W.tenant, tenant),
          field(W.clientId, clientId),
          field(W.clientSecret, clientSecret),
        ),
        h('p', { class: 'quiet' }, W.changeHint),
      ],
      { [W.look]: () => send(true), [W.write]: () => send(false) },
    ),
  );
}

/** Without those that are not given, and the secret. */
const given = (changes: AccountChanges): Partial<ConfiguredAccount> =>
  Object.fromEntries(Object.entries(changes).filter(([key, value]) => key !== 'clientSecret' && value !== undefined));

/** Whether the form fits: other ways to sign in have other keys. */
export const isEditable = ({ grant, clientId }: ConfiguredAccount): boolean => Object.hasOwn(W.grants, grant) && clientId !== undefined;

/** Tokens that are stored are of another mailbox, or for another application. */
const needsSignIn = ({ provider, mailbox, grant, tenant, clientId }: AccountChanges): boolean =>
  [provider, mailbox, grant, tenant, clientId].some((value) => value !== undefined);

async function fillProviders(server: Server, select: HTMLSelectElement, chosen = 'microsoft365'): Promise<void> {
  const { items } = await server.get<{ items: string[] }>('/api/v1/setup/providers');
  replace(select, ...items.map((name) => h('option', { value: name, selected: name === chosen }, name)));
}

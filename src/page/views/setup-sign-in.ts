/** The second part: somebody signs in, here or elsewhere, and what has become of it. */
import { SIGN_IN_WAYS, type SignInView, type SignInWay } from '../../core/ports/setup.ts';
import { type Child, h, replace } from '../dom.ts';
import { badge, choice, field, problemNote, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { asking } from './asking.ts';
import { copyable } from './copyable.ts';
import type { ChosenAccount } from './chosen-account.ts';

const W = WORDS.setup.signIn;
const LOOK_EVERY_MS = 1_000;

export function signInPart(server: Server, { name, mailbox, grant }: ChosenAccount, done: () => void): HTMLElement {
  if (grant !== 'refresh_token' && grant !== 'device_code') return section(W.title, h('p', {}, W.notNeeded));
  const way = choice(W.ways, 'browser', () => undefined);
  const progress = h('div', { 'aria-live': 'polite' });
  let isDone = false;
  const begin = async (): Promise<Child> => {
    const chosen = SIGN_IN_WAYS.find((known) => known === way.value) ?? 'browser';
    const view = await server.post<SignInView>(`/api/v1/accounts/${encodeURIComponent(name)}/sign-in`, { way: chosen });
    replace(progress, prompt(server, view, chosen));
    void follow(view);
    return undefined;
  };
  /** Until it has ended, or the page is another. */
  const follow = async (view: SignInView): Promise<void> => {
    let now = view;
    while ((now.state === 'begun' || now.state === 'waiting') && progress.isConnected) {
      await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY_MS));
      now = await server.get<SignInView>(`/api/v1/sign-ins/${view.id}`);
    }
    if (now.state === 'failed' && now.problem !== undefined) replace(progress, problemNote(now.problem));
    if (now.state !== 'done') return;
    replace(progress, badge('good', now.user === undefined ? W.doneUnknown : W.done(now.user)));
    if (!isDone) done();
    isDone = true;
  };
  return section(W.title, h('p', {}, W.note(mailbox)), asking([field(W.how, way)], { [W.begin]: begin }), progress);
}

function prompt(server: Server, { id, url, userCode, problem }: SignInView, way: SignInWay): Child {
  if (problem !== undefined) return problemNote(problem);
  if (url === undefined) return undefined;
  const link = h('p', {}, h('a', { href: url, target: '_blank', rel: 'noreferrer' }, W.open));
  if (way === 'device')
    return [link, h('p', {}, W.code), h('p', { class: 'code' }, userCode ?? ''), h('p', { class: 'quiet' }, url), h('p', {}, W.wait)];
  if (way === 'browser') return [link, h('p', {}, W.wait)];
  const address = h('input', { required: true, autocomplete: 'off', spellcheck: 'false' });
  const bring = async (): Promise<Child> => {
    await server.post<SignInView>(`/api/v1/sign-ins/${id}`, { address: address.value.trim() });
    address.value = '';
    await new Promise((resolve) => window.setTimeout(resolve, LOOK_EVERY_MS));
    const { complaint } = await server.get<SignInView>(`/api/v1/sign-ins/${id}`);
    return complaint === undefined ? undefined : badge('bad', complaint);
  };
  return [link, copyable(url), asking([field(W.address, address)], { [W.paste]: bring })];
}

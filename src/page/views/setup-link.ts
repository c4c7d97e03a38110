/** A link for the owner of the mailbox, who is no operator: made, shown once, withdrawn. */
import type { NewSignInLink, SignInLinkView } from '../../core/ports/sign-in-links.ts';
import { type Child, h, replace } from '../dom.ts';
import { ago, describeMoment } from '../format.ts';
import { refusalNote } from '../parts.ts';
import { Refusal, type Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { copyable } from './copyable.ts';

const W = WORDS.setup.link;

export function linkPart(server: Server, account: string): HTMLElement {
  const path = `/api/v1/accounts/${encodeURIComponent(account)}/sign-in-link`;
  const state = h('div', { 'aria-live': 'polite' });
  const made = h('div', { 'aria-live': 'polite' });
  const make = (): Promise<void> =>
    shown(made, async () => {
      replace(made); // The one before ends.
      const { secret, expiresAt } = await server.post<NewSignInLink>(path);
      await draw();
      return [
        h('p', {}, W.made(describeMoment(expiresAt))),
        copyable(`${location.origin}/sign-in#${secret}`),
        isThisMachine(location.hostname) && h('p', { class: 'problem' }, W.local),
        !isThisMachine(location.hostname) && location.protocol === 'http:' && h('p', { class: 'problem' }, W.clear),
      ];
    });
  const withdraw = (): Promise<void> =>
    shown(made, async () => {
      await server.delete(path);
      await draw();
      return h('p', {}, W.withdrawn);
    });
  const draw = (): Promise<void> =>
    shown(state, async () => {
      const { link } = await server.get<{ link?: SignInLinkView }>(path);
      const isOpen = link?.state === 'unopened' || link?.state === 'opened';
      return [
        link !== undefined && h('p', {}, describe(link)),
        h(
          'p',
          { class: 'buttons start' },
          h('button', { type: 'button', onclick: () => void make() }, link === undefined ? W.make : W.another),
          isOpen && h('button', { type: 'button', class: 'danger', onclick: () => void withdraw() }, W.withdraw),
        ),
      ];
    });
  void draw();
  return h('details', {}, h('summary', {}, W.title), h('p', { class: 'quiet' }, W.note), state, made);
}

function describe({ state, expiresAt, openedAt, openedBy }: SignInLinkView): Child {
  const opened = openedAt === undefined ? undefined : [W.opened(openedBy ?? ''), ' ', ago(openedAt), '. '];
  if (state === 'unopened') return W.unopened(describeMoment(expiresAt));
  return [opened, W.states[state]];
}

/** A link to here leads nowhere from another machine. */
const isThisMachine = (host: string): boolean => host === 'localhost' || host === '[::1]' || host.startsWith('127.');

async function shown(place: HTMLElement, work: () => Promise<Child>): Promise<void> {
  try {
    replace(place, await work());
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    replace(place, refusalNote(error.problem));
  }
}

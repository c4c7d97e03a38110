/** The second part: somebody signs in, here or elsewhere, or is sent a link. */
import { SIGN_IN_WAYS, type SignInView } from '../../core/ports/setup.ts';
import { h } from '../dom.ts';
import { problemNote, section } from '../parts.ts';
import type { Server } from '../server.ts';
import { WORDS } from '../words.ts';
import type { ChosenAccount } from './chosen-account.ts';
import { linkPart } from './setup-link.ts';
import { signInDialogue } from './sign-in-dialogue.ts';

const W = WORDS.setup.signIn;

export function signInPart(server: Server, { name, mailbox, grant }: ChosenAccount, done: () => void): HTMLElement {
  if (grant !== 'refresh_token' && grant !== 'device_code') return section(W.title, h('p', {}, W.notNeeded));
  let id = '';
  let isDone = false;
  const dialogue = signInDialogue({
    ways: SIGN_IN_WAYS,
    texts: W.ways,
    begin: async (way) => {
      const view = await server.post<SignInView>(`/api/v1/accounts/${encodeURIComponent(name)}/sign-in`, { way });
      ({ id } = view);
      return view;
    },
    look: () => server.get<SignInView>(`/api/v1/sign-ins/${id}`),
    paste: (address) => server.post<SignInView>(`/api/v1/sign-ins/${id}`, { address }),
    describe: problemNote,
    done: () => {
      if (!isDone) done();
      isDone = true;
    },
  });
  return section(W.title, h('p', {}, W.note(mailbox)), dialogue, linkPart(server, name));
}

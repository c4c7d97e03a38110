/** The set-up: account, sign-in, examination, client, test message. Each part appears once the one before is done. */
import type { AccountView } from '../../core/ports/relay-view.ts';
import { h, replace } from '../dom.ts';
import type { Stage } from '../view.ts';
import { WORDS } from '../words.ts';
import type { ChosenAccount } from './chosen-account.ts';
import { accountPart } from './setup-account.ts';
import { clientPart } from './setup-client.ts';
import { examinationPart } from './setup-examination.ts';
import { signInPart } from './setup-sign-in.ts';
import { testPart } from './setup-test.ts';

const W = WORDS.setup;

/** `#/setup` begins with a new account, `#/setup/NAME` goes on with one that is there. Drawn once: somebody is typing. */
export async function setup({ server, place, rest, query }: Stage): Promise<() => Promise<void>> {
  const parts = h('div', {});
  const goOn = (account: ChosenAccount): void => {
    const others = [examinationPart(server, account), clientPart(server, account, query), testPart(server, account)];
    const unlock = (): void => parts.append(...others);
    parts.append(signInPart(server, account, unlock));
    // Whoever comes back to an account that is in order wants any of the parts.
    if (account.grant !== 'refresh_token' || rest !== '') unlock();
  };
  const known = rest === '' ? undefined : await find(rest);
  if (known === undefined) parts.append(accountPart(server, goOn));
  else {
    parts.append(h('section', { class: 'card' }, h('p', {}, W.account.again(known.name))));
    goOn(known);
  }
  replace(place, h('h1', {}, W.title), h('p', { class: 'quiet' }, W.note), parts);
  return () => Promise.resolve();

  async function find(name: string): Promise<ChosenAccount> {
    return server.get<AccountView>(`/api/v1/accounts/${encodeURIComponent(name)}`);
  }
}

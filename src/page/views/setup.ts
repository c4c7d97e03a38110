/** The set-up: account, sign-in, examination, client, test message. Each part appears once the one before is done. */
import type { AccountView } from '../../core/ports/relay-view.ts';
import type { ConfiguredAccount } from '../../core/ports/setup.ts';
import { h, replace } from '../dom.ts';
import { Refusal, type Server } from '../server.ts';
import type { Stage } from '../view.ts';
import { WORDS } from '../words.ts';
import type { ChosenAccount } from './chosen-account.ts';
import { accountPart, editPart, isEditable } from './setup-account.ts';
import { clientPart } from './setup-client.ts';
import { examinationPart } from './setup-examination.ts';
import { signInPart } from './setup-sign-in.ts';
import { testPart } from './setup-test.ts';

const W = WORDS.setup;

/** `#/setup` begins with a new account, `#/setup/NAME` goes on with one that is there. Drawn once: somebody is typing. */
export async function setup({ server, place, rest, query }: Stage): Promise<() => Promise<void>> {
  const own = h('div', {});
  const parts = h('div', {});
  const goOn = (account: ChosenAccount): void => {
    const others = [examinationPart(server, account), clientPart(server, account, query), testPart(server, account)];
    const unlock = (): void => parts.append(...others);
    parts.append(signInPart(server, account, unlock));
    // Whoever comes back to an account that is in order wants any of the parts.
    if (account.grant !== 'refresh_token' || rest !== '') unlock();
  };
  /** With the mailbox as it is now. */
  const goOnAnew = async (name: string): Promise<void> => {
    const account = await find(name);
    replace(parts);
    goOn(account);
  };
  const known = rest === '' ? undefined : await find(rest);
  if (known === undefined) parts.append(accountPart(server, goOn));
  else {
    const configured = await configuredAs(server, known.name);
    const edit =
      configured !== undefined && isEditable(configured)
        ? editPart(server, configured, () => void goOnAnew(known.name))
        : h('p', { class: 'quiet' }, W.account.byHand);
    own.append(h('section', { class: 'card' }, h('p', {}, W.account.again(known.name)), edit));
    goOn(known);
  }
  replace(place, h('h1', {}, W.title), h('p', { class: 'quiet' }, W.note), own, parts);
  return () => Promise.resolve();

  async function find(name: string): Promise<ChosenAccount> {
    return server.get<AccountView>(`/api/v1/accounts/${encodeURIComponent(name)}`);
  }
}

/** Undefined where the file has no such account: that of the sandbox is in no file. */
async function configuredAs(server: Server, name: string): Promise<ConfiguredAccount | undefined> {
  try {
    return await server.get<ConfiguredAccount>(`/api/v1/setup/accounts/${encodeURIComponent(name)}`);
  } catch (error) {
    if (error instanceof Refusal && error.problem.status === 400) return undefined;
    throw error;
  }
}

/**
 * Asks for the admin password.
 *
 * @packageDocumentation
 */
import { h, replace } from './dom.ts';
import { field, refusalNote } from './parts.ts';
import { Refusal, type Server } from './server.ts';
import { WORDS } from './words.ts';

const W = WORDS.signIn;

/** @param signedIn - Is called once the server has taken the password. */
export function signInForm(server: Server, signedIn: () => Promise<void>): HTMLElement {
  const outcome = h('div', { 'aria-live': 'polite' });
  const password = h('input', { type: 'password', autocomplete: 'current-password', required: true });
  const send = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      await server.signIn(password.value);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(outcome, refusalNote(error.problem));
      password.value = '';
      password.focus();
      return;
    }
    await signedIn();
  };
  return h(
    'main',
    { class: 'sign-in' },
    h('h1', {}, WORDS.name),
    h(
      'form',
      { class: 'card', onsubmit: (event: Event) => void send(event) },
      field(W.password, password),
      h('button', {}, W.button),
      outcome,
      h('p', { class: 'quiet' }, W.hint),
    ),
  );
}

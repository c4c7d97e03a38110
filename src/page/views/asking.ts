/** A form whose answer, or refusal, is shown below it. */
import { type Child, h, replace } from '../dom.ts';
import { refusalNote } from '../parts.ts';
import { Refusal } from '../server.ts';

/** @param send - What becomes of it is shown; a refusal, too. */
export function asking(fields: readonly Child[], buttons: Readonly<Record<string, () => Promise<Child>>>): HTMLFormElement {
  const outcome = h('div', { 'aria-live': 'polite' });
  const all = Object.entries(buttons).map(([text, action], index) => {
    const button = h('button', { type: index === 0 ? 'submit' : 'button' }, text);
    return { button, action };
  });
  const run = async (action: () => Promise<Child>): Promise<void> => {
    for (const { button } of all) button.disabled = true;
    try {
      replace(outcome, await action());
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(outcome, refusalNote(error.problem));
    } finally {
      for (const { button } of all) button.disabled = false;
    }
  };
  for (const { button, action } of all.slice(1)) button.addEventListener('click', () => void run(action));
  const submit = (event: Event): void => {
    event.preventDefault();
    const [first] = all;
    if (first !== undefined) void run(first.action);
  };
  return h('form', { onsubmit: submit }, ...fields, h('p', { class: 'buttons start' }, ...all.map(({ button }) => button)), outcome);
}

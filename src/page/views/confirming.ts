/** Asks before something is done that cannot be undone. */
import { focusLike, h } from '../dom.ts';

/** What is asked, and the texts of both answers. */
export interface Question {
  readonly text: string;
  readonly no: string;
  readonly yes: string;
}

/** Escape and `no` do nothing. The keyboard is back where it was afterwards. */
export function confirming({ text, no, yes }: Question, work: () => Promise<void>): void {
  const asked = document.activeElement;
  const closed = (): void => {
    dialog.remove();
    // The browser goes back to what was focused, unless that has been drawn anew meanwhile.
    if (document.activeElement === document.body && asked instanceof HTMLElement) focusLike(asked, document.body);
  };
  const dialog = h('dialog', { 'aria-label': text, onclose: closed });
  const agree = (): void => {
    dialog.close();
    void work();
  };
  dialog.append(
    h('p', {}, text),
    h(
      'p',
      { class: 'buttons' },
      h('button', { type: 'button', onclick: () => dialog.close() }, no),
      h('button', { type: 'button', class: 'danger', onclick: agree }, yes),
    ),
  );
  document.body.append(dialog);
  dialog.showModal();
}

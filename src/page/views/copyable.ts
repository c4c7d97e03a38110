/** Something to copy, with the button that does. */
import { h, replace } from '../dom.ts';
import { WORDS } from '../words.ts';

const W = WORDS.setup.account;

export function copyable(text: string): HTMLElement {
  const button = h('button', { type: 'button', class: 'small' }, W.copy);
  button.addEventListener('click', () => void navigator.clipboard.writeText(text).then(() => replace(button, W.copied)));
  return h('div', { class: 'copyable' }, h('pre', { tabindex: 0 }, text), button);
}

/** What an edit changes in the configuration. */
import type { ConfigEdit } from '../../core/ports/setup.ts';
import { h } from '../dom.ts';

const SIGNS = { same: ' ', added: '+', removed: '-' } as const;

export function diffView({ file, diff }: ConfigEdit): HTMLElement {
  const lines = diff.map(({ kind, text }) => h('span', { class: kind }, `${SIGNS[kind]} ${text}\n`));
  return h('figure', {}, h('figcaption', { class: 'quiet' }, file), h('pre', { class: 'diff', tabindex: 0 }, ...lines));
}

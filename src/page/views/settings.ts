/** The configuration as it is in the file, secrets hidden, with what is wrong beside the line. */
import type { ConfigDocument, ConfigRemark } from '../../core/ports/setup.ts';
import { h, replace } from '../dom.ts';
import { badge, section } from '../parts.ts';
import { drawn } from '../view.ts';
import { WORDS } from '../words.ts';

const W = WORDS.settings;

export const settings = drawn(async ({ server, place }) => {
  const { source, text, remarks } = await server.get<ConfigDocument>('/api/v1/setup/config');
  replace(
    place,
    h('h1', {}, W.title),
    h('p', { class: 'quiet' }, source === 'environment' ? W.environment : W.note(source)),
    section(
      W.remarks,
      remarks.length === 0
        ? h('p', {}, badge('good', W.fine))
        : h(
            'ul',
            { class: 'notes' },
            ...remarks.map((remark) => h('li', {}, badge(toneOf(remark), W.kinds[remark.kind]), ' ', remark.text)),
          ),
    ),
    text !== undefined &&
      section(
        W.text,
        h('pre', { class: 'config', tabindex: 0 }, ...text.split('\n').map((line, index) => lineOf(line, index + 1, remarks))),
      ),
  );
});

const toneOf = ({ kind }: ConfigRemark) => (kind === 'problem' ? 'bad' : 'waiting');

function lineOf(text: string, number: number, remarks: readonly ConfigRemark[]): HTMLElement {
  const own = remarks.filter(({ line }) => line === number);
  const kind = own.some((remark) => remark.kind === 'problem') ? 'removed' : own.length > 0 ? 'noted' : undefined;
  return h(
    'span',
    { class: kind, title: own.length === 0 ? undefined : own.map((remark) => remark.text).join('; ') },
    `${String(number).padStart(4)}  ${text}\n`,
  );
}

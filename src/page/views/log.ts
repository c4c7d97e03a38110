/** The last lines of the log. */
import { KEPT_LEVELS, type LogLine } from '../../core/ports/log-reader.ts';
import { h, replace } from '../dom.ts';
import { ago } from '../format.ts';
import { choice, field } from '../parts.ts';
import type { Stage } from '../view.ts';
import { WORDS } from '../words.ts';

const W = WORDS.log;
/** What the message itself says already, or nobody reads. */
const UNSHOWN: ReadonlySet<string> = new Set(['event', 'heals']);

export async function log({ server, place, query, filter }: Stage): Promise<() => Promise<void>> {
  const level = KEPT_LEVELS.find((known) => known === query.get('level')) ?? 'info';
  const lines = h('ol', { class: 'trace', tabindex: 0, 'aria-label': W.title });
  const draw = async (): Promise<void> => {
    const { items } = await server.get<{ items: LogLine[] }>(`/api/v1/log?level=${level}`);
    replace(lines, ...items.map(line));
  };
  await draw();
  const levels = choice(W.levels, level, (wanted) => filter({ level: wanted }));
  replace(
    place,
    h('h1', {}, W.title),
    h('p', { class: 'quiet' }, W.note),
    h('div', { class: 'filters' }, field(W.level, levels)),
    h('section', { class: 'card' }, lines),
  );
  return draw;
}

function line({ at, level, message, fields }: LogLine): HTMLElement {
  const shown = Object.entries(fields).filter(([name]) => !UNSHOWN.has(name));
  return h(
    'li',
    { class: level },
    ago(at),
    ' ',
    h('strong', {}, message),
    shown.length > 0 &&
      h(
        'div',
        { class: 'quiet' },
        shown.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join(' '),
      ),
  );
}

/** Traces: begin one, and read what it hears as it comes. */
import type { TraceLine, TraceReading, TraceView } from '../../core/ports/traces.ts';
import { h, replace } from '../dom.ts';
import { ago, describeMoment } from '../format.ts';
import { badge, choice, field, refusalNote, section, table } from '../parts.ts';
import { Refusal } from '../server.ts';
import type { Stage, View } from '../view.ts';
import { WORDS } from '../words.ts';

const W = WORDS.trace;

export const trace: View = (stage) => (stage.rest === '' ? list(stage) : read(stage));

async function list({ server, place }: Stage): Promise<() => Promise<void>> {
  const outcome = h('div', { 'aria-live': 'polite' });
  const kind = choice(W.kinds, 'client', () => undefined);
  const subject = h('input', { required: true, autocomplete: 'off', spellcheck: 'false' });
  const begin = async (event: Event): Promise<void> => {
    event.preventDefault();
    try {
      const { id } = await server.post<TraceView>('/api/v1/traces', { [kind.value]: subject.value.trim() });
      location.hash = `#/trace/${id}`;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(outcome, refusalNote(error.problem));
    }
  };
  const results = h('div', {});
  const draw = async (): Promise<void> => {
    const { items } = await server.get<{ items: TraceView[] }>('/api/v1/traces');
    const remove = async (id: string): Promise<void> => {
      await server.delete(`/api/v1/traces/${encodeURIComponent(id)}`);
      await draw();
    };
    replace(
      results,
      table(
        W.title,
        [
          { title: W.kind, label: '', cell: ({ subject: about }) => `${W.kinds[about.kind]} ${about.name}` },
          {
            title: '',
            label: '',
            cell: ({ isListening, endsAt }) => (isListening ? badge('good', W.listening(describeMoment(endsAt))) : badge('plain', W.ended)),
          },
          { title: '', label: '', cell: ({ heard }) => W.lines(heard) },
          {
            title: '',
            label: '',
            cell: ({ id }) => [
              h('a', { href: `#/trace/${id}` }, W.read),
              ' ',
              h('button', { type: 'button', onclick: () => void remove(id) }, W.remove),
            ],
          },
        ],
        items,
        WORDS.nothing,
      ),
    );
  };
  await draw();
  replace(
    place,
    h('h1', {}, W.title),
    h('p', { class: 'quiet' }, W.note),
    h(
      'form',
      { class: 'filters', onsubmit: (event: Event) => void begin(event) },
      field(W.kind, kind),
      field(W.subject, subject),
      h('button', {}, W.begin),
    ),
    outcome,
    h('section', { class: 'card' }, results),
  );
  return draw;
}

async function read({ server, place, rest }: Stage): Promise<() => Promise<void>> {
  const lines = h('ol', { class: 'trace', tabindex: 0 });
  const state = h('p', { class: 'quiet' });
  let last = 0;
  const draw = async (): Promise<void> => {
    const reading = await server.get<TraceReading>(`/api/v1/traces/${encodeURIComponent(rest)}?after=${last}`);
    last = reading.lines.at(-1)?.number ?? last;
    lines.append(...reading.lines.map(line));
    const { isListening, endsAt, dropped } = reading.trace;
    replace(state, isListening ? W.listening(describeMoment(endsAt)) : W.ended, dropped > 0 && `, ${W.droppedLines(dropped)}`);
  };
  await draw();
  replace(place, h('h1', {}, W.title), state, section(rest, lines));
  return draw;
}

function line({ at, level, message, fields }: TraceLine): HTMLElement {
  const shown = ['stage', 'reply', 'cause', 'upstream', 'listener'].flatMap((name) =>
    typeof fields[name] === 'string' ? [`${name}=${fields[name]}`] : [],
  );
  return h('li', { class: level }, ago(at), ' ', h('span', {}, message), shown.length > 0 && h('div', { class: 'quiet' }, shown.join(' ')));
}

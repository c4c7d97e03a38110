/** Messages seen lately, and one of them with its path. */
import { MESSAGE_OUTCOMES, type MessageOutcome, type SeenMessage, type SeenMessageInFull } from '../../core/ports/activity.ts';
import { h, replace } from '../dom.ts';
import { ago, describeOctets } from '../format.ts';
import { addresses, badge, choice, facts, field, problemNote, section, senderOf, subjectText, table, type Tone } from '../parts.ts';
import { type Stage, type View, drawn } from '../view.ts';
import { WORDS } from '../words.ts';

const W = WORDS.messages;

const TONES: Readonly<Record<MessageOutcome, Tone>> = {
  accepted: 'plain',
  queued: 'waiting',
  relayed: 'good',
  deferred: 'waiting',
  refused: 'bad',
  'given-up': 'bad',
  'dead-letter': 'bad',
  dropped: 'plain',
};

export const messages: View = (stage) => (stage.rest === '' ? list(stage) : one(stage));

/** The list is drawn again; what somebody is typing stays. */
async function list({ server, place, query, filter }: Stage): Promise<() => Promise<void>> {
  const search = h('input', { type: 'search', value: query.get('text') ?? '', autocomplete: 'off', spellcheck: 'false' });
  const given = (): Record<string, string> => ({ text: search.value, outcome: outcome.value });
  search.addEventListener('change', () => filter(given()));
  const outcomes = { '': W.any, ...WORDS.outcomes };
  const outcome = choice(outcomes, query.get('outcome') ?? '', () => filter(given()));
  const results = h('div', {});
  const draw = async (): Promise<void> => {
    const asked = new URLSearchParams({ limit: '200' });
    const text = query.get('text') ?? '';
    const wanted = MESSAGE_OUTCOMES.find((known) => known === query.get('outcome'));
    if (text !== '') asked.set('text', text);
    if (wanted !== undefined) asked.set('outcome', wanted);
    const { items } = await server.get<{ items: SeenMessage[] }>(`/api/v1/messages?${asked.toString()}`);
    replace(results, messageTable(items));
  };
  await draw();
  replace(
    place,
    h('h1', {}, W.title),
    h('p', { class: 'quiet' }, W.note),
    h('div', { class: 'filters' }, field(W.search, search), field(W.outcome, outcome)),
    h('section', { class: 'card' }, results),
  );
  return draw;
}

const one = drawn(async ({ server, place, rest }) => {
  const message = await server.get<SeenMessageInFull>(`/api/v1/messages/${encodeURIComponent(rest)}`);
  const { queueId, outcome, firstAt, account, client, peer, reversePath, forwardPaths, messageId, size, problem, steps, dropped, subject } =
    message;
  const isWaiting = outcome === 'queued' || outcome === 'deferred' || outcome === 'dead-letter';
  replace(
    place,
    h('h1', {}, queueId),
    h(
      'section',
      { class: 'card' },
      facts(
        [
          W.columns.outcome,
          [badge(TONES[outcome], WORDS.outcomes[outcome]), isWaiting && [' ', h('a', { href: `#/queue/${queueId}` }, W.inQueue)]],
        ],
        [W.columns.time, ago(firstAt)],
        [W.columns.from, senderOf(reversePath)],
        [W.columns.to, addresses(forwardPaths, 20)],
        subject === undefined ? undefined : [W.columns.subject, subjectText(subject)],
        [W.columns.via, [client, account, peer].filter((name) => name !== undefined).join(', ')],
        messageId === undefined ? undefined : ['Message-ID', h('code', {}, messageId)],
        size === undefined ? undefined : ['Size', describeOctets(size)],
      ),
      problem !== undefined && problemNote(problem),
    ),
    section(
      W.path,
      h(
        'ol',
        { class: 'path' },
        ...steps.map((step) =>
          h(
            'li',
            { class: step.level },
            h(
              'p',
              {},
              ago(step.at),
              ' ',
              h('strong', {}, step.message),
              step.upstream !== undefined && ` ${step.upstream}`,
              step.durationMs !== undefined && ` ${step.durationMs} ms`,
            ),
            step.reply !== undefined && h('pre', {}, step.reply),
            step.problem !== undefined && problemNote(step.problem),
          ),
        ),
      ),
      dropped > 0 && h('p', { class: 'quiet' }, W.dropped(dropped)),
    ),
  );
});

/** Also on the overview. */
export function messageTable(items: readonly SeenMessage[]): HTMLElement {
  const C = W.columns;
  const subjects = { title: C.subject, label: C.subject, cell: ({ subject }: SeenMessage) => subjectText(subject) };
  const hasSubjects = items.some(({ subject }) => subject !== undefined); // They need not be kept.
  return table(
    W.title,
    [
      { title: C.time, label: C.time, cell: ({ queueId, lastAt }) => h('a', { href: `#/messages/${queueId}` }, ago(lastAt)) },
      { title: C.outcome, label: C.outcome, cell: ({ outcome }) => badge(TONES[outcome], WORDS.outcomes[outcome]) },
      { title: C.from, label: C.from, cell: ({ reversePath }) => h('span', { class: 'address' }, senderOf(reversePath)) },
      { title: C.to, label: C.to, cell: ({ forwardPaths }) => addresses(forwardPaths) },
      ...(hasSubjects ? [subjects] : []),
      { title: C.via, label: C.via, cell: ({ client, account }) => [client, account].filter((name) => name !== undefined).join(', ') },
      { title: C.reply, label: C.reply, cell: ({ reply, problem }) => h('span', { class: 'reply' }, problem?.cause ?? reply ?? '') },
    ],
    items,
    W.empty,
  );
}

/** One message of the queue. */
import type { QueueItemInFull, QueueRecipient } from '../../core/ports/queue-control.ts';
import { type Child, h, replace } from '../dom.ts';
import { ago, describeOctets } from '../format.ts';
import { badge, facts, refusalNote, section, senderOf, subjectText, table } from '../parts.ts';
import { Refusal } from '../server.ts';
import type { Stage } from '../view.ts';
import { WORDS } from '../words.ts';
import { actions } from './queue-actions.ts';
import { queueState } from './queue-state.ts';

const W = WORDS.queue;
const C = W.columns;

export async function queuedMessage({ server, place, rest }: Stage): Promise<() => Promise<void>> {
  const content = h('div', {});
  const draw = async (): Promise<void> => {
    try {
      replace(content, ...described(await server.get<QueueItemInFull>(`/api/v1/queue/${encodeURIComponent(rest)}`)));
    } catch (error) {
      if (!(error instanceof Refusal) || error.problem.status !== 404) throw error;
      replace(
        content,
        h(
          'section',
          { class: 'card' },
          h('p', {}, W.gone, ' ', h('a', { href: `#/messages/${encodeURIComponent(rest)}` }, WORDS.messages.path)),
        ),
      );
    }
  };
  const bar = actions(server, new Set([rest]), draw);
  await draw();
  replace(place, h('h1', {}, rest), bar.element, content);
  return draw;
}

function described(item: QueueItemInFull): Child[] {
  const { queueId, acceptedAt, reversePath, account, client, messageId, size, nextAttemptAt, hold, headers, subject, recipients } = item;
  return [
    h(
      'section',
      { class: 'card' },
      facts(
        [C.state, queueState(item)],
        [C.accepted, ago(acceptedAt)],
        [C.from, senderOf(reversePath)],
        subject === undefined ? undefined : [WORDS.messages.columns.subject, subjectText(subject)],
        [C.account, `${account}, ${client}`],
        ['Message-ID', h('code', {}, messageId)],
        ['Size', describeOctets(size)],
        nextAttemptAt === undefined ? undefined : [C.next, ago(nextAttemptAt)],
      ),
      hold !== undefined && refusalNote({ title: '', status: 0, detail: hold.cause, code: hold.code, remedy: hold.remedy }),
      h(
        'p',
        {},
        h('a', { href: `/api/v1/queue/${queueId}/content`, download: `${queueId}.eml` }, W.export),
        ' ',
        h('a', { href: `#/messages/${queueId}` }, WORDS.messages.path),
      ),
    ),
    section(W.recipients, recipientTable(recipients)),
    section(W.headers, h('pre', { tabindex: 0 }, headers)),
  ];
}

function recipientTable(recipients: readonly QueueRecipient[]): HTMLElement {
  return table(
    W.recipients,
    [
      { title: C.to, label: C.to, cell: ({ address }) => h('span', { class: 'address' }, address) },
      {
        title: C.state,
        label: C.state,
        cell: ({ state }) => badge(state === 'delivered' ? 'good' : state === 'pending' ? 'waiting' : 'bad', state),
      },
      {
        title: WORDS.messages.columns.reply,
        label: WORDS.messages.columns.reply,
        cell: ({ reply }) =>
          reply !== undefined &&
          h(
            'pre',
            {},
            reply.text.map((line) => [reply.code, reply.enhancedCode, line].filter((part) => part !== undefined).join(' ')).join('\n'),
          ),
      },
    ],
    recipients,
    WORDS.nothing,
  );
}

/**
 * What applications read.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { QueueId } from '../core/ids.ts';
import type { Problem } from '../core/problem.ts';
import { type Reply, reply, replyClass, withText } from '../core/reply.ts';

export const SENDER_OK = reply(250, '2.1.0', 'Sender OK');
export const RECIPIENT_OK = reply(250, '2.1.5', 'Recipient OK');
export const DEFECT = reply(451, '4.3.0', 'Internal error, message not accepted; try again later');

/**
 * The upstream's reply as the application may read it. A 421 or an unexpected 3yz would make the application believe that *our* connection ends or
 * goes on in a way it does not, so they become 451 with the same text and enhanced code.
 */
export function presentable(answer: Reply): Reply {
  return answer.code === 421 || replyClass(answer) === 3 ? { ...answer, code: 451 } : answer;
}

/** The upstream's 2yz, with our id of the message at its end. */
export function relayed(answer: Reply, id: QueueId): Reply {
  const last = answer.text.length - 1;
  return withText(
    answer,
    answer.text.map((line, index) => (index === last ? `${line} [postern ${id}]`.trim() : line)),
  );
}

/** The spool has it. */
export function queued(id: QueueId): Reply {
  return reply(250, '2.0.0', `Queued for delivery [postern ${id}]`);
}

/** The spool cannot take it. RFC 3463 X.3.1: mail system full. */
export function notQueued({ code }: Problem): Reply {
  return code === 'SPOOL_FULL'
    ? reply(452, '4.3.1', 'The queue is full, message not accepted; try again later')
    : reply(451, '4.3.0', 'The message could not be stored and was not accepted; try again later');
}

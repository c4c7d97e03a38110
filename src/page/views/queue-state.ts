/** How a message in the queue is, in a word. */
import type { QueueItem } from '../../core/ports/queue-control.ts';
import { type Child, h } from '../dom.ts';
import { badge } from '../parts.ts';
import { WORDS } from '../words.ts';

const W = WORDS.queue;

export function queueState({ hold, attempts, isAmbiguous }: QueueItem): Child {
  const state = hold === undefined ? badge('waiting', W.attempts(attempts)) : badge('bad', hold.code);
  return isAmbiguous ? [state, h('div', { class: 'quiet' }, W.ambiguous)] : state;
}

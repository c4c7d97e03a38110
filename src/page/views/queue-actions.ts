/** What can be done with messages of the queue, one or many. */
import type { QueueChange, QueueVerb } from '../../core/ports/queue-control.ts';
import { h, replace } from '../dom.ts';
import { badge, refusalNote } from '../parts.ts';
import { Refusal, type Server } from '../server.ts';
import { WORDS } from '../words.ts';
import { confirming } from './confirming.ts';

const W = WORDS.queue;

/** Buttons that work on `chosen`. */
export interface Actions {
  readonly element: HTMLElement;
  /** What is chosen has changed. */
  update(): void;
}

/** @param done - Is called after each change. */
export function actions(server: Server, chosen: ReadonlySet<string>, done: () => Promise<void>): Actions {
  const outcome = h('div', { 'aria-live': 'polite' });
  const count = h('span', { class: 'quiet' });
  const change = async (verb: QueueVerb): Promise<void> => {
    try {
      const { changed } = await server.post<QueueChange>(`/api/v1/queue/${verb}`, { ids: [...chosen] });
      replace(outcome, badge('good', W.done(changed.length)));
      await done();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      replace(outcome, refusalNote(error.problem));
    }
  };
  const button = (verb: QueueVerb, clicked: () => void): HTMLButtonElement =>
    h('button', { type: 'button', class: verb === 'drop' ? 'danger' : 'usual', onclick: clicked }, W.verbs[verb]);
  const askFirst = (): void => confirming({ text: W.ask(chosen.size), no: W.no, yes: W.yes }, () => change('drop'));
  const buttons = [
    button('retry', () => void change('retry')),
    button('hold', () => void change('hold')),
    button('release', () => void change('release')),
    button('drop', askFirst),
  ];
  const update = (): void => {
    for (const one of buttons) one.disabled = chosen.size === 0;
    replace(count, W.chosen(chosen.size));
  };
  update();
  return { element: h('div', { class: 'actions' }, ...buttons, count, outcome), update };
}

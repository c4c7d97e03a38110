/** Fetch rules: how far each has got, what is in the way, and what an operator may do to it. */
import type { FetchView } from '../../core/ports/fetch-control.ts';
import { type Child, h, keepingFocus, replace } from '../dom.ts';
import { ago, describeLength } from '../format.ts';
import { badge, facts, problemNote, refusalNote, table } from '../parts.ts';
import { Refusal, type Server } from '../server.ts';
import type { Stage } from '../view.ts';
import { WORDS } from '../words.ts';
import { confirming } from './confirming.ts';

const W = WORDS.fetch;
const LOOK_EVERY_MS = 1_000;

/** Changes a rule, and draws all of them again. */
type Change = (rule: string, verb: 'run' | 'pause' | 'reset', body?: object) => Promise<void>;

export async function fetch({ server, place }: Stage): Promise<() => Promise<void>> {
  const list = h('div', {});
  const outcome = h('div', { 'aria-live': 'polite' });
  let timer: number | undefined;
  const draw = async (): Promise<void> => {
    const items = await rulesOf(server);
    replace(list, items.length === 0 ? h('p', { class: 'quiet' }, W.none) : items.map((rule) => card(rule, change)));
    window.clearTimeout(timer);
    if (items.some(isMoving)) timer = window.setTimeout(() => void follow(), LOOK_EVERY_MS);
  };
  const again = (): Promise<void> => keepingFocus(place, draw);
  /** What moves has no event for each step. Without an answer, the page goes on when the server says that something has happened. */
  const follow = async (): Promise<void> => {
    if (place.isConnected) await refusedTo(outcome, again);
  };
  const change: Change = (rule, verb, body = {}) =>
    refusedTo(outcome, async () => {
      await server.post<FetchView>(`/api/v1/fetch/${encodeURIComponent(rule)}/${verb}`, body);
      await again();
    });
  await draw();
  replace(place, h('h1', {}, W.title), h('p', { class: 'quiet' }, W.note), outcome, list);
  return again;
}

/** All rules; also for the overview. */
export async function rulesOf(server: Server): Promise<readonly FetchView[]> {
  return (await server.get<{ items: FetchView[] }>('/api/v1/fetch')).items;
}

/** Rules that need somebody; for the overview. */
export function rulesInNeed(rules: readonly FetchView[]): Child[] {
  return rules
    .filter(({ problem, asideCount }) => problem !== undefined || asideCount > 0)
    .map((rule) => [
      h('p', {}, h('a', { href: '#/fetch' }, W.inTrouble(rule.name)), ' ', stateBadge(rule)),
      rule.problem !== undefined && problemNote(rule.problem),
      rule.asideCount > 0 && h('p', {}, W.asideCount(rule.asideCount)),
    ]);
}

/** Will be in another state soon, without anybody doing anything. */
const isMoving = ({ state, isPaused }: FetchView): boolean =>
  state === 'starting' || state === 'working' || isPaused !== (state === 'paused');

function stateBadge({ state, isPaused, problem, asideCount }: FetchView): HTMLElement {
  if (isPaused && state !== 'paused') return badge('waiting', W.pausing);
  if (state === 'paused' || state === 'stopped') return badge('plain', W.states[state]);
  if (problem === undefined) return badge(state === 'backing-off' || asideCount > 0 ? 'waiting' : 'good', W.states[state]);
  return badge(problem.heals === 'by-itself' ? 'waiting' : 'bad', W.states[state]);
}

function card(rule: FetchView, change: Change): HTMLElement {
  const { name, account, mailbox, sink, uidValidity, lastUid, fetched, held, owed, problem, isPaused } = rule;
  const { lagSeconds, lastFetchedAt, lastLookAt, nextAttemptAt, asideCount } = rule;
  const begin = (): void => confirming({ text: W.resetAsk(name), no: W.resetNo, yes: W.resetYes }, () => change(name, 'reset'));
  const button = (text: string, same: string, clicked: () => void, kind = 'usual'): HTMLElement =>
    h('button', { type: 'button', class: kind, 'aria-label': `${text}: ${name}`, 'data-same': `${same} ${name}`, onclick: clicked }, text);
  return h(
    'section',
    { class: 'card' },
    h('h2', {}, name, ' ', stateBadge(rule)),
    problem !== undefined && problemNote(problem),
    facts(
      [W.from, W.of(mailbox, account)],
      [W.to, sink],
      lagSeconds === undefined ? undefined : [W.lag, describeLength(lagSeconds)],
      lastUid === undefined ? undefined : [W.lastUid, W.behind(lastUid, uidValidity ?? '?')],
      [W.fetched, fetched],
      [W.lastFetched, lastFetchedAt === undefined ? W.never : ago(lastFetchedAt)],
      [W.lastLook, lastLookAt === undefined ? W.never : ago(lastLookAt)],
      nextAttemptAt === undefined || isPaused ? undefined : [W.nextAttempt, ago(nextAttemptAt)],
      held === 0 ? undefined : [W.held, held],
      owed === 0 ? undefined : [W.owed, owed],
    ),
    asideCount > 0 &&
      asidePart(
        rule,
        button(W.runAside, 'aside', () => void change(name, 'run', { aside: true })),
      ),
    h(
      'p',
      { class: 'buttons start' },
      button(W.run, 'run', () => void change(name, 'run')),
      button(isPaused ? W.resume : W.pause, 'pause', () => void change(name, 'pause', { paused: !isPaused })),
      button(W.reset, 'reset', begin, 'danger'),
    ),
  );
}

function asidePart({ aside, asideCount }: FetchView, again: HTMLElement): Child {
  return [
    h('h3', {}, W.aside),
    h('p', {}, W.asideCount(asideCount), ' ', again),
    aside.length < asideCount && h('p', { class: 'quiet' }, W.asideShown(aside.length)),
    table(
      W.aside,
      [
        { title: W.columns.uid, label: W.columns.uid, cell: ({ uid }) => uid },
        { title: W.columns.at, label: W.columns.at, cell: ({ at }) => ago(at) },
        {
          title: W.columns.cause,
          label: W.columns.cause,
          cell: ({ cause, code }) => h('div', { class: 'reply' }, cause, ' ', h('code', {}, code)),
        },
      ],
      aside,
      WORDS.nothing,
    ),
  ];
}

/** A refusal is shown, and gone with the next thing that is not refused. */
async function refusedTo(outcome: HTMLElement, work: () => Promise<void>): Promise<void> {
  try {
    await work();
    replace(outcome);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    replace(outcome, refusalNote(error.problem));
  }
}

/**
 * What the arguments of `postern queue` ask for.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { DURATION_PATTERN, parseDuration } from '../config/quantities.ts';
import { MOST_LISTED, type QueueFilter, type QueueSelection, type QueueVerb } from '../core/ports/queue-control.ts';
import type { Options } from './arguments.ts';
import type { Invocation } from './command.ts';

/** Options of the command, whatever the verb. */
export const QUEUE_OPTIONS: Options = {
  account: { type: 'string' },
  held: { type: 'boolean' },
  code: { type: 'string' },
  'older-than': { type: 'string' },
  limit: { type: 'string' },
  yes: { type: 'boolean' },
};

/** One request. */
export type QueueRequest =
  | { readonly kind: 'list'; readonly filter: QueueFilter; readonly limit: number }
  | { readonly kind: 'show'; readonly queueId: string }
  | { readonly kind: 'change'; readonly verb: QueueVerb; readonly selection: QueueSelection }
  | { readonly kind: 'export'; readonly queueId: string; readonly file?: string }
  | { readonly kind: 'mistake'; readonly what: string };

type Given = Pick<Invocation, 'positionals' | 'options'>;

const USUAL_LIMIT = 100;
const FILTERS = ['account', 'held', 'code', 'older-than'];
/** Options beside the filters. */
const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = {
  list: [...FILTERS, 'limit'],
  show: [],
  export: [],
  retry: FILTERS,
  hold: FILTERS,
  release: FILTERS,
  drop: [...FILTERS, 'yes'],
};

/** Read the arguments; `positionals` begins with the verb. */
export function readQueueRequest({ positionals, options }: Given): QueueRequest {
  const [verb = '', ...names] = positionals;
  const known = Object.hasOwn(OWN_OPTIONS, verb) ? OWN_OPTIONS[verb] : undefined;
  if (known === undefined) return mistake(`queue ${verb}: there is list, show, retry, hold, release, drop and export`);
  const stray = Object.keys(options).find((name) => !known.includes(name));
  if (stray !== undefined) return mistake(`queue ${verb} has no option --${stray}`);
  const filter = readFilter(options);
  if (typeof filter === 'string') return mistake(filter);
  switch (verb) {
    case 'list':
      return names.length > 0 ? mistake('queue list takes no ID: use queue show ID') : readList(filter, options['limit']);
    case 'show':
      return names.length === 1 ? { kind: 'show', queueId: idOf(names[0]) } : mistake('queue show takes one ID');
    case 'export':
      return readExport(names);
    default:
      return readChange(verb as QueueVerb, names, filter, options);
  }
}

const mistake = (what: string): QueueRequest => ({ kind: 'mistake', what });

/** Ids are typed by people, too. */
const idOf = (text = ''): string => text.toUpperCase();

/** @returns A text that says what is wrong. */
function readFilter(options: Given['options']): QueueFilter | string {
  const { account, held, code, 'older-than': age } = options;
  if (typeof age === 'string' && !DURATION_PATTERN.test(age)) return `--older-than ${age}: a duration is wanted, such as 30m, 4h or 5d`;
  if (typeof code === 'string' && !/^[A-Za-z0-9_.]{1,64}$/.test(code))
    return `--code ${code}: a code is wanted, such as DEAD_LETTER, 451 or 4.7.500`;
  if (account === '') return '--account: a name is wanted';
  return {
    ...(typeof account === 'string' ? { account } : {}),
    ...(held === true ? { isHeld: true } : {}),
    ...(typeof code === 'string' ? { code: code.toUpperCase() } : {}),
    ...(typeof age === 'string' ? { olderThan: parseDuration(age) } : {}),
  };
}

function readList(filter: QueueFilter, given: string | boolean | undefined): QueueRequest {
  const limit = typeof given === 'string' ? Number(/^\d{1,9}$/.exec(given)?.[0] ?? 0) : USUAL_LIMIT;
  if (limit < 1 || limit > MOST_LISTED) return mistake(`--limit ${String(given)}: a number from 1 to ${MOST_LISTED} is wanted`);
  return { kind: 'list', filter, limit };
}

function readExport([name, file, ...rest]: readonly string[]): QueueRequest {
  if (name === undefined || rest.length > 0) return mistake('queue export takes one ID, and a file or nothing');
  return { kind: 'export', queueId: idOf(name), ...(file === undefined || file === '-' ? {} : { file }) };
}

function readChange(verb: QueueVerb, names: readonly string[], filter: QueueFilter, options: Given['options']): QueueRequest {
  const isFiltered = Object.keys(filter).length > 0;
  if (names.length > 0 && isFiltered) return mistake(`queue ${verb}: name messages by ID or by options, not both`);
  if (names.length === 0 && !isFiltered)
    return mistake(`queue ${verb}: which messages? Give IDs, or --account, --code, --held, --older-than`);
  if (names.length > MOST_LISTED) return mistake(`queue ${verb}: at most ${MOST_LISTED} IDs at a time`);
  if (verb === 'drop' && options['yes'] !== true) {
    return mistake('queue drop discards mail that was accepted, and tells nobody. Look with queue show or queue export, then add --yes');
  }
  return { kind: 'change', verb, selection: names.length > 0 ? { ids: names.map(idOf) } : { filter } };
}

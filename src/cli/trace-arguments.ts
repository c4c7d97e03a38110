/**
 * What the arguments of `postern trace` ask for, and what it prints.
 *
 * Pure. What others have sent is made printable.
 *
 * @packageDocumentation
 */
import { DURATION_PATTERN, parseDuration } from '../config/quantities.ts';
import { type DurationMs, hours, seconds } from '../core/clock.ts';
import type { TraceLine, TraceSubject, TraceView } from '../core/ports/traces.ts';
import type { Options } from './arguments.ts';
import type { Invocation } from './command.ts';
import { printable, table } from './table.ts';

/** Options of the command, whatever the verb. */
export const TRACE_OPTIONS: Options = { for: { type: 'string' }, follow: { type: 'boolean' } };

/** One request. */
export type TraceRequest =
  | { readonly kind: 'start'; readonly subject: TraceSubject; readonly duration?: DurationMs }
  | { readonly kind: 'list' }
  | { readonly kind: 'show'; readonly id: string; readonly isFollowed: boolean }
  | { readonly kind: 'stop'; readonly id: string }
  | { readonly kind: 'mistake'; readonly what: string };

const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = { start: ['for'], list: [], show: ['follow'], stop: [] };
const KINDS: readonly TraceSubject['kind'][] = ['client', 'account', 'message'];

/** Read the arguments; `positionals` begins with the verb. */
export function readTraceRequest({ positionals, options }: Pick<Invocation, 'positionals' | 'options'>): TraceRequest {
  const [verb = '', ...names] = positionals;
  const known = Object.hasOwn(OWN_OPTIONS, verb) ? OWN_OPTIONS[verb] : undefined;
  if (known === undefined) return mistake(`trace ${verb}: there is start, list, show and stop`);
  const stray = Object.keys(options).find((name) => !known.includes(name));
  if (stray !== undefined) return mistake(`trace ${verb} has no option --${stray}`);
  if (verb === 'list') return names.length === 0 ? { kind: 'list' } : mistake('trace list takes no ID: use trace show ID');
  if (verb === 'start') return readStart(names, options['for']);
  const [id = ''] = names;
  if (names.length !== 1) return mistake(`trace ${verb} takes one ID: postern trace list shows them`);
  return verb === 'show' ? { kind: 'show', id, isFollowed: options['follow'] === true } : { kind: 'stop', id };
}

function readStart([kind = '', name = '', ...rest]: readonly string[], given: string | boolean | undefined): TraceRequest {
  const found = KINDS.find((one) => one === kind);
  if (found === undefined || name === '' || rest.length > 0) {
    return mistake('trace start: of what? client NAME, account NAME or message ID');
  }
  if (given === undefined) return { kind: 'start', subject: subjectOf(found, name) };
  const duration = typeof given === 'string' && DURATION_PATTERN.test(given) ? parseDuration(given) : undefined;
  if (duration === undefined || duration < seconds(1) || duration > hours(24)) {
    return mistake(`--for ${String(given)}: a duration up to 24h is wanted, such as 30s, 15m or 2h`);
  }
  return { kind: 'start', subject: subjectOf(found, name), duration };
}

/** Ids are typed by people, too. */
const subjectOf = (kind: TraceSubject['kind'], name: string): TraceSubject => ({
  kind,
  name: kind === 'message' ? name.toUpperCase() : name,
});

const mistake = (what: string): TraceRequest => ({ kind: 'mistake', what });

const HEADINGS = ['ID', 'OF', 'STARTED', 'LISTENS UNTIL', 'LINES'];

/** One line for each trace. */
export function tracesText(traces: readonly TraceView[]): string {
  if (traces.length === 0) return 'There is no trace: postern trace start client NAME\n';
  return table([
    HEADINGS,
    ...traces.map(({ id, subject, startedAt, endsAt, isListening, heard }) => [
      id,
      `${subject.kind} ${subject.name}`,
      timeText(startedAt),
      isListening ? timeText(endsAt) : 'over',
      String(heard),
    ]),
  ]);
}

/** What tells lines of a dialogue apart; the rest of their fields is the same in all. */
const DIALOGUES: ReadonlySet<unknown> = new Set(['client-dialogue', 'upstream-dialogue']);
const LEFT_OUT: ReadonlySet<string> = new Set(['event', 'remedy', 'heals', 'error']);

/** One line for each line; a dialogue as one reads it, other lines with their fields. */
export function linesText(lines: readonly TraceLine[]): string {
  return lines.map((line) => `${printable(lineText(line))}\n`).join('');
}

function lineText({ at, level, message, fields }: TraceLine): string {
  const time = at.slice(11, 23);
  const { event, sessionId = '', upstream = '', queueId = '' } = fields;
  if (DIALOGUES.has(event)) {
    const where = event === 'client-dialogue' ? `client ${String(sessionId)}` : `upstream ${String(upstream)}`;
    return `${time} ${where}${queueId === '' ? '' : ` ${String(queueId)}`}  ${message}`;
  }
  const rest = Object.entries(fields).filter(([name]) => !LEFT_OUT.has(name));
  const shown = rest.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`);
  return [`${time} ${level} ${String(event)}  ${message}`, ...shown].join('  ');
}

const timeText = (at: string): string => `${at.slice(0, 19).replace('T', ' ')}Z`;

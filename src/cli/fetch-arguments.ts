/**
 * What the arguments of `postern fetch` ask for, and what it prints.
 *
 * Pure. What others have sent is made printable.
 *
 * @packageDocumentation
 */
import type { FetchView } from '../core/ports/fetch-control.ts';
import type { Options } from './arguments.ts';
import type { Invocation } from './command.ts';
import { printable, table } from './table.ts';

/** Options of the command, whatever the verb. */
export const FETCH_OPTIONS: Options = { aside: { type: 'boolean' }, yes: { type: 'boolean' } };

/** One request. */
export type FetchRequest =
  | { readonly kind: 'list' }
  | { readonly kind: 'run'; readonly rule: string; readonly isAside: boolean }
  | { readonly kind: 'reset' | 'pause' | 'resume'; readonly rule: string }
  | { readonly kind: 'mistake'; readonly what: string };

const OWN_OPTIONS: Readonly<Record<string, readonly string[]>> = { list: [], run: ['aside'], reset: ['yes'], pause: [], resume: [] };

/** Read the arguments; `positionals` begins with the verb. */
export function readFetchRequest({ positionals, options }: Pick<Invocation, 'positionals' | 'options'>): FetchRequest {
  const [verb = '', ...names] = positionals;
  const known = Object.hasOwn(OWN_OPTIONS, verb) ? OWN_OPTIONS[verb] : undefined;
  if (known === undefined) return mistake(`fetch ${verb}: there is list, run, reset, pause and resume`);
  const stray = Object.keys(options).find((name) => !known.includes(name));
  if (stray !== undefined) return mistake(`fetch ${verb} has no option --${stray}`);
  if (verb === 'list') return names.length === 0 ? { kind: 'list' } : mistake('fetch list takes no name');
  const [rule = ''] = names;
  if (names.length !== 1 || rule === '') return mistake(`fetch ${verb} takes the name of one rule: postern fetch list shows them`);
  if (verb === 'run') return { kind: 'run', rule, isAside: options['aside'] === true };
  if (verb === 'reset' && options['yes'] !== true) {
    return mistake(`fetch reset ${rule}: the rule forgets where it stopped, and messages may come again; if that is meant, add --yes`);
  }
  return { kind: verb as 'reset' | 'pause' | 'resume', rule };
}

const mistake = (what: string): FetchRequest => ({ kind: 'mistake', what });

/** For people. */
export function fetchText(views: readonly FetchView[]): string {
  if (views.length === 0) return 'There are no fetch rules.\n';
  const rows = views.map(({ name, account, mailbox, state, lastUid, fetched, held, asideCount, sink }) => [
    name,
    `${account} ${printable(mailbox)}`,
    state,
    lastUid === undefined ? '-' : String(lastUid),
    String(fetched),
    String(held),
    String(asideCount),
    printable(sink),
  ]);
  const heads = ['RULE', 'MAILBOX', 'STATE', 'LAST UID', 'FETCHED', 'HELD', 'ASIDE', 'TO'];
  return `${table([heads, ...rows])}${views.map(troubleText).join('')}`;
}

function troubleText({ name, problem, nextAttemptAt, aside, asideCount }: FetchView): string {
  const next = nextAttemptAt === undefined ? '' : ` Next try ${nextAttemptAt}.`;
  const trouble = problem === undefined ? '' : `\n${name}: ${printable(problem.cause)} [${problem.code}]\n${problem.remedy}${next}\n`;
  const rows = aside.map(({ uid, at, code, cause }) => `  UID ${uid} since ${at}: ${printable(cause)} [${code}]\n`);
  const rest = asideCount > aside.length ? `  and ${asideCount - aside.length} more\n` : '';
  return `${trouble}${rows.length === 0 ? '' : `\n${name}: set aside\n${rows.join('')}${rest}`}`;
}

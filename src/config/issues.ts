/**
 * What the schema finds, in our words. No message repeats a value: it may be a secret under the wrong key.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { Findings, Path } from './findings.ts';
import { foreignKeyHint, nearest } from './suggest.ts';

/** How values are checked: a schema is used once or twice, and to generate and compile a function for it would take longer than it saves. */
export const ONCE = { jitless: true } as const;

type RawIssue = Parameters<z.core.$ZodErrorMap>[0];

/** Check `value` against `schema`. Undefined where it does not fit; `findings` then holds every reason, except those below `broken`. */
export function check<Schema extends z.ZodType>(
  schema: Schema,
  value: unknown,
  path: Path,
  findings: Findings,
  isBroken: (path: Path) => boolean,
): z.output<Schema> | undefined {
  const knownKeys = new Map<string, readonly string[]>();
  const suggestions = new Map<string, string>();
  const result = schema.safeParse(value, {
    ...ONCE,
    error: (issue) => {
      const at = JSON.stringify(issue.path ?? []);
      if (issue.code === 'unrecognized_keys') knownKeys.set(at, keysOf(issue.inst));
      const suggestion = suggestValue(issue);
      if (suggestion !== undefined) suggestions.set(at, suggestion);
      return describe(issue);
    },
  });
  if (result.success) return result.data;
  for (const issue of result.error.issues) {
    const at = [...path, ...issue.path.map((step) => (typeof step === 'symbol' ? String(step) : step))];
    const relative = JSON.stringify(issue.path);
    if (issue.code === 'unrecognized_keys') reportUnknownKeys(issue.keys, at, knownKeys.get(relative) ?? [], findings);
    else if (!isBroken(at)) findings.problem(at, issue.message, suggestions.get(relative));
  }
  return undefined;
}

/** Say of each key that it is unknown, and which one was probably meant. */
export function reportUnknownKeys(keys: readonly string[], path: Path, known: readonly string[], findings: Findings): void {
  for (const key of keys) {
    const hint = foreignKeyHint(key);
    if (hint === undefined) findings.problem([...path, key], 'unknown key', nearest(key, known));
    else findings.problem([...path, key], `unknown key: ${hint}`);
  }
}

const keysOf = (schema: unknown): readonly string[] => (schema instanceof z.ZodObject ? Object.keys(schema.shape) : []);

function suggestValue(issue: RawIssue): string | undefined {
  if (issue.code === 'invalid_union') return suggestOption(issue);
  if (typeof issue.input !== 'string' || issue.code !== 'invalid_value') return undefined;
  return nearest(issue.input, texts(issue.values));
}

const texts = (values: readonly unknown[]): string[] => values.filter((value) => typeof value === 'string');

/** What a union's discriminator may say, and what it says. */
function optionsOf(issue: RawIssue): { readonly options: readonly string[]; readonly given: unknown } {
  const options = 'options' in issue && Array.isArray(issue.options) ? texts(issue.options) : [];
  const key = 'discriminator' in issue ? String(issue.discriminator) : '';
  const { input } = issue;
  return { options, given: typeof input === 'object' && input !== null && key in input ? Reflect.get(input, key) : undefined };
}

function suggestOption(issue: RawIssue): string | undefined {
  const { options, given } = optionsOf(issue);
  return typeof given === 'string' ? nearest(given, options) : undefined;
}

function describe(issue: RawIssue): string {
  if (issue.input === undefined && issue.code !== 'invalid_union') return 'is missing';
  switch (issue.code) {
    case 'invalid_type':
      return describeType(issue.expected, issue.input);
    case 'invalid_value':
      return `must be one of ${issue.values.join(', ')}`;
    case 'too_small':
      return issue.origin === 'string' || issue.origin === 'array' ? 'must not be empty' : `must be at least ${issue.minimum}`;
    case 'too_big':
      return issue.origin === 'string' ? `must have at most ${issue.maximum} characters` : `must be at most ${issue.maximum}`;
    case 'invalid_union':
      return describeUnion(issue);
    default:
      return issue.message ?? 'is not valid';
  }
}

const EXPECTED: Readonly<Record<string, string>> = {
  string: 'text',
  array: 'a list (start each entry with "- ")',
  object: 'a map of keys',
  record: 'a map of keys',
  number: 'a whole number',
  int: 'a whole number',
  boolean: 'true or false',
};

function describeType(expected: string, input: unknown): string {
  if (expected === 'string' && (typeof input === 'number' || typeof input === 'boolean')) return 'must be text: put it in quotes';
  return `must be ${EXPECTED[expected] ?? expected}`;
}

/** Only `auth` is a union: its `grant` says which. */
function describeUnion(issue: RawIssue): string {
  const { options, given } = optionsOf(issue);
  return `${given === undefined ? 'is missing: it ' : ''}must be one of ${options.join(', ')}`;
}

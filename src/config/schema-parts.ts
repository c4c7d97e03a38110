/**
 * The kinds of values that the schema is made of: text, ports, durations, references to files …, each with its own error text.
 *
 * Pure. A key's description becomes its line in docs/config.md and its hover text in an editor; a default that is not a plain value is
 * said in its last sentence, `Default: …`. `title` names the kind of a value where its JSON type says too little. `writeOnly` marks secrets.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { EpochMs } from '../core/clock.ts';
import { DURATION_PATTERN, parseDuration, parseSize, SIZE_PATTERN } from './quantities.ts';

// No control characters: most of these texts end up in a protocol line.
const LINE = /^[^\u0000-\u001f\u007f]+$/;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const HOST = /^([A-Za-z0-9_]([A-Za-z0-9_-]{0,62})?(\.[A-Za-z0-9_-]{1,63})*\.?|[0-9A-Fa-f:.]{2,45})$/;
const ADDRESS = /^[^\s\u0000-\u001f\u007f@<>"]{1,64}@[^\s\u0000-\u001f\u007f@<>"]{1,255}$/;
const SENDER = /^([^\s\u0000-\u001f\u007f@<>"*]{1,64}|\*)@[^\s\u0000-\u001f\u007f@<>"*]{1,255}$/;
const TENANT = /^[A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/;
const SCOPE = /^[^\u0000-\u0020\u007f]+$/;

const NO_DATE = 'must be a date such as 2027-03-01';
/** Without the second part 2027-02-30 would be 2 March. */
const isDate = (day: string): boolean => {
  const parsed = /^\d{4}-\d{2}-\d{2}$/.test(day) ? Date.parse(day) : Number.NaN;
  return !Number.isNaN(parsed) && new Date(parsed).toISOString().startsWith(day);
};

/** Keys of one kind share its schema, which takes long to make: `describe`, `optional` and the like never change one, they make another. */
const shared = <Schema extends z.ZodType>(make: () => Schema): (() => Schema) => {
  let made: Schema | undefined;
  return () => (made ??= make());
};

const line = (pattern: RegExp, error: string, title?: string): z.ZodString => {
  const schema = z.string().max(4096).regex(pattern, { error });
  return title === undefined ? schema : schema.meta({ title });
};

/** One line of text. */
export const text = shared(() => line(LINE, 'must not be empty and must not hold control characters'));

/** A name that also serves in file names and log lines. */
export const name = shared(() =>
  line(NAME, 'must be 1 to 64 letters, digits, dots, hyphens or underscores, and start with a letter or digit', 'name'),
);

export const host = shared(() => line(HOST, 'must be a host name or an IP address', 'host'));
export const address = shared(() => line(ADDRESS, 'must be a mail address such as billing@contoso.com', 'address'));
export const sender = shared(() => line(SENDER, 'must be a mail address or *@domain', 'address or *@domain'));
export const network = shared(() => line(LINE, 'must be an IP network such as 10.1.0.0/16', 'network'));
/** Whether it is a real URL, with the right scheme, is checked in resolve-accounts.ts. */
export const url = shared(() => line(LINE, 'must be a URL', 'URL'));
/** Relative to the folder of the configuration file. */
export const path = shared(() => line(LINE, 'must be the path of a file', 'path'));
export const directory = shared(() => line(LINE, 'must be the path of a directory', 'path'));
export const scope = shared(() => line(SCOPE, 'must be one scope, without spaces; give several as a list', 'scope'));
/** At most 1024 octets. */
export const base64 = shared(() => line(/^[A-Za-z0-9+/]{2,1368}={0,2}$/, 'must be base64', 'base64'));
export const tenant = shared(() => line(TENANT, 'must be the id or a domain of the tenant, such as contoso.onmicrosoft.com', 'tenant'));

export const variable = shared(() => line(/^[A-Za-z_][A-Za-z0-9_]*$/, 'must be the name of an environment variable', 'variable'));

/** A value that is never shown. May hold anything; what was pasted wrongly is found by lint.ts. */
export const secret = shared(() => z.string().min(1).max(65_536).meta({ title: 'secret', writeOnly: true }));

/** A number written in quotes, or one that came from `${env:…}`, counts as a number. */
const numeric = (value: unknown): unknown => (typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value);
const truth = (value: unknown): unknown => (value === 'true' ? true : value === 'false' ? false : value);

export const integer = (minimum: number, maximum: number) => z.preprocess(numeric, z.int().min(minimum).max(maximum));
export const port = shared(() => integer(1, 65_535).meta({ title: 'port' }));
export const flag = shared(() => z.preprocess(truth, z.boolean()));

/** The beginning of a day, UTC. */
export const date = shared(() =>
  z
    .string({ error: NO_DATE })
    .refine(isDate, { error: NO_DATE })
    .transform((day) => Date.parse(day) as EpochMs)
    .meta({ title: 'date' }),
);

export const duration = shared(() =>
  z
    .string({ error: 'must be a duration such as 15s, 4h or 5d' })
    .regex(DURATION_PATTERN, { error: 'must be a duration such as 15s, 4h or 5d' })
    .transform(parseDuration)
    .meta({ title: 'duration' }),
);

export const size = shared(() =>
  z
    .string({ error: 'must be a size such as 35MB or 10GB' })
    .regex(SIZE_PATTERN, { error: 'must be a size such as 35MB or 10GB' })
    .transform(parseSize)
    .meta({ title: 'size' }),
);

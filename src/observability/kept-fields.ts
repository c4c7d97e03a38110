/**
 * What of a log event may be kept in memory, and how it is shown later.
 *
 * @packageDocumentation
 */
import type { LogFields } from '../core/ports/log.ts';
import type { Scrubber } from './scrubber.ts';

const MOST_RECIPIENTS = 20;
/** Of a text. A reply of an upstream may have a megabyte, and be part of a cause, too. */
export const LONGEST_TEXT = 1_000;

/** The same in bounded memory. An error stays in the log: its stack is for whoever mends Postern. */
export function boundedFields(fields: LogFields): LogFields {
  // A line is kept for each step of each message, so it is copied only where something has to be left out.
  return isBounded(fields) ? fields : cutFields(fields);
}

function isBounded(fields: LogFields): boolean {
  const { error, forwardPaths, problem } = fields;
  if (error !== undefined || (forwardPaths !== undefined && forwardPaths.length > MOST_RECIPIENTS)) return false;
  if (problem !== undefined && (isTooLong(problem.cause) || isTooLong(problem.remedy))) return false;
  for (const name in fields) if (isTooLong(fields[name as keyof LogFields])) return false;
  return true;
}

const isTooLong = (value: unknown): boolean => typeof value === 'string' && value.length > LONGEST_TEXT;

function cutFields(fields: LogFields): LogFields {
  const kept: Record<string, unknown> = { ...fields };
  if (fields.error !== undefined) delete kept['error'];
  for (const name of Object.keys(kept)) {
    const value = kept[name];
    if (typeof value === 'string') kept[name] = cut(value);
  }
  const { forwardPaths, problem } = fields;
  if (forwardPaths !== undefined) kept['forwardPaths'] = forwardPaths.slice(0, MOST_RECIPIENTS);
  if (problem !== undefined) kept['problem'] = { ...problem, cause: cut(problem.cause), remedy: cut(problem.remedy) };
  return kept as unknown as LogFields;
}

/** A copy, since a piece of a text keeps all of it in memory. */
export const cut = (text: string): string => (text.length <= LONGEST_TEXT ? text : Buffer.from(text.slice(0, LONGEST_TEXT)).toString());

/**
 * A document without any known secret. Its texts are looked at one by one where one is found: cut out of the document as a whole, a password that is also a
 * word of JSON would take keys or quotes along.
 */
export function scrubbedDocument<Document>(document: Document, scrubber: Pick<Scrubber, 'scrub'>): Document {
  const text = JSON.stringify(document);
  if (scrubber.scrub(text) === text) return JSON.parse(text) as Document;
  return JSON.parse(text, (_key, value: unknown) => (typeof value === 'string' ? scrubber.scrub(value) : value)) as Document;
}

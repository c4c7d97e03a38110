/**
 * A log line for a person at a terminal: time, level, message, then the fields that matter, and the remedy on a line of its own.
 *
 * @packageDocumentation
 */
import { cleanText } from '../core/reply.ts';

const SHOWN_APART = new Set(['time', 'level', 'message', 'event', 'cause', 'remedy', 'heals', 'problem', 'error']);

/** @param json - One line as written by pino, with its line end. */
export function prettyLine(json: string): string {
  const line: unknown = JSON.parse(json);
  if (typeof line !== 'object' || line === null) return json;
  const fields = new Map(Object.entries(line));
  const time = String(fields.get('time') ?? '').slice(11, 19);
  const level = String(fields.get('level') ?? 'info')
    .toUpperCase()
    .padEnd(5);
  const rest = [...fields].filter(([name]) => !SHOWN_APART.has(name)).map(([name, value]) => `${name}=${brief(value)}`);
  const lines = [[time, level, cleanText(String(fields.get('message') ?? '')), ...rest].join(' ')];
  if (fields.has('problem')) {
    lines.push(`         cause:  [${String(fields.get('problem'))}] ${cleanText(String(fields.get('cause')))}`);
    lines.push(`         remedy: ${cleanText(String(fields.get('remedy')))}`);
  }
  const error = fields.get('error');
  if (error !== undefined) lines.push(`         error:  ${stackOf(error)}`);
  return `${lines.join('\n')}\n`;
}

function brief(value: unknown): string {
  if (Array.isArray(value)) return value.map(brief).join(',');
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return /^[^\s"]+$/.test(text) ? text : JSON.stringify(text);
}

function stackOf(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'stack' in error && typeof error.stack === 'string') return error.stack;
  return brief(error);
}

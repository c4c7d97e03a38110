/** The list of field names is closed, and the writer holds to it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import type { LogFields } from '../../../src/core/ports/log.ts';
import { problem } from '../../../src/core/problem.ts';
import { createLog } from '../../../src/observability/log.ts';
import { LOG_FIELDS, MADE_FIELDS, renderLogFields } from '../../../src/observability/log-fields.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';

function write(fields: LogFields): Record<string, unknown> {
  const lines: string[] = [];
  createLog({ level: 'trace', format: 'json' }, new Scrubber(), { write: (line) => lines.push(line) }).trace(fields, 'm');
  return JSON.parse(lines.join('')) as Record<string, unknown>;
}

describe('a line of the log', () => {
  it('has no other fields than those of the list, whatever is passed', () => {
    const line = write({ event: 'e', password: 'stray', nested: { token: 'stray' } } as never);
    expect(Object.keys(line).toSorted()).toEqual(['event', 'level', 'message', 'time']);
    expect(JSON.stringify(line)).not.toContain('stray');
  });

  it('takes a problem and an error apart, and rounds durations', () => {
    const line = write({ event: 'e', durationMs: milliseconds(1.7), problem: problem('SPOOL_FULL', 'why'), error: new TypeError('x') });
    expect(line).toMatchObject({ durationMs: 2, problem: 'SPOOL_FULL', cause: 'why', error: { name: 'TypeError', message: 'x' } });
    const known = new Set([...Object.keys(LOG_FIELDS), ...Object.keys(MADE_FIELDS)]);
    expect(Object.keys(line).filter((name) => !known.has(name))).toEqual([]);
  });

  it('has every field that a room may pass', () => {
    expectTypeOf<keyof typeof LOG_FIELDS | 'problem' | 'error'>().toEqualTypeOf<keyof LogFields>();
    const all = Object.fromEntries(Object.keys(LOG_FIELDS).map((name) => [name, name === 'durationMs' ? 1 : name]));
    expect(write(all as never)).toMatchObject(all);
  });
});

it('docs/logs.md is up to date (npm run generate)', () => {
  expect(readFileSync(join(import.meta.dirname, '../../../docs/logs.md'), 'utf8')).toBe(renderLogFields());
});

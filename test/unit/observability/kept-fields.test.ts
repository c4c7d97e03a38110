/** A line is kept as it is, or cut; what was passed on is never changed. */
import { describe, expect, it } from 'vitest';
import type { LogFields } from '../../../src/core/ports/log.ts';
import { problem } from '../../../src/core/problem.ts';
import { boundedFields, LONGEST_TEXT } from '../../../src/observability/kept-fields.ts';

const LONG = 'x'.repeat(LONGEST_TEXT + 1);
const CUT = LONG.slice(1);
const WHY = problem('INTERNAL', 'why', { remedy: 'none' });

const paths = (count: number): string[] => Array.from({ length: count }, (_, number) => `${number}@example.com`);

describe('what is kept of a line', () => {
  it('is the line itself, where nothing is too long', () => {
    const fields: LogFields = {
      event: 'x',
      size: 1,
      reply: CUT,
      forwardPaths: paths(20),
      problem: problem('INTERNAL', CUT, { remedy: CUT }),
    };
    expect(boundedFields(fields)).toBe(fields);
  });

  it.each<[string, LogFields, LogFields]>([
    ['a text', { event: 'x', reply: LONG, user: 'u' }, { event: 'x', reply: CUT, user: 'u' }],
    ['two texts', { event: 'x', reply: LONG, file: LONG }, { event: 'x', reply: CUT, file: CUT }],
    ['many recipients', { event: 'x', forwardPaths: paths(21) }, { event: 'x', forwardPaths: paths(20) }],
    ['a cause', { event: 'x', problem: { ...WHY, cause: LONG } }, { event: 'x', problem: { ...WHY, cause: CUT } }],
    ['a remedy', { event: 'x', problem: { ...WHY, remedy: LONG } }, { event: 'x', problem: { ...WHY, remedy: CUT } }],
    ['an error', { event: 'x', size: 1, error: new Error('stack') }, { event: 'x', size: 1 }],
    ['no error, but a word', { event: 'x', error: 'thrown' }, { event: 'x' }],
  ])('is a copy without %s that has no room', (_what, fields, kept) => {
    const before = { ...fields };
    expect(boundedFields(fields)).toStrictEqual(kept);
    expect(fields).toStrictEqual(before);
  });
});

/** `traceparent` as W3C Trace Context has it, and the ids that follow from a queue id. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import { beginOf, type QueueId, queueId } from '../../../src/core/ids.ts';
import { parseTraceParent, spanIdOf, traceIdOf, traceParentOf } from '../../../src/core/trace-parent.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const GOOD = `00-${TRACE}-${PARENT}-01`;

const hex = (length: number): fc.Arbitrary<string> =>
  fc
    .array(fc.constantFrom(...'0123456789abcdef'.split('')), { minLength: length, maxLength: length })
    .map((digits) => digits.join(''))
    .filter((text) => /[^0]/.test(text));

describe('traceparent', () => {
  it('is taken apart', () => {
    expect(parseTraceParent(GOOD)).toEqual({ traceId: TRACE, parentId: PARENT, isSampled: true });
    expect(parseTraceParent(`00-${TRACE}-${PARENT}-fe`)?.isSampled).toBe(false);
  });

  it('of a later version is read as far as it is known', () => {
    expect(parseTraceParent(`cc-${TRACE}-${PARENT}-01-what-the-future-brings`)?.traceId).toBe(TRACE);
    expect(parseTraceParent(`cc-${TRACE}-${PARENT}-01.more`)).toBeUndefined();
  });

  it.each([
    ['nothing', ''],
    ['version ff', `ff-${TRACE}-${PARENT}-01`],
    ['upper case', GOOD.toUpperCase()],
    ['more than version 00 has', `${GOOD}-01`],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a short trace id', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['one digit of flags', `00-${TRACE}-${PARENT}-1`],
    ['a line after it', `${GOOD}\n`],
    ['white space', ` ${GOOD}`],
  ])('is not %s', (_what, text) => {
    expect(parseTraceParent(text)).toBeUndefined();
  });

  it('round trip: whatever is valid is kept in version 00 and reads the same', () => {
    fc.assert(
      fc.property(hex(32), hex(16), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: 254 }), (trace, parent, flags, version) => {
        const text = [version.toString(16).padStart(2, '0'), trace, parent, flags.toString(16).padStart(2, '0')].join('-');
        const kept = traceParentOf([text]);
        expect(kept).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
        expect(parseTraceParent(kept ?? '')).toEqual(parseTraceParent(text));
      }),
    );
  });

  it('is never made of anything else, nor of a valid one with an octet changed to what is no digit', () => {
    fc.assert(fc.property(fc.string(), (text) => parseTraceParent(text) === undefined));
    fc.assert(
      fc.property(fc.nat(GOOD.length - 1), fc.constantFrom('g', 'A', ' ', 'é', '\0', '-'), (at, other) => {
        fc.pre(GOOD[at] !== other);
        expect(parseTraceParent(GOOD.slice(0, at) + other + GOOD.slice(at + 1))).toBeUndefined();
      }),
    );
  });

  it('counts only where there is one', () => {
    expect(traceParentOf([GOOD])).toBe(GOOD);
    expect(traceParentOf([GOOD, GOOD])).toBeUndefined();
    expect(traceParentOf([])).toBeUndefined();
  });
});

describe('ids of a message', () => {
  const one = queueId(1_795_000_000_123 as EpochMs, new Uint8Array([1, 2, 3, 4, 5, 6, 7]));
  const other = queueId(1_795_000_000_123 as EpochMs, new Uint8Array([1, 2, 3, 4, 5, 6, 8]));

  it('follow from its queue id, and differ from those of others', () => {
    expect(traceIdOf(one)).toMatch(/^[0-9a-f]{32}$/);
    expect(traceIdOf(one)).toBe(traceIdOf(one));
    expect(new Set([traceIdOf(one), traceIdOf(other)]).size).toBe(2);
    expect(new Set([spanIdOf(one, 'a'), spanIdOf(one, 'b'), spanIdOf(other, 'a')]).size).toBe(3);
  });

  it('tell when it was begun', () => {
    expect(beginOf(one)).toBe(1_795_000_000_123);
    expect(beginOf('nonsense' as QueueId)).toBeUndefined();
  });
});

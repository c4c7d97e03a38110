/**
 * The contract of the CursorStore port.
 *
 * @packageDocumentation
 */
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../src/core/clock.ts';
import { applyChange, type Cursor, type CursorChange, startingCursor } from '../../src/core/fetch-cursor.ts';
import type { CursorStore } from '../../src/core/ports/cursor-store.ts';

const RULE = 'billing-INBOX';
const AT = 1_795_000_000_000 as EpochMs;
const FIRST = startingCursor('["billing","INBOX"]', 18_446_744_073_709_551_615n, 7, AT);

/** One of each kind. */
const CHANGES: readonly CursorChange[] = [
  { kind: 'taken', uid: 9, print: '0123456789abcdef0123', owed: true },
  { kind: 'taken', uid: 10, print: 'ffff456789abcdef0123', owed: false },
  { kind: 'told', uid: 9 },
  { kind: 'held', uid: 11, tries: 2 },
  { kind: 'aside', uid: 12, at: AT, code: 'FETCH_MESSAGE_UNREADABLE', cause: 'line\nend "quoted" ü' },
  { kind: 'passed', uid: 13 },
  { kind: 'reached', uid: 4_294_967_295 },
  { kind: 'retry' },
  { kind: 'renumbered', uidValidity: 3n, upTo: 20 },
  { kind: 'passed', uid: 1, known: 'ffff456789abcdef0123' },
  { kind: 'held', uid: 2, tries: 0 },
];

/** @param make - Opens the same store again at each call, as after a restart. */
export function cursorStoreContract(name: string, make: () => Promise<() => CursorStore>): void {
  describe(`cursor store contract: ${name}`, () => {
    it('is empty at first', async () => {
      const open = await make();
      expect(await open().load(RULE)).toBeUndefined();
      expect(await open().paused()).toEqual(new Set());
    });

    it('gives back what was replaced and every change since, after a restart at any moment', async () => {
      const open = await make();
      await open().replace(RULE, FIRST);
      let expected: Cursor = FIRST;
      for (const change of CHANGES) {
        const store = open();
        expect(await store.load(RULE)).toEqual(expected);
        await store.save(RULE, change);
        expected = applyChange(expected, change);
      }
      expect(await open().load(RULE)).toEqual(expected);
    });

    it('keeps changes that were saved one after another', async () => {
      const open = await make();
      const store = open();
      await store.replace(RULE, FIRST);
      for (const change of CHANGES) await store.save(RULE, change);
      expect(await open().load(RULE)).toEqual(CHANGES.reduce(applyChange, FIRST));
    });

    it('keeps rules apart, and forgets one alone', async () => {
      const open = await make();
      const store = open();
      await store.replace('a', FIRST);
      await store.replace('b', applyChange(FIRST, { kind: 'reached', uid: 99 }));
      await store.remove('a');
      expect(await open().load('a')).toBeUndefined();
      expect(await open().load('b')).toMatchObject({ lastUid: 99 });
      await store.replace('a', FIRST);
      expect(await open().load('a')).toEqual(FIRST);
    });

    it('remembers which rules are paused', async () => {
      const open = await make();
      await open().setPaused('a', true);
      await open().setPaused('b', true);
      await open().setPaused('a', false);
      await open().setPaused('a', false);
      expect(await open().paused()).toEqual(new Set(['b']));
    });
  });
}

/** The cursor of a rule, with an operator's word in the middle of the rule's own changes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { startingCursor } from '../../../src/core/fetch-cursor.ts';
import type { EpochMs } from '../../../src/core/clock.ts';
import { FileCursorStore } from '../../../src/fetch/file-cursor-store.ts';
import { placeOf, RuleCursor } from '../../../src/fetch/rule-cursor.ts';
import { fetchRule } from '../../support/fetch-rule.ts';

const RULE = fetchRule();
const aside = (uid: number) => ({ kind: 'aside', uid, at: 0 as EpochMs, code: 'FETCH_REFUSED', cause: 'no' }) as const;
const held = (uid: number) => ({ kind: 'held', uid, tries: 1 }) as const;

let folder: string;
const stores: FileCursorStore[] = [];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-cursor-'));
});
afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  rmSync(folder, { recursive: true, force: true });
});

function open(directory = folder, mostChanges?: number): RuleCursor {
  const store = new FileCursorStore(directory, mostChanges);
  stores.push(store);
  return new RuleCursor(RULE, store);
}

/** @param mostChanges - After so many the file is written anew. */
async function begun(mostChanges: number): Promise<RuleCursor> {
  const cursor = open(folder, mostChanges);
  await cursor.begin(startingCursor(placeOf(RULE), 1n, 0));
  return cursor;
}

const stored = () => open().load();

describe('RuleCursor', () => {
  it.each([1, 2, 3, 1_000])('loses no change of several at once, with the file written anew after %d', async (mostChanges) => {
    const cursor = await begun(mostChanges);
    await cursor.save(aside(1));
    const changes = [2, 3, 4, 5, 6].map((uid) => cursor.save(held(uid)));
    const retried = cursor.retryAside();
    await Promise.all([...changes, cursor.save(aside(7))]);
    expect(await retried).toBe(true);
    for (const known of [cursor.value, await stored()]) {
      expect([...(known?.held.keys() ?? [])].toSorted((one, other) => one - other)).toEqual([1, 2, 3, 4, 5, 6]);
      expect([...(known?.aside.keys() ?? [])]).toEqual([7]);
    }
  });

  it('has nothing to try again where nothing is set aside, or is forgotten', async () => {
    const cursor = await begun(10);
    expect(await cursor.retryAside()).toBe(false);
    await cursor.save(aside(1));
    const [, retried] = await Promise.all([cursor.forget(), cursor.retryAside()]);
    expect([retried, cursor.value, await stored()]).toEqual([false, undefined, undefined]);
  });

  it('goes on after a change that could not be written', async () => {
    const cursor = await begun(10);
    const broken = open(join(folder, 'x'.repeat(300)));
    await expect(broken.begin(startingCursor(placeOf(RULE), 1n, 0))).rejects.toThrow('ENAMETOOLONG');
    expect(await broken.load().catch(() => 'failed')).toBe('failed');
    await cursor.save(held(1));
    expect(cursor.current.lastUid).toBe(1);
  });
});

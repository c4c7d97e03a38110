/**
 * What every token store owes its users (core/ports/token-store.ts).
 *
 * @packageDocumentation
 */
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../src/core/clock.ts';
import type { StoredGrant, TokenStore } from '../../src/core/ports/token-store.ts';

export function grant(generation: number, changes: Partial<StoredGrant> = {}): StoredGrant {
  return {
    refreshToken: `refresh-${generation}`,
    previousRefreshToken: `refresh-${generation - 1}`,
    seedDigest: 'seed-digest',
    accessToken: {
      value: `access-${generation}`,
      expiresAt: (1_800_000_000_000 + generation) as EpochMs,
      settingsDigest: 'settings-digest',
    },
    generation,
    savedAt: (1_790_000_000_000 + generation) as EpochMs,
    ...changes,
  };
}

/** @param make - A new, empty store; `reopen` looks at the same data as a new process would. */
export function tokenStoreContract(name: string, make: () => Promise<{ store: TokenStore; reopen: () => TokenStore }>): void {
  describe(`token store contract: ${name}`, () => {
    it('knows nothing at first', async () => {
      const { store } = await make();
      expect(await store.load('billing')).toBeUndefined();
    });

    it('gives back what was saved, after a restart too', async () => {
      const { store, reopen } = await make();
      await store.save('billing', grant(1));
      expect(await store.load('billing')).toEqual(grant(1));
      expect(await reopen().load('billing')).toEqual(grant(1));
    });

    it('gives back a grant without optional parts', async () => {
      const { store, reopen } = await make();
      const bare: StoredGrant = { generation: 7, savedAt: 1 as EpochMs };
      await store.save('billing', bare);
      expect(await reopen().load('billing')).toEqual(bare);
    });

    it('replaces', async () => {
      const { store, reopen } = await make();
      await store.save('billing', grant(1));
      await store.save('billing', grant(2, { refreshToken: 'x'.repeat(40_000) }));
      expect(await reopen().load('billing')).toEqual(grant(2, { refreshToken: 'x'.repeat(40_000) }));
    });

    it('marks what it keeps: the same mark while nothing is saved, another after each save, by whomever', async () => {
      const { store, reopen } = await make();
      expect(await store.markOf('billing')).toBeUndefined();
      const marks = new Set<string | undefined>();
      for (const by of [store, reopen(), store]) {
        await by.save('billing', grant(1));
        const mark = await store.markOf('billing');
        expect(mark).toBeDefined();
        await store.load('billing');
        await store.save('sales', grant(1));
        expect(await store.markOf('billing')).toBe(mark);
        expect(await reopen().markOf('billing')).toBe(mark);
        marks.add(mark);
      }
      expect(marks.size).toBe(3);
    });

    it('keeps accounts apart, whatever their names', async () => {
      const { store, reopen } = await make();
      const names = ['a', 'A', 'a ', 'a/b', 'a-b', '../a', '..', '', 'é', 'e\u0301', 'a\0b', 'con', 'x'.repeat(300)];
      for (const [index, name] of names.entries()) await store.save(name, grant(index + 1));
      const again = reopen();
      for (const [index, name] of names.entries())
        expect({ name, grant: await again.load(name) }).toEqual({ name, grant: grant(index + 1) });
    });

    it('does not share its values with the caller', async () => {
      const { store } = await make();
      const mine = { ...grant(1) };
      await store.save('billing', mine);
      mine.refreshToken = 'changed afterwards';
      expect((await store.load('billing'))?.refreshToken).toBe('refresh-1');
    });

    it('runs an action that nobody else runs, with what it gives back or throws', async () => {
      const { store } = await make();
      expect(await store.exclusively('billing', () => Promise.resolve('done'))).toBe('done');
      await expect(store.exclusively('billing', () => Promise.reject(new Error('mine')))).rejects.toThrow('mine');
      const both = ['one', 'other'].map((what) => store.exclusively('billing', () => Promise.resolve(what)));
      expect(await Promise.all(both)).toEqual(['one', 'other']);
    });

    it('saves within an exclusive action', async () => {
      const { store, reopen } = await make();
      await store.exclusively('billing', async () => store.save('billing', grant(3, { refreshTokenSince: 7 as EpochMs })));
      expect(await reopen().load('billing')).toEqual(grant(3, { refreshTokenSince: 7 as EpochMs }));
    });

    it('saves of several accounts at once do not disturb each other', async () => {
      const { store, reopen } = await make();
      await Promise.all(Array.from({ length: 20 }, async (_, index) => store.save(`account-${index}`, grant(index))));
      const again = reopen();
      for (let index = 0; index < 20; index += 1) expect((await again.load(`account-${index}`))?.generation).toBe(index);
    });
  });
}

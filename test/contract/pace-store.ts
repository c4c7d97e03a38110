/**
 * The contract of the PaceStore port.
 *
 * @packageDocumentation
 */
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../src/core/clock.ts';
import type { PaceRecord, PaceStore } from '../../src/core/ports/pace-store.ts';

const at = (moment: number): EpochMs => moment as EpochMs;

/** @param make - Opens the same store again at each call, as after a restart. */
export function paceStoreContract(name: string, make: () => Promise<() => PaceStore>): void {
  describe(`pace store contract: ${name}`, () => {
    const record: PaceRecord = new Map([
      [
        'billing',
        [
          { from: at(600_000), recipients: 3 },
          { from: at(1_200_000), recipients: 10_000 },
        ],
      ],
      ['büro "2"', [{ from: at(0), recipients: 1 }]],
    ]);

    it('is empty at first', async () => {
      const open = await make();
      expect(await open().load()).toEqual(new Map());
    });

    it('gives back what was saved, after a restart too', async () => {
      const open = await make();
      await open().save(record);
      expect(await open().load()).toEqual(record);
    });

    it('replaces all', async () => {
      const open = await make();
      const store = open();
      await store.save(record);
      await store.save(new Map([['other', [{ from: at(5), recipients: 0 }]]]));
      expect(await open().load()).toEqual(new Map([['other', [{ from: at(5), recipients: 0 }]]]));
      await store.save(new Map());
      expect(await open().load()).toEqual(new Map());
    });
  });
}

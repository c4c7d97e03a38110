/**
 * A program that saves one grant after another until it is killed.
 *
 * @packageDocumentation
 */
import { writeSync } from 'node:fs';
import type { EpochMs } from '../../src/core/clock.ts';
import type { StoredGrant } from '../../src/core/ports/token-store.ts';
import { FileTokenStore } from '../../src/token/file-token-store.ts';
import { MemoryLog } from './memory-log.ts';

export const SAVER_ACCOUNT = 'billing';

export function openSaverStore(directory: string): FileTokenStore {
  return new FileTokenStore({ directory, masterKey: Buffer.alloc(32, 7), log: new MemoryLog() });
}

/** Of a length that needs more than one page, and different each time. */
export function saverGrant(generation: number): StoredGrant {
  return { refreshToken: `${generation}-`.repeat(500 + (generation % 700)), generation, savedAt: generation as EpochMs };
}

/** Prints the generation after each durable save. */
export async function saveForever(directory: string): Promise<never> {
  const store = openSaverStore(directory);
  let generation = (await store.load(SAVER_ACCOUNT))?.generation ?? 0;
  for (;;) {
    generation += 1;
    await store.save(SAVER_ACCOUNT, saverGrant(generation));
    writeSync(1, `${generation}\n`);
  }
}

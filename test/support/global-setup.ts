/**
 * Builds dist/ if needed before the tests, so that end-to-end tests run what `npm start` runs, and says at the very end which tests this machine
 * could not run.
 */
import { ensureBuilt } from '../../scripts/build.mjs';
import { reasonNotToRun } from './real/packages.ts';

export async function setup(): Promise<void> {
  await ensureBuilt();
}

export function teardown(): void {
  const reason = reasonNotToRun();
  if (reason !== undefined) process.stderr.write(`\nNot run: the tests against real Postfix and Dovecot (test/real). ${reason}\n`);
}

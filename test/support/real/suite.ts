/**
 * What every file of real-server tests begins with: packages installed, or the reason why the file is not run.
 *
 * @packageDocumentation
 */
import { ensurePackages } from './packages.ts';

/** Undefined where the tests run. */
export const notRun: string | undefined = await ensurePackages();

if (notRun !== undefined) process.stderr.write(`Real-server tests are not run: ${notRun}.\n`);

/** For the end of a suite's name: why it is skipped. */
export const whyNotRun: string = notRun === undefined ? '' : ` (not run: ${notRun})`;

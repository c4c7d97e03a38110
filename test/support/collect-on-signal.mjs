/**
 * Loaded into a relay under test (`--import`): SIGUSR2 collects all garbage, and writes what is still held, in octets, into the file named by POSTERN_HELD_FILE. What a process
 * has resident follows the pace at which V8 collects, and says little about what is kept.
 */
import { writeFileSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

process.on('SIGUSR2', () => {
  collect();
  collect(); // What the first one finalised.
  const { heapUsed, external } = process.memoryUsage();
  writeFileSync(process.env['POSTERN_HELD_FILE'] ?? '', `${heapUsed + external}\n`);
});

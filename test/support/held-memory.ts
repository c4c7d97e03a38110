/**
 * Memory that is held on to: what the heap and buffers have after a garbage collection, in octets. Resident memory also counts what is free for
 * reuse, and so says little about a process that does many things one after another.
 *
 * @packageDocumentation
 */
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

export function heldMemory(): number {
  collect();
  collect(); // Memory of buffers is given back beside the program, and counted as free when the next collection begins.
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

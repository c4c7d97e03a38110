/**
 * What processes have used, as Linux counts it.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

const KILO = 1024;
/** Of the fields behind the name in /proc/PID/stat (proc(5)). */
const PARENT = 1;
const TIMES = [11, 12, 13, 14];

let ticksPerSecond: number | undefined;

/** Milliseconds of processor time that a process, its living descendants, and those that they have waited for have used so far. */
export function processorTime(pid: number): number {
  ticksPerSecond ??= Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }));
  let ticks = 0;
  for (const each of family(pid)) {
    const fields = statOf(each);
    if (fields !== undefined) for (const index of TIMES) ticks += Number(fields[index]);
  }
  return (ticks * 1000) / ticksPerSecond;
}

/** A process and its living descendants. */
export function family(pid: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc')) {
    if (/^\d+$/.test(name)) parents.set(Number(name), Number(statOf(Number(name))?.[PARENT]));
  }
  const found = [pid];
  for (const each of found) for (const [child, parent] of parents) if (parent === each) found.push(child);
  return found;
}

/** A field of /proc/PID/FILE in octets. */
export const memory = (pid: number, source: 'status' | 'smaps_rollup', field: string): number =>
  Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/${source}`, 'utf8'))?.[1]) * KILO;

/** The high-water mark goes back to the present size (proc(5), clear_refs). */
export const forgetPeak = (pid: number): void => writeFileSync(`/proc/${pid}/clear_refs`, '5');

/** Undefined where the process has ended meanwhile. */
function statOf(pid: number): string[] | undefined {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).split(' ');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return undefined;
    throw error;
  }
}

/**
 * How much V8 lets its heap grow before it looks what of it is alive.
 *
 * V8's own way is several times what is alive. A relay shares its machine with the applications it serves: here it looks once half as much again has come. But V8
 * counts the octets that sockets and files have been read into for growth of the heap, those that nobody holds any more among them: while large content passes, it
 * would look through everything for every 30 MB. So it is given more room meanwhile. What that costs is memory that V8 may take until it looks the next time, three
 * times what is alive at most. V8 11.3 (Node 20) is meant; that of Node 24 takes no notice.
 *
 * @packageDocumentation
 */
import { setFlagsFromString } from 'node:v8';

/** Per cent of what is alive. */
const USUAL = 50;
const WITH_LARGE_CONTENT = 300;

let passing = 0;

function apply(): void {
  setFlagsFromString(`--heap-growing-percent=${passing === 0 ? USUAL : WITH_LARGE_CONTENT}`);
}

/** Once, at the start. Without it V8 has its own way, and {@link largeContent} is the first to interfere. */
export function keepHeapSmall(): void {
  apply();
}

/**
 * Large content begins to pass.
 *
 * @returns To be called once it has passed; a second call does nothing.
 */
export function largeContent(): () => void {
  let isPassing = true;
  passing += 1;
  if (passing === 1) apply();
  return () => {
    if (!isPassing) return;
    isPassing = false;
    passing -= 1;
    if (passing === 0) apply();
  };
}

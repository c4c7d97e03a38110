#!/usr/bin/env node
/**
 * What Node runs: gives the program (src/main.ts, bundled into postern.js) to V8, together with what V8 has compiled of it when it was built (scripts/code-cache.mjs).
 *
 * CommonJS, so that nothing of Node's loader of ES modules is needed on the way. Where V8 cannot use the cache, being another version, it compiles, as it would without.
 *
 * @packageDocumentation
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { Script } from 'node:vm';
import { keepHeapSmall } from './platform/heap-growth.ts';

/** The value of the bundle. @param require - For packages that are not in the bundle, and Node's own. */
type Program = (require: NodeJS.Require, file: string) => void;

// A long queue that drains at full speed takes two thirds of the memory so, at the same speed.
keepHeapSmall();

const file = join(__dirname, 'postern.js');

/** Exported for scripts/code-cache.mjs. */
export const script = compile();

(script.runInThisContext() as Program)(createRequire(file), file);

/** What V8 has compiled counts only for the flags it was compiled with. Those for the size of the heap, often set (NODE_OPTIONS), change nothing of it, and have been heeded by now. */
function compile(): Script {
  setFlagsFromString('--max-old-space-size=0');
  setFlagsFromString('--max-semi-space-size=0');
  const cachedData = readCache();
  // Stacks say the name that the cache was made with, which has to be true wherever the build is moved to.
  return new Script(readFileSync(file, 'latin1'), { filename: 'postern.js', ...(cachedData === undefined ? {} : { cachedData }) });
}

function readCache(): Buffer | undefined {
  try {
    return readFileSync(`${file}.cache`);
  } catch {
    return undefined; // A build that has just been made has none, and nothing needs it.
  }
}

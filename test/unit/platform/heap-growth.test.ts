import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

const run = promisify(execFile);
const MODULE = new URL('../../../src/platform/heap-growth.ts', import.meta.url).href;

/** Whole garbage collections while 1 GB passes in buffers of 64 KB, each of which is soon forgotten; in a process of its own, on a heap as large as that of a relay. */
async function collections(prepare: string): Promise<number> {
  const script = `
    import { constants, PerformanceObserver } from 'node:perf_hooks';
    import { setImmediate as nextTurn } from 'node:timers/promises';
    import { keepHeapSmall, largeContent } from ${JSON.stringify(MODULE)};
    keepHeapSmall();
    const alive = Array.from({ length: 200_000 }, (_, index) => ({ index, next: [index] }));
    let count = 0;
    new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries()) if (detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR) count += 1;
    }).observe({ entryTypes: ['gc'] });
    ${prepare}
    const pass = async () => {
      for (let passed = 0; passed < 16_384; passed += 1) {
        Buffer.allocUnsafeSlow(65_536);
        if (passed % 16 === 0) await nextTurn();
      }
    };
    await pass();
    count = 0;
    await pass();
    await nextTurn();
    console.log(count, alive.length);
  `;
  const { stdout } = await run(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script]);
  return Number(stdout.split(' ')[0]);
}

/** V8 13.6, of Node 24, has as many collections whatever the flag says (measured: 11 with 50 %, 13 with 300 %). */
const isHeeded = process.versions.v8.startsWith('11.');
if (!isHeeded)
  process.stderr.write(`heap-growth.test.ts is not run: V8 ${process.versions.v8} is not known to heed --heap-growing-percent\n`);

describe(`growth of the heap${isHeeded ? '' : ' (not run: this V8 is not known to heed its flag)'}`, () => {
  it.skipIf(!isHeeded)('has fewer whole collections while large content passes, and as many as before afterwards', async () => {
    const usual = await collections('');
    const during = await collections('const one = largeContent(); const other = largeContent(); one(); one();');
    const afterwards = await collections('const passed = largeContent(); passed();');
    // How many there are depends on how far V8's other threads get meanwhile.
    expect(during).toBeLessThan(Math.min(usual, afterwards));
  });
});

/**
 * How much work a function does, counted instead of timed: V8 counts how often each block of a source file runs.
 *
 * The file must not have been loaded before: V8 counts only code that it compiles while counting. So a test imports it through
 * {@link countSteps}, not at its top. The process stays slow afterwards: keep such tests in a file of their own.
 *
 * @packageDocumentation
 */
import { type Profiler, Session } from 'node:inspector';
import { setFlagsFromString } from 'node:v8';

/** Runs actions of one module and counts their steps. */
export interface StepCounter<Module> {
  /** Blocks of the counted files that run during `action`. */
  steps(action: (module: Module) => Promise<void> | void): Promise<number>;
  /** Stop counting. */
  stop(): void;
}

/**
 * Load a module and get ready to count.
 *
 * @param load - Imports it, for example `() => import('../../src/message/address-list.ts')`.
 * @param isCounted - True for the addresses of the source files that count.
 */
export async function countSteps<Module>(load: () => Promise<Module>, isCounted: (url: string) => boolean): Promise<StepCounter<Module>> {
  // Some counts are lost at the moment a function is compiled again, so it never is; the counts are exact then.
  for (const flag of ['--no-opt', '--no-sparkplug', '--no-maglev', '--no-flush-bytecode']) setFlagsFromString(flag);
  const session = new Session();
  session.connect();
  session.post('Profiler.enable');
  session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  const module = await load();

  const take = (): number => {
    let total = 0;
    session.post('Profiler.takePreciseCoverage', (error: Error | null, coverage: Profiler.TakePreciseCoverageReturnType) => {
      if (error !== null) throw error;
      for (const { functions } of coverage.result.filter(({ url }) => isCounted(url))) {
        for (const { ranges } of functions) total += ranges.reduce((sum, { count }) => sum + count, 0);
      }
    });
    return total;
  };

  return {
    async steps(action) {
      take(); // sets the counts back to nought
      await action(module);
      return take();
    },
    stop() {
      session.post('Profiler.stopPreciseCoverage');
      session.disconnect();
    },
  };
}

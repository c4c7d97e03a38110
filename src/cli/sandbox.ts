/**
 * `postern sandbox`: the local Microsoft 365 alone, on its usual ports.
 *
 * @packageDocumentation
 */
import { runSandbox } from '../app/sandbox.ts';
import type { Command } from './command.ts';
import { loadForCommand } from './load.ts';

export const sandbox: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    return 'exitCode' in loaded ? loaded.exitCode : runSandbox(loaded.config);
  },
};

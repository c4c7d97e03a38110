/**
 * `postern serve`: runs until it is stopped.
 *
 * @packageDocumentation
 */
import { serve as runService } from '../app/serve.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand } from './load.ts';

export const serve: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    return (await runService(loaded.config, loaded.notices)) === 'stopped' ? EXIT.ok : EXIT.problem;
  },
};

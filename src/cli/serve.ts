/**
 * `postern serve`: runs until it is stopped.
 *
 * @packageDocumentation
 */
import { serve as runService } from '../app/serve.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, readConfig } from './load.ts';

export const serve: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { config, notices } = loaded;
    // From where it came: should the file go missing, that is no reason to look elsewhere.
    const load = (text?: string) => readConfig(config.source === 'environment' ? undefined : config.source, text);
    return (await runService({ config, notices, load })) === 'stopped' ? EXIT.ok : EXIT.problem;
  },
};

/**
 * `postern serve`: runs until it is stopped.
 *
 * @packageDocumentation
 */
import { type Command, EXIT } from './command.ts';
import { mindEarlySignals } from './early-signals.ts';

export const serve: Command = {
  async run(invocation) {
    const endEarly = mindEarlySignals();
    const [{ serve: runService }, { loadForCommand, readConfig }] = await Promise.all([import('../app/serve.ts'), import('./load.ts')]);
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { config, notices } = loaded;
    // From where it came: should the file go missing, that is no reason to look elsewhere.
    const load = (text?: string) => readConfig(config.source === 'environment' ? undefined : config.source, text);
    endEarly();
    return (await runService({ config, notices, load })) === 'stopped' ? EXIT.ok : EXIT.problem;
  },
};

/**
 * `postern rotate-key`: a new key for the state, also beside a running Postern. No key is printed.
 *
 * @packageDocumentation
 */
import { SILENCE } from '../app/open-tokens.ts';
import { type Rotation, rotateStateKey } from '../app/rotate-key.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';
import { reportingProblems } from './report.ts';

export const rotateKey: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { state, accounts } = loaded.config;
    return reportingProblems(invocation.isJson, async () => {
      const isResealOnly = invocation.options['reseal'] === true;
      const rotation = await rotateStateKey({ state, accounts: accounts.map(({ name }) => name), isResealOnly, log: SILENCE });
      if (invocation.isJson) printJson({ ok: rotation.left.length === 0, ...rotation });
      else process.stdout.write(describe(rotation, state.keyFile, isResealOnly));
      return rotation.left.length === 0 ? EXIT.ok : EXIT.problem;
    });
  },
};

function describe({ resealed, keys, needed, left }: Rotation, keyFile: string, isResealOnly: boolean): string {
  const done = `${resealed} stored grant${resealed === 1 ? '' : 's'} encrypted ${isResealOnly ? 'with the newest key' : 'with a new key'}.`;
  const unneeded = keys - needed;
  const advice =
    unneeded > 0
      ? `The last ${unneeded === 1 ? 'line' : `${unneeded} lines`} of ${keyFile} may be taken out.`
      : `${keyFile} holds ${keys} key${keys === 1 ? '' : 's'}. Make a new copy of it; old backups of the state need the old key.`;
  const rest = left.map(({ file, why }) => `${file} needs an old key still: ${why}\n`).join('');
  return `${done}\n${advice}\n${rest}`;
}

/**
 * Reads the configuration for a command and says what is wrong with it.
 *
 * @packageDocumentation
 */
import { type Config, type ConfigNotice, type ConfigProblem, describeFinding, type LoadResult } from '../config/config.ts';
import { loadConfig } from '../config/load.ts';
import { EXIT, type Invocation } from './command.ts';

/** The configuration, or the exit code of a command that cannot go on without it. Problems have been printed. */
export type Loaded = { readonly config: Config; readonly notices: readonly ConfigNotice[] } | { readonly exitCode: number };

export async function loadForCommand({ configFile, isJson }: Invocation): Promise<Loaded> {
  const result = await readConfig(configFile);
  if (result.ok) return result;
  if (isJson) printJson({ ok: false, source: result.source, problems: result.problems, notices: [] });
  else process.stderr.write(describeProblems(result.source, result.problems));
  return { exitCode: EXIT.badConfig };
}

/**
 * @param file - Undefined: as the environment says, or the usual place.
 * @param text - In place of what is in the file.
 */
export function readConfig(file: string | undefined, text?: string): Promise<LoadResult> {
  const given = { ...(file === undefined ? {} : { file }), ...(text === undefined ? {} : { text }) };
  return loadConfig({ ...given, env: process.env, cwd: process.cwd() });
}

/** One JSON document on standard output. */
export function printJson(value: unknown): void {
  process.stdout.write(`${JSON.stringify(value, null, 2)}\n`);
}

function describeProblems(source: string, problems: readonly ConfigProblem[]): string {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`;
  const lines = problems.map((problem) => `  ${describeFinding(problem)}`);
  return `postern: ${count} in ${source} [CONFIG_INVALID]\n${lines.join('\n')}\nEvery key is explained in docs/config.md. Correct these, then: postern check\n`;
}

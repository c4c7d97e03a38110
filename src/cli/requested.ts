/**
 * Commands with verbs: read what is asked for, load the configuration, do it.
 *
 * @packageDocumentation
 */
import type { Config } from '../config/config.ts';
import { type Command, EXIT, type Invocation } from './command.ts';
import { loadForCommand } from './load.ts';
import { reportingProblems } from './report.ts';

/** The arguments ask for nothing that there is. */
export interface Mistake {
  readonly kind: 'mistake';
  readonly what: string;
}

/**
 * @param read - What the arguments ask for.
 * @param work - Does it. Returns the exit code; its problems are reported.
 */
export function requested<Request extends { readonly kind: string }>(
  read: (invocation: Invocation) => Request | Mistake,
  work: (request: Exclude<Request, Mistake>, config: Config, isJson: boolean) => Promise<number>,
): Command {
  return {
    async run(invocation) {
      const request = read(invocation);
      if (isMistake(request)) {
        process.stderr.write(`postern: ${request.what}\n`);
        return EXIT.usage;
      }
      const loaded = await loadForCommand(invocation);
      if ('exitCode' in loaded) return loaded.exitCode;
      const { isJson } = invocation;
      return reportingProblems(isJson, () => work(request as Exclude<Request, Mistake>, loaded.config, isJson));
    },
  };
}

const isMistake = (request: { readonly kind: string }): request is Mistake => request.kind === 'mistake';

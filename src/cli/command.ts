/**
 * What a command of `postern` is.
 *
 * @packageDocumentation
 */

/** What a command gets. */
export interface Invocation {
  readonly positionals: readonly string[];
  /** The command's own options, by name. */
  readonly options: Readonly<Record<string, string | boolean>>;
  /** `--config`; undefined: POSTERN_CONFIG or the default path. */
  readonly configFile?: string;
  /** `--json`. */
  readonly isJson: boolean;
}

/** A command of `postern`. */
export interface Command {
  /** @returns The exit code. */
  run(invocation: Invocation): Promise<number>;
}

/** Exit codes; 78 is EX_CONFIG of sysexits.h. */
export const EXIT = { ok: 0, problem: 1, usage: 2, badConfig: 78 } as const;

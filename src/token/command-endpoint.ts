/**
 * Gets tokens from a program (`grant: command`): a password manager, a vault, another tool that keeps tokens.
 *
 * The program sees few environment variables, so that secrets of Postern's own environment do not reach it, and its arguments come from the
 * configuration as they are; no token is ever an argument, which every user of the machine could read.
 *
 * @packageDocumentation
 */
import { setMaxListeners } from 'node:events';
import type { CommandAuth } from '../core/account.ts';
import { kibibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import { runProgram } from '../platform/run-program.ts';
import { readProgramResult } from './grants/command.ts';
import type { Environment } from './grants/managed-identity.ts';
import type { TokenAnswer, TokenEndpoint, TokenRequest } from './token-answer.ts';

/** What the endpoint needs. */
export interface CommandEndpointOptions {
  readonly clock: Clock;
  /** Out of which the program gets what {@link ORDINARY} and its account name. */
  readonly env: Environment;
}

/** What programs need to find themselves and their files, and sockets of the user's session; none of these is a secret. */
const ORDINARY = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LC_ALL', 'TZ', 'TMPDIR', 'XDG_CONFIG_HOME', 'XDG_RUNTIME_DIR'];

/** A token of 16 KB in JSON, and room. */
const MOST_OUTPUT = kibibytes(64);

export class CommandEndpoint implements TokenEndpoint {
  readonly #clock: Clock;
  readonly #env: Environment;
  readonly #ending = new AbortController();

  constructor({ clock, env }: CommandEndpointOptions) {
    this.#clock = clock;
    this.#env = env;
    setMaxListeners(0, this.#ending.signal); // One for each program that runs; eleven accounts are no leak.
  }

  async request({ account: { auth, name } }: TokenRequest): Promise<TokenAnswer> {
    if (auth.grant !== 'command') throw new Error(`account ${name} has no command`);
    const [program, ...args] = auth.command;
    const result = await runProgram({
      program,
      args,
      directory: auth.directory,
      env: this.#environment(auth),
      deadline: auth.timeout,
      mostOutput: MOST_OUTPUT,
      clock: this.#clock,
      signal: this.#ending.signal,
    });
    return readProgramResult(program, result, this.#clock.now());
  }

  /** Programs that still run are killed. */
  close(): Promise<void> {
    this.#ending.abort();
    return Promise.resolve();
  }

  #environment({ passEnvironment }: CommandAuth): Record<string, string> {
    const names = [...ORDINARY, ...passEnvironment];
    return Object.fromEntries(names.flatMap((name) => (this.#env[name] === undefined ? [] : [[name, this.#env[name]]])));
  }
}

/**
 * Runs a program and reads what it prints: no shell, an environment of the caller's choosing, a deadline, and a limit on output.
 *
 * The program gets a process group of its own, and at the deadline the whole group is killed: a script's children do not live on. Standard input
 * is a file or empty, so that nothing waits for a person; never a pipe, whose end a program would see, and take a part for the whole, when we are killed.
 *
 * @packageDocumentation
 */
import type { ChildProcess, StdioOptions } from 'node:child_process';
import { type DurationMs, milliseconds } from '../core/clock.ts';
import { kibibytes, type Octets } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import { errorCode } from './dial-error.ts';

/** What to run and how far it may go. */
export interface ProgramRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Working directory. */
  readonly directory: string;
  /** All of it: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  /** A file descriptor, read from its position on. Absent: standard input is empty. */
  readonly input?: number;
  readonly deadline: DurationMs;
  /** Of standard output. Absent: that goes nowhere. */
  readonly mostOutput?: Octets;
  readonly clock: Clock;
  /** Kills it before the deadline. */
  readonly signal?: AbortSignal;
}

/** How it ended. `errors` is the end of what it said on standard error. */
export type ProgramResult =
  | {
      readonly kind: 'exited';
      /** Undefined where a signal ended it. */
      readonly code?: number;
      readonly signal?: string;
      /** Standard output. */
      readonly output: string;
      readonly errors: string;
    }
  /** `reason` is a code of the system: ENOENT. */
  | { readonly kind: 'not-started'; readonly reason: string }
  | ({ readonly kind: 'timeout'; readonly after: DurationMs; readonly errors: string } & Killed)
  /** The signal said so. */
  | ({ readonly kind: 'called-off' } & Killed)
  | ({ readonly kind: 'too-much-output'; readonly limit: Octets } & Killed);

/** What became of a program that was to be killed. */
interface Killed {
  readonly survivor?: Survivor;
}

/** It could not be killed, and goes on: a program that runs as another user (sudo) cannot be by us. `reason` is a code of the system: EPERM. */
export interface Survivor {
  readonly pid: number;
  readonly reason: string;
}

/** Of standard error the last so many octets are kept. */
const MOST_ERRORS = kibibytes(4);
/** A child that was left behind may hold the pipes open after the program has ended; so long is waited for the rest of the output. */
const AFTER_EXIT = milliseconds(250);

/** Run it. Never rejects. */
export async function runProgram(request: ProgramRequest): Promise<ProgramResult> {
  const { program, args, directory, env, input = 'ignore', mostOutput } = request;
  const stdio: StdioOptions = [input, mostOutput === undefined ? 'ignore' : 'pipe', 'pipe'];
  const { spawn } = await import('node:child_process'); // Few relays run any program, and a start need not load it.
  let child: ChildProcess;
  try {
    // A NUL in a name or argument makes it throw at once.
    child = spawn(program, [...args], { cwd: directory, env, stdio, detached: true, shell: false });
  } catch (error) {
    return { kind: 'not-started', reason: errorCode(error) };
  }
  return new Watch(child, request).result;
}

/** One running program. */
class Watch {
  readonly result: Promise<ProgramResult>;
  readonly #child: ChildProcess;
  readonly #request: ProgramRequest;
  readonly #output: Buffer[] = [];
  #length = 0;
  #errors = Buffer.alloc(0);
  #settle: (result: ProgramResult) => void = () => {};

  constructor(child: ChildProcess, request: ProgramRequest) {
    this.#child = child;
    this.#request = request;
    const { deadline, clock, signal } = request;
    const expire = (): void => this.#kill({ kind: 'timeout', after: deadline, errors: this.#said() });
    const timer = clock.startTimer(deadline, expire);
    const callOff = (): void => this.#kill({ kind: 'called-off' });
    signal?.addEventListener('abort', callOff);
    this.result = new Promise((resolve) => {
      this.#settle = (result) => {
        timer.cancel();
        signal?.removeEventListener('abort', callOff);
        child.stdout?.destroy();
        child.stderr?.destroy();
        resolve(result);
      };
    });
    this.#listen();
    if (signal?.aborted === true) callOff();
  }

  #listen(): void {
    const { clock } = this.#request;
    // Where no pipe could be made (EMFILE), there is none; an error follows.
    this.#child.stdout?.on('data', (chunk: Buffer) => this.#take(chunk));
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = Buffer.from(Buffer.concat([this.#errors, chunk]).subarray(0 - MOST_ERRORS));
    });
    this.#child.once('error', (error) => this.#settle({ kind: 'not-started', reason: errorCode(error) }));
    this.#child.once('exit', () => {
      clock.startTimer(AFTER_EXIT, () => this.#finish(), { isBackground: true });
    });
    this.#child.once('close', () => this.#finish());
  }

  #take(chunk: Buffer): void {
    const { mostOutput = 0 as Octets } = this.#request;
    this.#length += chunk.length;
    if (this.#length > mostOutput) this.#kill({ kind: 'too-much-output', limit: mostOutput });
    else this.#output.push(chunk);
  }

  #finish(): void {
    const { exitCode, signalCode } = this.#child;
    this.#settle({
      kind: 'exited',
      ...(exitCode === null ? {} : { code: exitCode }),
      ...(signalCode === null ? {} : { signal: signalCode }),
      output: Buffer.concat(this.#output).toString('utf8'),
      errors: this.#said(),
    });
  }

  #said(): string {
    return this.#errors.toString('utf8');
  }

  /** Never throws: it is called by timers, and nobody there could catch it. */
  #kill(result: Exclude<ProgramResult, { readonly kind: 'exited' | 'not-started' }>): void {
    const survivor = killGroup(this.#child.pid);
    if (survivor !== undefined) this.#child.unref(); // It must not keep us from ending.
    this.#settle({ ...result, ...(survivor === undefined ? {} : { survivor }) });
  }
}

/** The last lines of `errors` that are not blank. */
export function lastLines(errors: string, most: number): string[] {
  return errors
    .split(/\r?\n|\r/)
    .filter((line) => line.trim() !== '')
    .slice(-most);
}

/** Kill a process that was started as leader of its group, with all that it started. @returns Undefined where nothing of it is left. */
function killGroup(pid: number | undefined): Survivor | undefined {
  if (pid === undefined) return undefined; // It never started.
  try {
    process.kill(-pid, 'SIGKILL');
    return undefined;
  } catch (error) {
    const reason = errorCode(error);
    return reason === 'ESRCH' ? undefined : { pid, reason };
  }
}

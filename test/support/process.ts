/**
 * Runs Postern as users do: a process of its own, its output read as it comes.
 *
 * @packageDocumentation
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const projectRoot = fileURLToPath(new URL('../..', import.meta.url));

/** How a process ended and what it said. */
export interface Finished {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ProcessOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
  readonly input?: string;
  readonly keepsInput?: boolean;
  /** Run as the user with this number. */
  readonly user?: number;
}

export class RunningProcess {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #ended: Promise<number | null>;
  readonly #watchers = new Set<() => void>();

  /** @param options - `input` is all that it can read, unless `keepsInput` leaves its standard input open for more. */
  constructor(command: string, args: readonly string[], options: ProcessOptions = {}) {
    const { cwd = projectRoot, env, user } = options;
    this.child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: 'pipe',
      ...(user === undefined ? {} : { uid: user }),
    });
    this.child.stdout?.setEncoding('utf8').on('data', (text: string) => this.#take('stdout', text));
    this.child.stderr?.setEncoding('utf8').on('data', (text: string) => this.#take('stderr', text));
    this.#ended = new Promise((resolve, reject) => {
      this.child.once('error', reject);
      this.child.once('close', (code) => {
        resolve(code);
        for (const watcher of this.#watchers) watcher();
      });
    });
    // A child that ends early closes its input; how it ended is told by its exit code.
    this.child.stdin?.on('error', () => undefined);
    if (options.keepsInput !== true) this.child.stdin?.end(options.input ?? '');
  }

  /** Waits until the output matches; fails with the output where the process ends before. */
  async until(pattern: RegExp): Promise<RegExpExecArray> {
    for (;;) {
      const match = pattern.exec(this.stdout + this.stderr);
      if (match !== null) return match;
      if (this.child.exitCode !== null || this.child.signalCode !== null)
        throw new Error(`ended before ${pattern}:\n${this.stdout}${this.stderr}`);
      await new Promise<void>((resolve) => {
        const watcher = (): void => {
          this.#watchers.delete(watcher);
          resolve();
        };
        this.#watchers.add(watcher);
      });
    }
  }

  /** Sends a signal, if one is named, and waits for the end. */
  async end(signal?: NodeJS.Signals): Promise<Finished> {
    if (signal !== undefined) this.child.kill(signal);
    return { code: await this.#ended, stdout: this.stdout, stderr: this.stderr };
  }

  #take(stream: 'stdout' | 'stderr', text: string): void {
    this[stream] += text;
    for (const watcher of this.#watchers) watcher();
  }
}

/**
 * `postern ARGS`, on the build that the tests made.
 *
 * @param through - A program and its arguments that becomes it.
 */
export function postern(args: readonly string[], options: ProcessOptions = {}, through: readonly string[] = []): RunningProcess {
  const [program = process.execPath, ...rest] = [...through, process.execPath, `${projectRoot}dist/main.js`, ...args];
  return new RunningProcess(program, rest, options);
}

/**
 * Runs a program and gives it octets on standard input: no shell, an environment of the caller's choosing, a deadline.
 *
 * The program gets a process group of its own, which is killed whole at the deadline, when called off, and when the input cannot be read on: standard input
 * stays open in that case, so that the program never takes a part for the whole. A program need not read to the end: its exit decides. What it prints
 * goes nowhere, but for the end of what it says on standard error.
 *
 * @packageDocumentation
 */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Writable } from 'node:stream';
import { type DurationMs, milliseconds } from '../core/clock.ts';
import type { Octets } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import { errorCode } from './dial-error.ts';
import { killGroup, type Survivor } from './run-program.ts';

/** What to run, and what it gets. */
export interface FeedRequest {
  readonly program: string;
  readonly args: readonly string[];
  /** Working directory. */
  readonly directory: string;
  /** All of it: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly input: AsyncIterable<Uint8Array>;
  /** For everything. */
  readonly deadline: DurationMs;
  /** Of standard error the last so many octets are kept. */
  readonly mostErrors: Octets;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** How it ended. */
export type FeedResult =
  | {
      readonly kind: 'exited';
      /** Undefined where a signal ended it. */
      readonly code?: number;
      readonly signal?: string;
      /** The end of what it said on standard error. */
      readonly errors: string;
    }
  /** `reason` is a code of the system: ENOENT. */
  | { readonly kind: 'not-started'; readonly reason: string }
  | { readonly kind: 'timeout'; readonly errors: string; readonly survivor?: Survivor }
  /** The signal said so. */
  | { readonly kind: 'called-off'; readonly survivor?: Survivor }
  /** The input threw. */
  | { readonly kind: 'input-failed'; readonly error: unknown; readonly survivor?: Survivor };

/** A child that was left behind may hold the pipe open after the program has ended; so long is waited for the rest of it. */
const AFTER_EXIT = milliseconds(250);

/** Run it. Never rejects. */
export function feedProgram(request: FeedRequest): Promise<FeedResult> {
  const { program, args, directory, env } = request;
  let child: ChildProcess;
  try {
    // A NUL in a name or argument makes it throw at once.
    child = spawn(program, [...args], { cwd: directory, env, stdio: ['pipe', 'ignore', 'pipe'], detached: true, shell: false });
  } catch (error) {
    return Promise.resolve({ kind: 'not-started', reason: errorCode(error) });
  }
  return new Feeding(child, request).result;
}

class Feeding {
  readonly result: Promise<FeedResult>;
  readonly #child: ChildProcess;
  readonly #request: FeedRequest;
  #errors = Buffer.alloc(0);
  #isOver = false;
  #settle: (result: FeedResult) => void = () => undefined;

  constructor(child: ChildProcess, request: FeedRequest) {
    this.#child = child;
    this.#request = request;
    const { deadline, clock, signal } = request;
    const timer = clock.startTimer(deadline, () => this.#kill({ kind: 'timeout', errors: this.#said() }));
    const callOff = (): void => this.#kill({ kind: 'called-off' });
    signal.addEventListener('abort', callOff);
    this.result = new Promise((resolve) => {
      this.#settle = (result) => {
        this.#isOver = true;
        timer.cancel();
        signal.removeEventListener('abort', callOff);
        child.stdin?.destroy();
        child.stderr?.destroy();
        resolve(result);
      };
    });
    this.#listen();
    if (signal.aborted) callOff();
    else void this.#feed();
  }

  #listen(): void {
    const { clock, mostErrors } = this.#request;
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#errors = Buffer.from(Buffer.concat([this.#errors, chunk]).subarray(0 - mostErrors));
    });
    this.#child.once('error', (error) => this.#settle({ kind: 'not-started', reason: errorCode(error) }));
    this.#child.once('exit', () => {
      clock.startTimer(AFTER_EXIT, () => this.#finish(), { isBackground: true });
    });
    this.#child.once('close', () => this.#finish());
  }

  /** Octet for octet, no faster than the program reads. */
  async #feed(): Promise<void> {
    // Where no pipe could be made (EMFILE), there is none, whatever the type says; an error follows.
    const stdin: Writable | null | undefined = this.#child.stdin;
    if (stdin === null || stdin === undefined) return;
    let isClosed = false;
    let wake: () => void = () => undefined;
    // EPIPE: the program has closed its end, or is gone. Its exit code says what that means.
    stdin.on('error', () => undefined).on('drain', () => wake());
    stdin.once('close', () => {
      isClosed = true;
      wake();
    });
    const chunks = this.#request.input[Symbol.asyncIterator]();
    try {
      for (;;) {
        const next = await chunks.next();
        if (this.#isOver || isClosed) break;
        if (next.done === true) {
          stdin.end();
          break;
        }
        if (stdin.write(next.value)) continue;
        await new Promise<void>((resolve) => (wake = resolve));
      }
    } catch (error) {
      this.#kill({ kind: 'input-failed', error });
    }
    // What goes wrong while the source tidies up is its owner's to report; the program has its outcome.
    chunks.return?.()?.catch(() => undefined);
  }

  #said(): string {
    return this.#errors.toString('utf8');
  }

  #finish(): void {
    const { exitCode, signalCode } = this.#child;
    this.#settle({
      kind: 'exited',
      ...(exitCode === null ? {} : { code: exitCode }),
      ...(signalCode === null ? {} : { signal: signalCode }),
      errors: this.#said(),
    });
  }

  /** Never throws: it is called by timers, and nobody there could catch it. */
  #kill(result: Exclude<FeedResult, { readonly kind: 'exited' | 'not-started' }>): void {
    if (this.#isOver) return;
    const survivor = killGroup(this.#child.pid);
    if (survivor !== undefined) this.#child.unref(); // It must not keep us from ending.
    this.#settle({ ...result, ...(survivor === undefined ? {} : { survivor }) });
  }
}

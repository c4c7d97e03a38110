/**
 * Fetched messages into a program: each is given on standard input, and the exit code decides.
 *
 * The program starts once the whole message is here, and reads it from a file without a name: however Postern ends meanwhile, a part never looks like the
 * whole, and what has begun may go on.
 *
 * 0: stored. 65 (EX_DATAERR) and 67 (EX_NOUSER), which are about the message: refused. Any other, 69 (EX_UNAVAILABLE), 75 (EX_TEMPFAIL) and 77 (EX_NOPERM) among
 * them, a signal, or the end of its time: later. It gets no shell, its own process group, which is killed at the end of its time, and of our environment PATH, HOME, LANG and TZ, with
 * `POSTERN_RULE`, `POSTERN_KEY` (the same for the same message at every try), `POSTERN_ACCOUNT`, `POSTERN_MAILBOX` and `POSTERN_UID`.
 *
 * Source: sysexits.h of BSD, which mail programs go by.
 *
 * @packageDocumentation
 */
import { type FileHandle, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { DurationMs } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { showLine } from '../../core/reply.ts';
import { lastLines, type ProgramResult, runProgram, type Survivor } from '../../platform/run-program.ts';
import type { SinkParts } from './sink-parts.ts';
import { storageProblem, writeScratch } from './write-content.ts';

/** Which program. */
export interface CommandSettings {
  /** Run as it is, without a shell. */
  readonly argv: readonly [program: string, ...args: string[]];
  /** Working directory, from which a relative program is looked for. */
  readonly directory: string;
  /** For one message, from the start to the exit. */
  readonly timeoutMs: DurationMs;
}

const REFUSALS: ReadonlySet<number> = new Set([65, 67]);
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'] as const;
/** Of standard error the problem shows so many lines. */
const MOST_LINES = 5;

type CommandParts = Pick<SinkParts, 'clock' | 'scratch'>;

/** Starts nothing yet. */
export const openCommandSink = (settings: CommandSettings, parts: CommandParts): MessageSink => new CommandSink(settings, parts);

class CommandSink implements MessageSink {
  readonly description: string;
  readonly #settings: CommandSettings;
  readonly #clock: Clock;
  readonly #scratch: string;
  readonly #closing = new AbortController();

  constructor(settings: CommandSettings, { clock, scratch }: CommandParts) {
    this.#settings = settings;
    this.#clock = clock;
    this.#scratch = scratch;
    // Arguments may be anybody's business, or nobody's.
    this.description = `command ${settings.argv[0]}`;
  }

  async deliver(message: FetchedMessage, caller: AbortSignal): Promise<SinkOutcome> {
    const signal = AbortSignal.any([caller, this.#closing.signal]);
    signal.throwIfAborted();
    const path = join(this.#scratch, `${message.rule}.${message.key}`);
    let file: FileHandle;
    try {
      await mkdir(this.#scratch, { recursive: true, mode: 0o700 });
      file = await writeScratch(path, message, signal);
    } catch (error) {
      return { kind: 'later', problem: storageProblem(path, error, signal) };
    }
    try {
      return this.#outcomeOf(await this.#run(message, file, signal), signal);
    } finally {
      await file.close();
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error(`${this.description}: closed`));
  }

  #run(message: FetchedMessage, file: FileHandle, signal: AbortSignal): Promise<ProgramResult> {
    const { argv, directory, timeoutMs: deadline } = this.#settings;
    const [program, ...args] = argv;
    return runProgram({ program, args, directory, env: environmentOf(message), input: file.fd, deadline, clock: this.#clock, signal });
  }

  #outcomeOf(result: ProgramResult, caller: AbortSignal): SinkOutcome {
    // A program that has ended has decided, though Postern stops meanwhile.
    if (result.kind === 'exited') return this.#decisionOf(result);
    caller.throwIfAborted();
    return { kind: 'later', problem: this.#problemOf(result) };
  }

  #decisionOf({ code, signal, errors }: ProgramResult & { readonly kind: 'exited' }): SinkOutcome {
    const name = this.#settings.argv[0];
    if (code === 0) return { kind: 'stored', detail: `${name} ended with 0` };
    const cause = `${name} ended ${code === undefined ? `by ${signal ?? 'a signal'}` : `with ${code}`}${said(errors)}`;
    if (code !== undefined && REFUSALS.has(code)) return { kind: 'refused', problem: problem('FETCH_REFUSED', cause) };
    return { kind: 'later', problem: problem('FETCH_NOT_TAKEN', cause) };
  }

  #problemOf(result: Exclude<ProgramResult, { readonly kind: 'exited' }>): Problem {
    const name = this.#settings.argv[0];
    switch (result.kind) {
      case 'not-started':
        return problem('FETCH_COMMAND_FAILED', `${name} could not be started: ${result.reason || 'unknown error'}`, {
          heals: 'after-repair',
        });
      case 'timeout': {
        const after = `no exit within ${this.#settings.timeoutMs / 1000} s`;
        return problem('FETCH_COMMAND_FAILED', `${name}: ${after}${left(result.survivor)}${said(result.errors)}`);
      }
      case 'called-off':
      case 'too-much-output':
        throw new Error('nobody called it off, and its output is not read');
    }
  }
}

/** Nothing of ours that might be a secret. */
function environmentOf({ rule, key, account, mailbox, uid }: FetchedMessage): Record<string, string> {
  const inherited = INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const]));
  const own = { POSTERN_RULE: rule, POSTERN_KEY: key, POSTERN_ACCOUNT: account, POSTERN_MAILBOX: mailbox, POSTERN_UID: String(uid) };
  return { ...Object.fromEntries(inherited), ...own };
}

const left = (survivor: Survivor | undefined): string =>
  survivor === undefined ? ', killed' : `, and process ${survivor.pid} could not be killed (${survivor.reason})`;

/** The last lines of standard error, as they may be shown. */
function said(errors: string): string {
  const lines = lastLines(errors, MOST_LINES)
    .map(showLine)
    .filter((line) => line !== '');
  return lines.length === 0 ? '' : `: ${lines.join(' / ')}`;
}

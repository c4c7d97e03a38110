/**
 * Messages handed to a program on its standard input; its exit code decides.
 *
 * 0: stored. 65 (EX_DATAERR), 67 (EX_NOUSER), 69 (EX_UNAVAILABLE) and 77 (EX_NOPERM): refused. Any other, 75 (EX_TEMPFAIL) among them, a signal, or the end of
 * its time: later. It gets no shell, its own process group, which is killed at the end of its time, and of our environment PATH, HOME, LANG and TZ, with
 * `POSTERN_RULE`, `POSTERN_KEY` (the same for the same message at every try), `POSTERN_ACCOUNT`, `POSTERN_MAILBOX` and `POSTERN_UID`.
 *
 * Source: sysexits.h of BSD, which mail programs go by.
 *
 * @packageDocumentation
 */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { once } from 'node:events';
import { milliseconds } from '../../core/clock.ts';
import type { SinkSettings } from '../../core/fetch-rule.ts';
import type { Clock } from '../../core/ports/clock.ts';
import { cleanText } from '../../core/reply.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { errorCode } from '../../platform/dial-error.ts';
import { later, readable, refused, rethrow, type SinkParts } from './sink-parts.ts';

type Settings = Extract<SinkSettings, { readonly kind: 'command' }>;

const REFUSALS: ReadonlySet<number> = new Set([65, 67, 69, 77]);
const INHERITED = ['PATH', 'HOME', 'LANG', 'TZ'] as const;
/** Of standard error, octets. */
const MOST_KEPT = 4_096;
/** For what it said last to come through. */
const AFTER_EXIT = milliseconds(250);

/** How the program ended. */
interface Ending {
  readonly code: number | null;
  readonly signal: string | null;
}

export class CommandSink implements MessageSink {
  readonly description: string;
  readonly #settings: Settings;
  readonly #clock: Clock;

  constructor(settings: Settings, { clock }: Pick<SinkParts, 'clock'>) {
    this.#settings = settings;
    this.#clock = clock;
    this.description = `command ${settings.argv[0]}`;
  }

  async deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome> {
    const { argv, timeoutMs } = this.#settings;
    const [program, ...args] = argv;
    const child = spawn(program, args, { env: environmentFor(message), stdio: 'pipe', detached: true, shell: false });
    let isLate = false;
    const kill = (): void => killGroup(child.pid);
    const timer = this.#clock.startTimer(timeoutMs, () => {
      isLate = true;
      kill();
    });
    signal.addEventListener('abort', kill, { once: true });
    if (signal.aborted) kill();
    const said = lastWords(child);
    const ended = endOf(child, this.#clock);
    try {
      await feed(child, message, signal);
      const { code, signal: killer } = await ended;
      signal.throwIfAborted();
      if (isLate) return later(`${program} had not ended after ${timeoutMs / 1000} s and was killed${said()}`);
      if (code === 0) return { kind: 'stored', detail: `${program} ended with 0` };
      const cause = `${program} ended ${code === null ? `by ${killer ?? 'a signal'}` : `with ${code}`}${said()}`;
      return code !== null && REFUSALS.has(code) ? refused(cause) : later(cause);
    } catch (error) {
      kill(); // What it has got is not the whole message.
      await ended.catch(() => undefined);
      rethrow(error, signal);
      return later(`${program} cannot be run: ${errorCode(error)}`);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', kill);
    }
  }

  async close(): Promise<void> {}
}

function environmentFor({ rule, key, account, mailbox, uid }: FetchedMessage): NodeJS.ProcessEnv {
  const inherited = INHERITED.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]] as const]));
  const own = { POSTERN_RULE: rule, POSTERN_KEY: key, POSTERN_ACCOUNT: account, POSTERN_MAILBOX: mailbox, POSTERN_UID: String(uid) };
  return { ...Object.fromEntries(inherited), ...own };
}

/** A program may decide without reading to the end: its exit code counts, not that its input is closed. @throws ReadFailure */
async function feed(child: ChildProcessWithoutNullStreams, message: FetchedMessage, signal: AbortSignal): Promise<void> {
  const { stdin } = child;
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    const close = (): void => {
      isClosed = true;
      resolve();
    };
    stdin.on('error', close).on('close', close);
    child.once('exit', close);
  });
  for await (const octets of readable(message, signal)) {
    if (isClosed) return;
    if (!stdin.write(octets)) await Promise.race([once(stdin, 'drain', { signal }).catch(() => undefined), closed]);
    signal.throwIfAborted();
  }
  stdin.end();
}

/** @returns What standard error ended in, for the end of a sentence. */
function lastWords(child: ChildProcessWithoutNullStreams): () => string {
  let kept = Buffer.alloc(0);
  child.stdout.resume(); // Nobody reads it, and a full pipe would stop the program.
  child.stderr.on('data', (octets: Buffer) => {
    kept = Buffer.from(Buffer.concat([kept, octets]).subarray(-MOST_KEPT));
  });
  return () => {
    const line = kept
      .toString('utf8')
      .split('\n')
      .findLast((text) => text.trim() !== '');
    return line === undefined ? '' : `: ${cleanText(line)}`;
  };
}

function endOf(child: ChildProcessWithoutNullStreams, clock: Clock): Promise<Ending> {
  const ended = new Promise<Ending>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => resolve({ code, signal }));
    // A child of its own that was left behind may hold the pipes open.
    child.once('exit', (code, signal) => clock.startTimer(AFTER_EXIT, () => resolve({ code, signal })));
  });
  ended.catch(() => undefined); // Looked at later.
  return ended;
}

function killGroup(pid: number | undefined): void {
  if (pid === undefined) return; // It never started.
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    if (errorCode(error) !== 'ESRCH' && errorCode(error) !== 'EPERM') throw error; // It has ended, or runs as another user.
  }
}

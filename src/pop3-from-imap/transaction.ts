/**
 * The TRANSACTION and UPDATE states of POP3, served from a maildrop that is an IMAP mailbox.
 *
 * Commands are served one at a time, in the order in which they came. Nothing is deleted but by QUIT (RFC 1939 §6): a session that ends in any other way leaves
 * everything as it was. Content goes on as it comes, no faster than the application takes it, in wire form (message/wire-form.ts): a bare LF becomes CRLF, so that
 * no content can pass for the end of an answer; content with CRLF line ends, which is what IMAP has, stays as it is, octet for octet.
 *
 * Sources: RFC 1939 §3, §5, §6, §7; RFC 2449 (CAPA, response codes); RFC 3206 (SYS/TEMP).
 *
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { type DurationMs, minutes } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type Problem, ProblemError } from '../core/problem.ts';
import { cleanText } from '../core/reply.ts';
import { WireFormEncoder } from '../message/wire-form.ts';
import type { ContentSink, FetchOutcome, Maildrop } from './maildrop.ts';
import type { ListedMessage } from './message-list.ts';
import { OctetReader, StreamFault } from './octet-reader.ts';
import { TopFilter } from './top-filter.ts';

/** `broken`: an answer could not be brought to its end, or the mailbox was lost; the connection of the application is cut. */
export type TransactionEnd = 'quit' | 'gone' | 'idle' | 'broken';

export interface TransactionReport {
  readonly end: TransactionEnd;
  /** Messages deleted for good. */
  readonly removed: number;
  /** What went wrong last, if anything. */
  readonly problem?: Problem;
}

export interface TransactionOptions {
  /** Paused; nobody else reads from it. Its owner closes it. */
  readonly app: Duplex;
  /** What the application has said already. */
  readonly ahead: Buffer;
  readonly maildrop: Maildrop;
  readonly clock: Clock;
  /** RFC 1939 §3: at least ten minutes, which is the default. */
  readonly idleTimeout?: DurationMs;
  /** The maildrop has been updated and may be another session's. Before QUIT is answered: an application may come again at once. */
  readonly onUpdated?: () => void;
}

/** RFC 2449 §4 allows 255 octets; a little more does no harm. */
const LONGEST_COMMAND = 512;
const LINES_AT_ONCE = 1_000;
const TOP_STEP = 65_536;
const CAPABILITIES = ['TOP', 'UIDL', 'RESP-CODES', 'PIPELINING', 'IMPLEMENTATION Postern'];

/** The application takes no more octets. */
class AppGone extends Error {
  override readonly name = 'AppGone';
}

/** Serve until QUIT or the end of the connection. Rejects on a defect alone. */
export async function servePop3Transaction(options: TransactionOptions): Promise<TransactionReport> {
  const transaction = new Transaction(options);
  const abort = (): void => transaction.appGone();
  options.app.once('close', abort);
  try {
    return await transaction.run();
  } finally {
    options.app.off('close', abort);
    options.maildrop.close();
  }
}

class Transaction {
  readonly #app: Duplex;
  readonly #maildrop: Maildrop;
  readonly #reader: OctetReader;
  readonly #clock: Clock;
  readonly #idleTimeout: DurationMs;
  readonly #onUpdated: () => void;
  readonly #deleted = new Set<number>();
  #removed = 0;
  #problem: Problem | undefined;
  /** QUIT has been read (RFC 1939 §6). */
  #isUpdating = false;

  constructor({ app, ahead, maildrop, clock, idleTimeout = minutes(10), onUpdated = () => undefined }: TransactionOptions) {
    this.#app = app;
    this.#maildrop = maildrop;
    this.#clock = clock;
    this.#idleTimeout = idleTimeout;
    this.#onUpdated = onUpdated;
    this.#reader = new OctetReader(app, ahead, clock, idleTimeout);
  }

  /** Whoever has said QUIT need not stay for the answer: what was to be deleted is deleted, all of it. */
  appGone(): void {
    if (!this.#isUpdating) this.#maildrop.abort();
  }

  async run(): Promise<TransactionReport> {
    const end = await this.#serve();
    return { end, removed: this.#removed, ...(this.#problem === undefined ? {} : { problem: this.#problem }) };
  }

  async #serve(): Promise<TransactionEnd> {
    try {
      for (;;) {
        const line = await this.#readCommand();
        if (line !== undefined && (await this.#answer(line)) === 'over') return 'quit';
      }
    } catch (error) {
      if (error instanceof AppGone) return 'gone';
      if (error instanceof StreamFault) return error.end === 'silent' ? 'idle' : 'gone';
      if (!(error instanceof ProblemError)) throw error;
      // In the middle of an answer: the end of the connection is the only way to say that it is not whole.
      this.#problem = error.problem;
      return 'broken';
    }
  }

  async #readCommand(): Promise<string | undefined> {
    try {
      return (await this.#reader.line(LONGEST_COMMAND)).toString('latin1');
    } catch (error) {
      if (!(error instanceof StreamFault) || error.end !== 'too-long') throw error;
      await this.#reader.skipLine();
      await this.#say('-ERR The command is too long');
      return undefined;
    }
  }

  async #answer(line: string): Promise<'over' | undefined> {
    const [, verb = '', rest = ''] = /^(\S*) ?(.*)$/s.exec(line.trimEnd()) ?? [];
    switch (verb.toUpperCase()) {
      case 'STAT':
        await this.#stat();
        return;
      case 'LIST':
        await this.#listing(rest, 'messages', ({ size }) => `${size}`);
        return;
      case 'UIDL':
        await this.#listing(rest, 'unique ids', (message) => this.#maildrop.messages.uniqueId(message));
        return;
      case 'RETR':
        await this.#retrieve(rest);
        return;
      case 'TOP':
        await this.#top(rest);
        return;
      case 'DELE':
        await this.#delete(rest);
        return;
      case 'NOOP':
        await this.#say('+OK');
        return;
      case 'RSET':
        this.#deleted.clear();
        await this.#say('+OK Nothing is marked as deleted');
        return;
      case 'CAPA':
        await this.#say('+OK Capabilities follow', ...CAPABILITIES, '.');
        return;
      case 'QUIT':
        await this.#quit();
        return 'over';
      default:
        await this.#say('-ERR Unknown command');
        return;
    }
  }

  async #stat(): Promise<void> {
    let count = 0;
    let size = 0;
    for (const [, message] of this.#remaining()) {
      count += 1;
      size += message.size;
    }
    await this.#say(`+OK ${count} ${size}`);
  }

  async #listing(argument: string, what: string, show: (message: ListedMessage) => string): Promise<void> {
    if (argument !== '') {
      const message = this.#find(argument);
      await this.#say(message === undefined ? NO_MESSAGE : `+OK ${Number(argument)} ${show(message)}`);
      return;
    }
    let lines = [`+OK ${what} follow`];
    for (const [number, message] of this.#remaining()) {
      if (lines.push(`${number} ${show(message)}`) < LINES_AT_ONCE) continue;
      await this.#say(...lines);
      lines = [];
    }
    await this.#say(...lines, '.');
  }

  async #retrieve(argument: string): Promise<void> {
    const message = this.#find(argument);
    if (message === undefined) return this.#say(NO_MESSAGE);
    const encoder = new WireFormEncoder();
    let hasBegun = false;
    const sink: ContentSink = {
      begin: async (size) => {
        hasBegun = true;
        await this.#say(`+OK ${size} octets`);
      },
      octets: (octets) => this.#write(encoder.push(octets)),
    };
    const isThere = await this.#attempt(
      () => this.#maildrop.fetch(message.uid, sink),
      () => hasBegun,
    );
    if (!isThere) return;
    await this.#write(encoder.finish());
    await this.#say('.');
  }

  /** In steps, since nobody knows beforehand how many octets so many lines are. */
  async #top(argument: string): Promise<void> {
    const [, number = '', lines = ''] = /^(\d{1,10}) +(\d{1,10})$/.exec(argument) ?? [];
    if (lines === '') return this.#say('-ERR Syntax: TOP message lines');
    const message = this.#find(number);
    if (message === undefined) return this.#say(NO_MESSAGE);
    const filter = new TopFilter(Number(lines));
    const encoder = new WireFormEncoder();
    let hasBegun = false;
    for (let offset = 0; !filter.isDone; ) {
      let taken = 0;
      const sink: ContentSink = {
        begin: async () => {
          if (!hasBegun) await this.#say('+OK The top follows');
          hasBegun = true;
        },
        octets: async (octets) => {
          taken += octets.length;
          await this.#write(encoder.push(filter.push(octets)));
        },
      };
      const range = { offset, octets: TOP_STEP };
      if (
        !(await this.#attempt(
          () => this.#maildrop.fetch(message.uid, sink, range),
          () => hasBegun,
        ))
      )
        return;
      offset += taken;
      // Less than was asked for is the end; more is a server without partial fetches, and everything.
      if (taken !== TOP_STEP) break;
    }
    await this.#write(encoder.finish());
    await this.#say('.');
  }

  async #delete(argument: string): Promise<void> {
    if (this.#find(argument) === undefined) return this.#say(NO_MESSAGE);
    this.#deleted.add(Number(argument));
    return this.#say('+OK Marked as deleted');
  }

  async #quit(): Promise<void> {
    this.#isUpdating = true;
    const { messages } = this.#maildrop;
    const numbers = [...this.#deleted].sort((one, other) => one - other);
    const uids = numbers.flatMap((number) => messages.get(number)?.uid ?? []);
    let failure: Problem | undefined;
    try {
      this.#removed = (await this.#maildrop.remove(uids)).removed;
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      failure = error.problem;
    }
    this.#onUpdated();
    this.#problem = failure ?? this.#problem;
    // RFC 1939 §6: some or none of them may be gone.
    if (failure !== undefined) return this.#say(`-ERR [SYS/TEMP] Messages could not be deleted: ${asWords(failure)}`);
    return this.#say('+OK Postern says goodbye');
  }

  /** @returns False where an error has been answered. @throws ProblemError where that is too late. */
  async #attempt(fetch: () => Promise<FetchOutcome>, hasBegun: () => boolean): Promise<boolean> {
    let outcome: FetchOutcome;
    try {
      outcome = await fetch();
    } catch (error) {
      if (!(error instanceof ProblemError) || hasBegun()) throw error;
      this.#problem = error.problem;
      await this.#say(`-ERR [SYS/TEMP] ${asWords(error.problem)}`);
      return false;
    }
    if (outcome.kind === 'fetched') return true;
    // A part behind the end of the message, where the last one ended exactly at it.
    if (hasBegun()) return true;
    await this.#say(outcome.kind === 'gone' ? '-ERR The message is gone' : `-ERR [SYS/TEMP] ${outcome.text}`);
    return false;
  }

  #find(argument: string): ListedMessage | undefined {
    if (!/^\d{1,10}$/.test(argument) || this.#deleted.has(Number(argument))) return undefined;
    return this.#maildrop.messages.get(Number(argument));
  }

  *#remaining(): Generator<readonly [number: number, message: ListedMessage]> {
    const { messages } = this.#maildrop;
    for (let number = 1; number <= messages.count; number += 1) {
      const message = messages.get(number);
      if (message !== undefined && !this.#deleted.has(number)) yield [number, message];
    }
  }

  #say(...lines: readonly string[]): Promise<void> {
    return this.#write([Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1')]);
  }

  /** Waits where the application is slower than we are, for as long as it may be idle. */
  async #write(parts: readonly Uint8Array[]): Promise<void> {
    for (const part of parts) {
      if (this.#app.destroyed || this.#app.writableEnded) throw new AppGone('the application is gone');
      if (!this.#app.write(part)) await this.#drained();
    }
  }

  #drained(): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (outcome: () => void): void => {
        timer.cancel();
        this.#app.off('drain', onDrain).off('close', onClose);
        outcome();
      };
      const onDrain = (): void => settle(resolve);
      const onClose = (): void => settle(() => reject(new AppGone('the application is gone')));
      const timer = this.#clock.startTimer(this.#idleTimeout, () => settle(() => reject(new StreamFault('silent'))));
      this.#app.on('drain', onDrain).on('close', onClose);
    });
  }
}

const NO_MESSAGE = '-ERR No such message';

const asWords = ({ cause, code }: Problem): string =>
  `${cleanText(cause)
    .replace(/[^\u0020-\u007e]/g, '?')
    .slice(0, 400)} (${code})`;

/**
 * Commands to an IMAP server, one at a time, on a connection that has signed in.
 *
 * Once failed, always failed: the connection is closed, and every further command fails alike. What the server says in BYE is the reason that is told.
 *
 * Source: RFC 9051 §2.2, §7.1.5 (BYE).
 *
 * @packageDocumentation
 */
import type { Duplex } from 'node:stream';
import { type DurationMs, minutes } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { type ProblemCode, ProblemError, problem } from '../core/problem.ts';
import { cleanText } from '../core/reply.ts';
import { type LiteralTaker, readResponse } from './imap-reader.ts';
import { type DataResponse, type ImapResponse, ImapSyntaxError, type StatusResponse } from './imap-response.ts';
import { OctetReader, StreamFault } from './octet-reader.ts';

/** A session at the provider that has signed in (RFC 9051 §3.2), as core/ports/mailbox.ts opens it. */
export interface SignedInImap {
  /** `host:port`, for causes. */
  readonly upstream: string;
  readonly socket: Duplex;
  /** Comes before what is read from the socket. */
  readonly rest: Buffer;
  /** After the sign-in. */
  readonly capabilities: readonly string[];
  close(): void;
}

/** What is done with untagged data while a command is under way. */
export interface Listening {
  readonly onData?: (response: DataResponse) => void | Promise<void>;
  readonly onStatus?: (response: StatusResponse) => void;
  readonly takeLiteral?: LiteralTaker;
  /** Untagged responses beyond which the server is taken for broken. Default 10,000. */
  readonly mostResponses?: number;
}

/** Longest wait for the next octets of an answer. Exchange takes its time to open a large mailbox. */
const SILENCE: DurationMs = minutes(2);
const MOST_RESPONSES = 10_000;

export class ImapSession {
  readonly capabilities: ReadonlySet<string>;
  readonly #mailbox: SignedInImap;
  readonly #reader: OctetReader;
  #count = 0;
  #failure: ProblemError | undefined;

  constructor(mailbox: SignedInImap, clock: Clock) {
    this.#mailbox = mailbox;
    this.#reader = new OctetReader(mailbox.socket, mailbox.rest, clock, SILENCE);
    this.capabilities = new Set(mailbox.capabilities.map((name) => name.toUpperCase()));
  }

  get upstream(): string {
    return this.#mailbox.upstream;
  }

  get isOpen(): boolean {
    return this.#failure === undefined && !this.#reader.isOver && !this.#mailbox.socket.destroyed;
  }

  /**
   * Send a command and wait for its tagged answer.
   *
   * @param line - Without tag. No literals.
   * @throws ProblemError `UPSTREAM_LOST`, `UPSTREAM_TIMEOUT` or `UPSTREAM_PROTOCOL`; or whatever a listener throws, and then the connection is closed too.
   */
  async command(line: string, listening: Listening = {}): Promise<StatusResponse> {
    if (this.#failure !== undefined) throw this.#failure;
    if (/[\u0000-\u001f\u007f]/.test(line)) throw new Error('control character in a command');
    this.#count += 1;
    const tag = `P${this.#count}`;
    this.#mailbox.socket.write(`${tag} ${line}\r\n`);
    try {
      return await this.#answer(tag, listening);
    } catch (error) {
      throw this.#fail(error);
    }
  }

  /** What could not be made sense of; the connection is closed. */
  violated(what: string): ProblemError {
    return this.#fail(new ImapSyntaxError(what)) as ProblemError;
  }

  /** Say LOGOUT without waiting for the answer. */
  logout(): void {
    if (this.isOpen) this.#mailbox.socket.end(`P${this.#count + 1} LOGOUT\r\n`);
    this.close();
  }

  close(): void {
    this.#failure ??= this.#problem('UPSTREAM_LOST', 'closed by us');
    // Octets that were written still go out where the socket was ended before.
    if (this.#mailbox.socket.writableEnded && !this.#mailbox.socket.writableFinished) {
      this.#mailbox.socket.once('finish', () => this.#mailbox.close());
    } else this.#mailbox.close();
  }

  async #answer(tag: string, { onData, onStatus, takeLiteral, mostResponses = MOST_RESPONSES }: Listening): Promise<StatusResponse> {
    for (let count = 0; count <= mostResponses; count += 1) {
      const response: ImapResponse = await readResponse(this.#reader, takeLiteral ?? (() => undefined));
      if (response.kind === 'continuation') throw new ImapSyntaxError('it asks for more of a command that is complete');
      if (response.kind === 'data') await onData?.(response);
      else if (response.tag === tag) return response;
      else if (response.tag !== '*') throw new ImapSyntaxError('it answers a command that was not given');
      else if (response.status === 'BYE') throw this.#problem('UPSTREAM_LOST', `the server ended the session: ${cleanText(response.text)}`);
      else onStatus?.(response);
    }
    throw new ImapSyntaxError('its answer has no end');
  }

  #fail(error: unknown): unknown {
    const failure = this.#explain(error);
    this.#failure ??= failure ?? this.#problem('UPSTREAM_LOST', 'closed by us');
    this.#mailbox.close();
    return failure ?? error;
  }

  #explain(error: unknown): ProblemError | undefined {
    if (error instanceof ProblemError) return error;
    if (error instanceof ImapSyntaxError) return this.#problem('UPSTREAM_PROTOCOL', error.message, error);
    if (!(error instanceof StreamFault)) return undefined;
    if (error.end === 'silent') return this.#problem('UPSTREAM_TIMEOUT', `no answer within ${SILENCE / 1000} s`, error);
    if (error.end === 'too-long') return this.#problem('UPSTREAM_PROTOCOL', 'a response without end', error);
    return this.#problem('UPSTREAM_LOST', 'the connection was lost', error);
  }

  #problem(code: ProblemCode, what: string, cause?: Error): ProblemError {
    return new ProblemError(problem(code, `${this.#mailbox.upstream}: ${what}`), cause === undefined ? undefined : { cause });
  }
}

/**
 * Mailboxes over IMAP, read with imapflow.
 *
 * The connection is opened by the mailbox port: the same TLS, token, patience and count of sessions as for applications. imapflow gets it as its transport, behind a
 * greeting that says it has signed in (PREAUTH, RFC 9051 §7.1.4); so it never sees a token, and there is no STARTTLS left that somebody could strip. It is
 * loaded when the first mailbox is opened.
 *
 * Bounded: imapflow holds a literal, line or response whole, so content is asked for in parts of 1 MiB, and what is larger than a part needs is refused.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { FetchMessageObject, ImapFlow, ImapTransportSocket, SearchObject } from 'imapflow';
import { type DurationMs, type EpochMs, minutes } from '../core/clock.ts';
import type { AfterFetch, FetchFilter, FetchRule } from '../core/fetch-rule.ts';
import type { Clock } from '../core/ports/clock.ts';
import { MailboxError, type MailboxUpstream, type OpenMailbox } from '../core/ports/mailbox.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { classifyRefusal } from '../policy/mailbox-answers.ts';
import type { MailboxSource, MessageFacts, OpenSource } from './mailbox-source.ts';

const PART = 1024 * 1024;
const LARGEST_LITERAL = 2 * PART;
const LARGEST_RESPONSE = 4 * PART;
const LONGEST_LINE = PART;
const QUIET = minutes(30);
/** What tells one message from the next; Message-ID alone would not where a program sends the same one twice. */
const PRINTED_FIELDS = ['message-id', 'date', 'from', 'subject'];

export class ImapMailboxSource implements MailboxSource {
  readonly #mailboxes: MailboxUpstream;
  readonly #clock: Clock;

  constructor(mailboxes: MailboxUpstream, clock: Clock) {
    this.#mailboxes = mailboxes;
    this.#clock = clock;
  }

  async open(rule: FetchRule, signal: AbortSignal): Promise<OpenSource> {
    const { ImapFlow } = await import('imapflow');
    const opened = await this.#mailboxes.open({ protocol: 'imap', account: rule.account, signal });
    const client = new ImapFlow(optionsFor(opened));
    const over = new Ending(opened.upstream, client);
    const onAbort = (): void => client.close();
    try {
      signal.throwIfAborted();
      signal.addEventListener('abort', onAbort, { once: true });
      await client.connect();
      const mailbox = await client.mailboxOpen(rule.mailbox);
      const { uidValidity, uidNext } = mailbox;
      // Without them nothing would ever be known to have been fetched (RFC 9051 §2.3.1.1: they MUST be there).
      if (uidValidity === undefined || uidNext === undefined) {
        throw new ProblemError(problem('UPSTREAM_PROTOCOL', `${opened.upstream}: mailbox ${rule.mailbox} has no UIDVALIDITY or UIDNEXT`));
      }
      return new ImapSource(client, opened, over, { uidValidity, uidNext }, this.#clock, () =>
        signal.removeEventListener('abort', onAbort),
      );
    } catch (error) {
      signal.removeEventListener('abort', onAbort);
      client.close();
      opened.close();
      throw over.explain(error);
    }
  }
}

function optionsFor({ upstream, socket, rest, capabilities, user }: OpenMailbox): ConstructorParameters<typeof ImapFlow>[0] {
  const greeting = Buffer.from(`* PREAUTH [CAPABILITY ${capabilities.join(' ')}] signed in\r\n`, 'latin1');
  return {
    host: upstream.replace(/:\d+$/, ''),
    port: Number(/:(\d+)$/.exec(upstream)?.[1] ?? 993),
    // The transport's connection is encrypted already: nothing is to be upgraded.
    secure: true,
    auth: { user },
    transport: {
      connect(_options, onConnect) {
        socket.unshift(Buffer.concat([greeting, rest]));
        queueMicrotask(onConnect);
        return asTransport(socket);
      },
    },
    // A large message may take a sink its time, with nothing said meanwhile; a dead connection is noticed by the keepalive of the dialer.
    socketTimeout: QUIET,
    logger: false,
    disableAutoIdle: true,
    disableCompression: true,
    qresync: false,
    maxLiteralSize: LARGEST_LITERAL,
    maxResponseSize: LARGEST_RESPONSE,
    maxLineLength: LONGEST_LINE,
  };
}

/** Streams within this process have no watchdog; a socket has. */
function asTransport(socket: Duplex): ImapTransportSocket {
  return 'setTimeout' in socket ? (socket as ImapTransportSocket) : Object.assign(socket, { setTimeout: () => socket });
}

class ImapSource implements OpenSource {
  readonly upstream: string;
  readonly uidValidity: bigint;
  readonly uidNext: number;
  readonly tokenExpiresAt?: EpochMs;
  readonly canIdle: boolean;
  readonly #client: ImapFlow;
  readonly #over: Ending;
  readonly #opened: OpenMailbox;
  readonly #clock: Clock;
  readonly #onClose: () => void;
  /** The server has told of a change since the last search. */
  #hasNews = false;
  #wake: () => void = () => {};

  constructor(
    client: ImapFlow,
    opened: OpenMailbox,
    over: Ending,
    { uidValidity, uidNext }: Pick<OpenSource, 'uidValidity' | 'uidNext'>,
    clock: Clock,
    onClose: () => void,
  ) {
    this.#over = over;
    this.#client = client;
    this.#opened = opened;
    this.#clock = clock;
    this.#onClose = onClose;
    this.upstream = opened.upstream;
    this.uidValidity = uidValidity;
    this.uidNext = uidNext;
    this.canIdle = client.capabilities.has('IDLE');
    if (opened.tokenExpiresAt !== undefined) this.tokenExpiresAt = opened.tokenExpiresAt;
    const news = (): void => {
      this.#hasNews = true;
      this.#wake();
    };
    client.on('exists', news);
    client.on('close', () => this.#wake());
    // Selected again under another UIDVALIDITY: UIDs from here on would be of other messages.
    client.on('mailboxOpen', () => client.close());
  }

  async search(from: number, to: number | undefined, filter: FetchFilter): Promise<readonly number[]> {
    this.#hasNews = false;
    const found = await this.#do(() => this.#client.search(searchFor(from, to, filter), { uid: true }));
    if (!Array.isArray(found)) throw this.#refusal('it refuses to search the mailbox');
    return found.toSorted((one, other) => one - other);
  }

  async describe(uid: number): Promise<MessageFacts | undefined> {
    const query = { uid: true, size: true, flags: true, internalDate: true, headers: PRINTED_FIELDS } as const;
    const message = await this.#fetch(uid, { ...query, headers: [...query.headers] });
    if (message === undefined) return undefined;
    const { size, flags, internalDate, headers } = message;
    if (size === undefined || headers === undefined) throw unreadable(this.upstream, uid, 'it does not say how large it is');
    const receivedAt = typeof internalDate === 'string' ? new Date(internalDate) : internalDate;
    const isDate = receivedAt !== undefined && !Number.isNaN(receivedAt.getTime());
    return { uid, size, flags: [...(flags ?? [])], print: printOf(headers, size), ...(isDate ? { receivedAt } : {}) };
  }

  async *content(uid: number, size: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined> {
    for (let start = 0; ; ) {
      signal.throwIfAborted();
      const message = await this.#fetch(uid, { uid: true, source: { start, maxLength: PART } });
      const part = message?.source;
      if (part === undefined) throw unreadable(this.upstream, uid, message === undefined ? 'it is gone' : 'its content does not come');
      start += part.length;
      if (part.length > 0) yield part;
      // The server's count may be a little wrong, so a part that is not full counts as the end only where it agrees; else one more look tells.
      if (part.length === 0 || (part.length < PART && start >= size)) return;
    }
  }

  async change(uid: number, after: AfterFetch): Promise<void> {
    const range = String(uid);
    const done = await this.#do(async () => {
      switch (after.kind) {
        case 'keep':
          return true;
        case 'seen':
          return this.#client.messageFlagsAdd(range, ['\\Seen'], { uid: true });
        case 'move':
          return (await this.#client.messageMove(range, after.mailbox, { uid: true })) !== false;
        case 'delete':
          return this.#delete(range);
        default:
          return after satisfies never;
      }
    });
    // A message that is gone cannot be told anything, and need not.
    if (!done && (await this.#isThere(uid))) {
      const what = after.kind === 'move' ? `moved to ${after.mailbox}` : after.kind === 'seen' ? 'marked as seen' : 'deleted';
      throw new ProblemError(problem('FETCH_CHANGE_FAILED', `${this.upstream}: message ${uid} could not be ${what}`));
    }
  }

  async waitForNews(limit: DurationMs, signal: AbortSignal): Promise<void> {
    if (this.#hasNews || signal.aborted) return;
    this.#throwIfOver();
    const woken = new Promise<void>((resolve) => (this.#wake = resolve));
    const timer = this.#clock.startTimer(limit, () => this.#wake());
    const onAbort = (): void => this.#wake();
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      if (!this.canIdle) {
        await woken;
        return;
      }
      const idle = this.#client.idle();
      await Promise.race([woken, idle]);
      // NOOP ends IDLE, and shows that the session still lives; one that was closed has ended it already.
      if (this.#client.usable || !signal.aborted) await this.#do(() => this.#client.noop());
      await idle;
    } catch (error) {
      throw this.#over.explain(error);
    } finally {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      this.#wake = () => {};
    }
  }

  close(): void {
    this.#onClose();
    this.#client.close();
    this.#opened.close();
  }

  /** Without UIDPLUS an EXPUNGE would take along what others have marked; the mark alone must do then. */
  async #delete(range: string): Promise<boolean> {
    if (this.#client.capabilities.has('UIDPLUS')) return this.#client.messageDelete(range, { uid: true });
    return this.#client.messageFlagsAdd(range, ['\\Deleted'], { uid: true });
  }

  async #isThere(uid: number): Promise<boolean> {
    const found = await this.#do(() => this.#client.search({ uid: String(uid) }, { uid: true }));
    return Array.isArray(found) && found.includes(uid);
  }

  /** Undefined where the message is gone, which is made sure of: a refusal must not look like it. */
  async #fetch(uid: number, query: Parameters<ImapFlow['fetchOne']>[1]): Promise<FetchMessageObject | undefined> {
    let message: FetchMessageObject | false;
    try {
      this.#throwIfOver();
      message = await this.#client.fetchOne(String(uid), query, { uid: true });
    } catch (error) {
      if (isFault(error) && error.responseStatus !== undefined && this.#client.usable)
        throw unreadable(this.upstream, uid, refusalText(error));
      throw this.#over.explain(error);
    }
    if (message !== false) return message;
    if (await this.#isThere(uid)) throw unreadable(this.upstream, uid, 'the server answers nothing for it');
    return undefined;
  }

  async #do<Result>(work: () => Promise<Result>): Promise<Result> {
    try {
      this.#throwIfOver();
      return await work();
    } catch (error) {
      throw this.#over.explain(error);
    }
  }

  #throwIfOver(): void {
    if (!this.#client.usable) throw new Error('the connection is over');
  }

  #refusal(what: string): ProblemError {
    return new ProblemError(problem('UPSTREAM_LOST', `${this.upstream}: ${what}`));
  }
}

function searchFor(from: number, to: number | undefined, { isUnseen, since, maxSize, ...texts }: FetchFilter): SearchObject {
  return {
    uid: `${from}:${to ?? '*'}`,
    ...(isUnseen ? { seen: false } : {}),
    // A day early: the server compares days of its own time zone. The rest is looked at when the message is.
    ...(since === undefined ? {} : { since: new Date(since - 86_400_000) }),
    ...(maxSize === undefined ? {} : { smaller: maxSize + 1 }),
    ...texts,
  };
}

/** The size is in it too, so that two messages with the same fields, one of them fetched, are told apart. */
const printOf = (headers: Buffer, size: number): string =>
  createHash('sha256')
    .update(`${size}\n${headers.toString('latin1').trim()}`)
    .digest('hex')
    .slice(0, 20);

const unreadable = (upstream: string, uid: number, why: string): ProblemError =>
  new ProblemError(problem('FETCH_MESSAGE_UNREADABLE', `${upstream}: message ${uid}: ${why}`));

interface ImapFlowFault extends Error {
  readonly code?: string;
  readonly responseStatus?: string;
  readonly responseText?: string;
  readonly throttleReset?: number;
}

const isFault = (error: unknown): error is ImapFlowFault => error instanceof Error;
const refusalText = ({ responseStatus = 'NO', responseText = '' }: ImapFlowFault): string => `${responseStatus} ${responseText}`.trim();

/** What imapflow throws, as problems. Once the session is over, whatever ended it is the reason for everything after. */
class Ending {
  readonly #upstream: string;
  readonly #client: ImapFlow;
  #first: Error | undefined;

  constructor(upstream: string, client: ImapFlow) {
    this.#upstream = upstream;
    this.#client = client;
    // Without a listener the event would end the process.
    client.on('error', (error) => (this.#first ??= error));
  }

  explain(error: unknown): unknown {
    if (error instanceof ProblemError || !isFault(error)) return error;
    const line = error.responseStatus === undefined ? this.#goodbye : refusalText(error);
    if (line !== undefined) {
      const { problem: what, row, retryAfter } = classifyRefusal('access', this.#upstream, line);
      return new MailboxError(what, { row, retryAfter, cause: error });
    }
    const { message, code = '' }: ImapFlowFault = this.#first ?? error;
    const kind = TOO_MUCH.test(code) ? 'UPSTREAM_PROTOCOL' : /timeout/i.test(code) ? 'UPSTREAM_TIMEOUT' : 'UPSTREAM_LOST';
    return new ProblemError(problem(kind, `${this.#upstream}: ${message}`), { cause: error });
  }

  get #goodbye(): string | undefined {
    const { byeReason, usable } = this.#client;
    return usable || typeof byeReason !== 'string' || byeReason === '' ? undefined : `BYE ${byeReason}`;
  }
}

/** A limit of ours, or what is no IMAP. */
const TOO_MUCH = /Too(?:Large|Many)|^Parser|NESTING|InvalidResponse|(?:Unexpected|Missing)Tag/;

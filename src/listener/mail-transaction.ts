/**
 * One transaction, from MAIL to end-of-data: what policy says to each step, and what the delivery says after that.
 *
 * The order is fixed: syntax, then policy, then the delivery, so that nothing a client may not do ever reaches an upstream.
 *
 * Sources: RFC 5321 §3.3 (transaction), §6.3 (loops), RFC 6409 §6.1 (submission rights), RFC 1870 (SIZE), RFC 6531 §3 (SMTPUTF8).
 *
 * @packageDocumentation
 */
import { type Awaitable, whenHere } from '../core/awaitable.ts';
import type { Client } from '../core/client.ts';
import { between, type MonotonicMs, seconds } from '../core/clock.ts';
import type { MailParameters } from '../core/envelope.ts';
import { queueId, type QueueId, type SessionId } from '../core/ids.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import type { Mutable } from '../core/mutable.ts';
import { type Chunks, kibibytes, mebibytes } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import type { MessageNotes } from '../core/ports/message-notes.ts';
import type { Random } from '../core/ports/random.ts';
import type { Submission, SubmissionTransaction } from '../core/ports/submission.ts';
import { problem } from '../core/problem.ts';
import { describeReply, isAccepted, type Reply, reply } from '../core/reply.ts';
import { submissionProtocol } from '../message/fix-ups.ts';
import { composeMessageId } from '../message/message-id.ts';
import type { HeaderSection } from '../message/header-section.ts';
import { readSubject } from '../message/subject.ts';
import { type IncomingMessage, readSubmission } from '../message/submission-content.ts';
import type { ClientDirectory } from '../policy/client-directory.ts';
import { largeContent } from '../platform/heap-growth.ts';
import { SecretDigest } from '../platform/secret-digest.ts';
import type { SessionJournal } from '../platform/session-journal.ts';
import { parsePath } from './address-parser.ts';
import type { ArrivingContent } from './arriving-content.ts';
import { parseMailParameters, parseRcptParameters } from './command-parameters.ts';
import { type Checked, checkFields, checkReversePath } from './sender-check.ts';
import { SubmissionError } from './submission-error.ts';
import type { OpenAnswer, UnconfirmedAnswers } from './unconfirmed-answers.ts';

/** What transactions need besides their connection. */
export interface TransactionDependencies {
  readonly settings: Pick<SmtpListenerSettings, 'maxSize' | 'maxRecipients'>;
  readonly submission: Submission;
  readonly clients: ClientDirectory;
  readonly clock: Clock;
  readonly random: Random;
  /** Our own name, as in the greeting. */
  readonly hostname: string;
  /** Of all listeners. */
  readonly unconfirmed: UnconfirmedAnswers;
  /** Absent: nobody looks. */
  readonly notes?: MessageNotes;
}

/** The connection a transaction is opened on. */
export interface TransactionOrigin {
  readonly sessionId: SessionId;
  readonly client: Client;
  readonly peer: string;
  /** The client said EHLO, not HELO. */
  readonly isExtended: boolean;
  readonly isTls: boolean;
  readonly isAuthenticated: boolean;
}

/** Room for the header section in memory; Exchange refuses more than 64 KB of it. */
const HEADER_SECTION_LIMIT = kibibytes(128);

/** From here on content is large, for whoever makes room for it. */
const LARGE = mebibytes(1);

/** RFC 5321 §6.3: a limit of at least 100 Received fields finds loops; a message submitted to us should have none or few. */
const MOST_RECEIVED = 50;

/** The answer to MAIL, with the transaction where it is a 2yz. */
export type Opened = { readonly reply: Reply; readonly transaction?: MailTransaction };

/**
 * MAIL.
 *
 * @param argument - What follows `FROM:`.
 */
export function openTransaction(
  argument: string,
  origin: TransactionOrigin,
  deps: TransactionDependencies,
  journal: SessionJournal,
): Awaitable<Opened> {
  const path = parsePath(argument);
  if (path.kind === 'refused') return { reply: reply(501, '5.1.7', `Bad sender address: ${path.why}`) };
  const parsed = parseMailParameters(path.rest, deps.settings.maxSize);
  if ('refused' in parsed) return { reply: noteTooLarge(parsed.refused, journal) };
  if (path.needsSmtpUtf8 && !parsed.parameters.isSmtpUtf8) return { reply: NEEDS_SMTPUTF8 };
  const id = queueId(deps.clock.now(), deps.random.octets(7));
  const sender = checkReversePath(origin.client, path.address, journal, { queueId: id });
  if ('refused' in sender) return { reply: sender.refused };
  const tooFast = checkRate(origin.client, deps, journal);
  if (tooFast !== undefined) return { reply: tooFast };
  const { kept: reversePath } = sender;
  const { parameters } = parsed;
  return whenHere(deps.submission.begin({ queueId: id, origin, reversePath, parameters }), (begun) => {
    if (begun.transaction === undefined) return { reply: begun.reply };
    const facts = { id, origin, reversePath, parameters };
    return { reply: begun.reply, transaction: new MailTransaction(begun.transaction, facts, deps, journal) };
  });
}

interface TransactionFacts {
  readonly id: QueueId;
  readonly origin: TransactionOrigin;
  readonly reversePath: string;
  readonly parameters: MailParameters;
}

/** An open transaction. Calls come one after another. */
export class MailTransaction {
  readonly #delivery: SubmissionTransaction;
  readonly #facts: TransactionFacts;
  readonly #deps: TransactionDependencies;
  readonly #journal: SessionJournal;
  readonly #forwardPaths: string[] = [];
  /** A Message-ID came with the message: what is the same in every octet, this one too, is the same message. */
  #isUnique = false;
  /** Digest, once all of it is here. */
  #whole: string | undefined;
  #openAnswer: OpenAnswer | undefined;
  #traceParent: string | undefined;
  /** Set where the content is large. */
  #largeHasPassed: (() => void) | undefined;

  constructor(delivery: SubmissionTransaction, facts: TransactionFacts, deps: TransactionDependencies, journal: SessionJournal) {
    this.#delivery = delivery;
    this.#facts = facts;
    this.#deps = deps;
    this.#journal = journal;
  }

  get queueId(): QueueId {
    return this.#facts.id;
  }

  /** Recipients accepted so far. */
  get forwardPathCount(): number {
    return this.#forwardPaths.length;
  }

  /** RCPT. @param argument - What follows `TO:`. */
  addForwardPath(argument: string): Awaitable<Reply> {
    const path = parsePath(argument);
    if (path.kind === 'refused') return reply(501, '5.1.3', `Bad recipient address: ${path.why}`);
    if (path.address === '') return reply(501, '5.1.3', 'Bad recipient address: it is empty');
    const parsed = parseRcptParameters(path.rest, path.address);
    if ('refused' in parsed) return parsed.refused;
    if (path.needsSmtpUtf8 && !this.#facts.parameters.isSmtpUtf8) return NEEDS_SMTPUTF8;
    // RFC 5321 §4.5.3.1.10: 452, and those accepted before stay.
    if (this.#forwardPaths.length >= this.#deps.settings.maxRecipients)
      return reply(452, '4.5.3', 'Too many recipients; send the rest in another message');
    return whenHere(this.#delivery.addForwardPath(parsed.parameters), (answer) => {
      if (isAccepted(answer)) this.#forwardPaths.push(path.address);
      return answer;
    });
  }

  /** DATA: undefined lets the caller say 354. */
  prepareContent(): Awaitable<Reply | undefined> {
    return this.#delivery.prepareContent();
  }

  /**
   * Take the content to its end and hand it over. Never throws.
   *
   * @param onComplete - Called when the client has nothing more to send, before the delivery has answered.
   * @param isPeerGone - Whether the client has closed the connection: it may send the message again then.
   * @returns The answer to end-of-data; undefined where the client has vanished before it.
   */
  async receive(content: ArrivingContent, onComplete: () => void, isPeerGone: () => boolean): Promise<Reply | undefined> {
    const { clock } = this.#deps;
    let completeAt: MonotonicMs | undefined;
    const onEnd = (digest: string): Awaitable<void> => {
      completeAt = clock.monotonic();
      onComplete();
      this.#whole = digest;
      return this.#refuseRepetition(isPeerGone);
    };
    let answer: Reply | undefined;
    try {
      answer = await this.#submit(await this.#watched(content, onEnd), isPeerGone);
      if (!content.isTaken) await content.drain();
    } catch (error) {
      answer = undefined;
      this.abandon();
      answer = await this.#recover(error, content);
    } finally {
      // Whatever happens: the same message may wait for it on another connection.
      this.#openAnswer?.settle(answer !== undefined && isAccepted(answer) ? answer : undefined);
      this.#largeHasPassed?.();
    }
    if (answer !== undefined) {
      const fields = this.#fields;
      fields.reply = describeReply(answer);
      if (completeAt !== undefined) fields.durationMs = between(completeAt, clock.monotonic());
      this.#journal.debug('message-answered', 'the message was answered', fields);
    }
    return answer;
  }

  async #watched(content: ArrivingContent, onEnd: OnEnd): Promise<Chunks> {
    const digest = this.#digest();
    const pieces = await content.wholeAtOnce();
    if (pieces === undefined) return new WatchedContent(content, digest, onEnd, () => (this.#largeHasPassed ??= largeContent()));
    for (const piece of pieces) digest.update(piece);
    const seen = onEnd(digest.digest());
    if (seen !== undefined) await seen;
    return pieces;
  }

  /** Nothing may be delivered. Harmless after the end. */
  abandon(): void {
    this.#delivery.abandon();
  }

  /** The client has said something behind the message. */
  confirm(): void {
    this.#openAnswer?.confirm();
  }

  /** The connection was reset, with nothing said behind the message. */
  noteReset(): void {
    this.#openAnswer?.lose();
  }

  /** The client may not have read `answer`, and may send the message again. */
  noteUndelivered(answer: Reply): void {
    this.#journal.refused('reply-undelivered', problem('REPLY_UNDELIVERED'), answer, this.#fields);
  }

  async #submit(source: Chunks, isPeerGone: () => boolean): Promise<Reply> {
    const message = await readSubmission(source, { headerSection: HEADER_SECTION_LIMIT });
    if (message.kind === 'refused') return this.#refuseHeaders(message.reply);
    this.#traceParent = message.traceParent;
    this.#isUnique = message.messageId !== undefined;
    this.#deps.notes?.noteSubject(this.#facts.id, () => readSubject(message.headers));
    const looked = this.#refuseRepetition(isPeerGone);
    if (looked !== undefined) await looked; // It may have come to its end within its header section.
    const checked = this.#checkMessage(message);
    if ('kept' in checked) return this.#delivery.submitContent(message.content(this.#fixUps(), checked.kept));
    this.abandon();
    return checked.refused;
  }

  #refuseHeaders(answer: Reply): Reply {
    this.abandon();
    const what = problem('MESSAGE_MALFORMED', 'the header section is too large or cannot be used');
    this.#journal.refused('message-refused', what, answer, this.#fields);
    return answer;
  }

  /** @returns The header section to send. */
  #checkMessage(message: IncomingMessage): Checked<HeaderSection> {
    const fields = this.#fields;
    if (message.receivedCount <= MOST_RECEIVED) return checkFields(this.#facts.origin.client, message, this.#journal, fields);
    const answer = reply(554, '5.4.6', 'Too many hops; the message goes in a circle');
    this.#journal.refused('message-refused', problem('MESSAGE_LOOP', `${message.receivedCount} Received fields`), answer, fields);
    return { refused: answer };
  }

  /** Of the client and the envelope, before that of the content. */
  #digest(): SecretDigest {
    const { origin, reversePath } = this.#facts;
    return new SecretDigest().update(Buffer.from(JSON.stringify([origin.client.name, reversePath, this.#forwardPaths])));
  }

  /** @throws Repetition where the message has had its answer, so that nobody takes it for a new one. */
  #refuseRepetition(isPeerGone: () => boolean): Awaitable<void> {
    if (!this.#isUnique || this.#whole === undefined || this.#openAnswer !== undefined) return undefined;
    return whenHere(this.#deps.unconfirmed.begin(this.#whole, isPeerGone), (known) => {
      if (!('settle' in known)) throw new Repetition(known);
      this.#openAnswer = known;
    });
  }

  async #recover(error: unknown, content: ArrivingContent): Promise<Reply | undefined> {
    if (error instanceof Repetition) {
      const what = problem('MESSAGE_REPEATED', 'the same message has been accepted, and the application did not wait for the answer');
      this.#journal.refused('message-repeated', what, error.answer, this.#fields);
      return error.answer;
    }
    if (error instanceof SubmissionError) this.#journal.refused('message-refused', error.problem, error.reply, this.#fields);
    else this.#journal.defect(error, { ...this.#fields, problem: problem('INTERNAL', 'a message could not be taken in') });
    const answer = error instanceof SubmissionError ? error.reply : INTERNAL_ERROR;
    if (answer === undefined) return undefined;
    try {
      await content.drain();
      return answer;
    } catch (lost) {
      if (lost instanceof SubmissionError) return undefined; // The reason for the log has been given above.
      throw lost;
    }
  }

  #fixUps() {
    const { id, origin, reversePath, parameters } = this.#facts;
    const { clock, random, hostname } = this.#deps;
    const protocol = submissionProtocol({ ...origin, isSmtpUtf8: parameters.isSmtpUtf8 });
    return {
      received: { client: origin.client.name, protocol, hostname, queueId: id },
      date: clock.now(),
      newMessageId: () => composeMessageId(id, random.octets(8), reversePath, hostname),
    };
  }

  /** Made for one line. */
  get #fields(): Mutable<Partial<LogFields>> {
    const { id, reversePath } = this.#facts;
    const fields: Mutable<Partial<LogFields>> = { queueId: id, reversePath };
    if (this.#traceParent !== undefined) fields.traceParent = this.#traceParent;
    return fields;
  }
}

/** It is here already. */
class Repetition extends Error {
  override readonly name = 'Repetition';
  readonly answer: Reply;
  constructor(answer: Reply) {
    super('the message has been accepted before');
    this.answer = answer;
  }
}

/** Told what all octets were, once the last has been read. */
type OnEnd = (digest: string) => Awaitable<void>;

/** Says when the last octet has been read, before whoever reads hears of it, and what all of them were; and, on the way, that they are many. */
class WatchedContent implements AsyncIterable<Uint8Array> {
  readonly #source: AsyncIterable<Uint8Array>;
  readonly #digest: SecretDigest;
  readonly #onEnd: OnEnd;
  readonly #onLarge: () => void;

  constructor(source: AsyncIterable<Uint8Array>, digest: SecretDigest, onEnd: OnEnd, onLarge: () => void) {
    this.#source = source;
    this.#digest = digest;
    this.#onEnd = onEnd;
    this.#onLarge = onLarge;
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    const iterator = this.#source[Symbol.asyncIterator]();
    let octets = 0;
    let isOver = false;
    return {
      next: async () => {
        const result = await iterator.next();
        if (result.done !== true) {
          this.#digest.update(result.value);
          if (octets <= LARGE && (octets += result.value.length) > LARGE) this.#onLarge();
        } else if (!isOver) {
          isOver = true;
          await this.#onEnd(this.#digest.digest());
        }
        return result;
      },
    };
  }
}

/** RFC 6531 §3.5. */
const NEEDS_SMTPUTF8 = reply(553, '5.6.7', 'Addresses beyond ASCII need the SMTPUTF8 parameter');
const INTERNAL_ERROR = reply(451, '4.3.0', 'Internal error; try again later');

function checkRate(client: Client, { clients, clock }: TransactionDependencies, journal: SessionJournal): Reply | undefined {
  if (client.messagesPerMinute === undefined) return undefined;
  const wait = clients.rate.take(client.name, client.messagesPerMinute, clock.monotonic());
  if (wait === seconds(0)) return undefined;
  const answer = reply(
    450,
    '4.7.1',
    `Too many messages: ${client.messagesPerMinute} a minute are allowed; try again in ${Math.ceil(wait / 1000)} seconds`,
  );
  journal.refused('client-throttled', problem('CLIENT_THROTTLED', `more than ${client.messagesPerMinute} messages a minute`), answer);
  return answer;
}

function noteTooLarge(answer: Reply, journal: SessionJournal): Reply {
  if (answer.code === 552) journal.refused('message-refused', problem('MESSAGE_TOO_LARGE', 'the declared SIZE is over the limit'), answer);
  return answer;
}

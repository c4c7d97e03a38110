/**
 * One SMTP connection: octets in, replies out, TLS, time limits, and its end. What is said is {@link ./smtp-dialogue.ts}.
 *
 * Invariants: one command is carried out at a time, in the order in which they came; while one is, and while content that nobody takes has piled up, no more is read than a
 * bounded buffer holds; nothing that came before a TLS handshake is looked at after it; and behind {@link SmtpSession.cut} or the end nothing is said.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type SecureContext, TLSSocket } from 'node:tls';
import { between, type DurationMs, minutes, type MonotonicMs, seconds } from '../core/clock.ts';
import { sessionId } from '../core/ids.ts';
import { type IpAddress, parseIpAddress } from '../core/ip-network.ts';
import type { Timer } from '../core/ports/clock.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { describeReply, quoted, type Reply, reply, wireText } from '../core/reply.ts';
import { forgetUnread, ServerHandshake } from '../platform/server-handshake.ts';
import { SessionJournal } from '../platform/session-journal.ts';
import { atTurnEnd } from '../platform/turn-end.ts';
import { ArrivingContent } from './arriving-content.ts';
import { ContentPace } from './content-pace.ts';
import { type IdleReason, IdleWatch } from './idle-watch.ts';
import { InputBuffer } from './input-buffer.ts';
import { type DialogueDependencies, SmtpDialogue, type Wire } from './smtp-dialogue.ts';

/** What a session needs. */
export interface SessionDependencies extends DialogueDependencies {
  readonly log: Log;
}

/** What a session is told by, and tells, the port that it came in on. */
export interface SessionPort {
  /** For STARTTLS. */
  readonly secureContext: SecureContext | undefined;
  /** The connection is gone. */
  left(session: SmtpSession): void;
  /** Of its socket, or of its TLS handshake. */
  noteError(error: Error, peer: string, during: 'handshake' | 'session'): void;
}

/** RFC 4954 §4 allows 12,288 octets in a line of AUTH; what is longer than this ends the session. */
const LONGEST_LINE = 24 * 1024;
/** More that came while a command was being carried out is left to the kernel, and so to the client. */
const MOST_WAITING = 65_536;
/** Commands that are carried out before others get their turn. */
const MOST_IN_A_ROW = 100;

/** Until we know who it is. */
const STRANGER_IDLE_LIMIT = seconds(60);
/** RFC 5321 §4.5.3.2.7: SHOULD be at least five minutes. */
const CLIENT_IDLE_LIMIT = minutes(5);
/** RFC 5321 §4.5.3.2.5: between two blocks of content. */
const CONTENT_IDLE_LIMIT = minutes(3);
/** For a client to close its side once we have closed ours. */
const CLOSE_LIMIT = seconds(10);
/** First octet of a TLS record with a handshake (RFC 8446 §5.1). */
const TLS_HANDSHAKE = 0x16;
/** A socket that is closed already has no address; nothing it sent will be acted upon. */
const NOBODY: IpAddress = { family: 6, bits: 0n };

export class SmtpSession {
  readonly #deps: SessionDependencies;
  readonly #port: SessionPort;
  readonly #journal: SessionJournal;
  readonly #dialogue: SmtpDialogue;
  readonly #idle: IdleWatch;
  readonly #pace = new ContentPace();
  readonly #input = new InputBuffer();
  readonly #openedAt: MonotonicMs;
  /** The one that is listened to: not that of a handshake under way. */
  #socket: Socket;
  /** Version and cipher. */
  #tls: string | undefined;
  #handshake: ServerHandshake | undefined;
  #content: ArrivingContent | undefined;
  /** Replies of this turn of the event loop; those to commands that came together leave together (RFC 2920 §3.2). */
  #unsent = '';
  #hasTalked = false;
  #isServing = false;
  /** We have closed our side. */
  #isClosing = false;
  #closeTimer: Timer | undefined;
  #isOver = false;

  constructor(socket: Socket, port: SessionPort, deps: SessionDependencies) {
    const id = sessionId(deps.clock.now(), deps.random.octets(7));
    this.#socket = socket;
    this.#tls = tlsOf(socket);
    this.#port = port;
    this.#deps = deps;
    this.#openedAt = deps.clock.monotonic();
    const address = peerOf(socket);
    this.#journal = new SessionJournal(deps.log, { sessionId: id, listener: deps.settings.name, peer: address });
    this.#dialogue = new SmtpDialogue(deps, this.#wire(), this.#journal, parseIpAddress(address) ?? NOBODY);
    this.#idle = new IdleWatch(
      deps.clock,
      () => this.#isOurTurn,
      () => this.#idleLimit(),
      () => this.#pace.isTooSlow(deps.clock.monotonic()),
      (why) => this.#timedOut(why),
    );
  }

  /** The connection as it is now: inside TLS, once that has begun. */
  get socket(): Socket {
    return this.#handshake?.socket ?? this.#socket;
  }

  /** Greets at once. Who talks before is served as all others are. */
  begin(): void {
    this.#listen();
    this.#dialogue.greet();
  }

  /** A transaction in progress gets its answer; then, or at once, 421. */
  finish(): void {
    this.#dialogue.finish();
  }

  /** The time for {@link finish} is over. */
  cut(): void {
    this.#dialogue.stop(reply(421, '4.3.2', 'Service shutting down'));
    this.socket.destroy();
  }

  /** While a command or content is being worked on the client has nothing to say. */
  get #isOurTurn(): boolean {
    const content = this.#content;
    return this.#isServing || (content !== undefined && (content.isWhole || content.isFull));
  }

  #listen(): void {
    this.#socket.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onClose).on('error', this.#onError);
  }

  /** Ours alone: Node has listeners of its own on a socket. */
  #unlisten(): Socket {
    return this.#socket.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onClose).off('error', this.#onError);
  }

  readonly #onData = (octets: Buffer): void => {
    if (this.#isClosing) return;
    if (!this.#hasTalked && octets[0] === TLS_HANDSHAKE) return this.#tlsRecordCame();
    this.#hasTalked = true;
    // While commands are being carried out, what came before may still wait behind them, be it content: nothing overtakes it.
    if (this.#content?.isWhole === false && !this.#isServing) return this.#contentCame(this.#content, octets);
    this.#input.push(octets);
    if (this.#isOurTurn) this.#holdBack();
    else this.#serve();
  };

  readonly #onEnd = (): void => {
    if (!this.#isOurTurn) this.#peerHasEnded();
  };

  readonly #onError = (error: Error): void => this.#port.noteError(error, this.#journal.facts.peer, 'session');

  readonly #onClose = (): void => {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isClosing = true;
    this.#closeTimer?.cancel();
    this.#idle.stop();
    this.#content?.lose();
    this.#dialogue.lost(this.#socket.errored !== null);
    this.#port.left(this);
    const fields: Mutable<Partial<LogFields>> = { durationMs: between(this.#openedAt, this.#deps.clock.monotonic()) };
    if (this.#tls !== undefined) fields.tls = this.#tls;
    this.#journal.debug('session-ended', `the session has ended; greeted as ${quoted(this.#dialogue.hello)}`, fields);
  };

  /** Carry out what has come. */
  #serve(): void {
    if (!this.#isServing) {
      this.#serveAll().catch((error: unknown) => {
        this.#journal.defect(error, { problem: problem('INTERNAL', 'a session has broken') });
        this.socket.destroy();
      });
    }
  }

  async #serveAll(): Promise<void> {
    this.#isServing = true;
    for (let count = 1; ; count += 1) {
      const line = this.#nextLine();
      if (line === undefined) break;
      const work = this.#dialogue.command(line);
      if (work !== undefined) await work;
      this.#idle.touch();
      if (this.#socket.writableNeedDrain) await this.#drained();
      if (count % MOST_IN_A_ROW === 0) await nextTurn();
    }
    this.#isServing = false;
    this.#readOn();
  }

  /** Undefined where there is none, or what comes next is no command. */
  #nextLine(): Buffer | undefined {
    if (this.#isClosing || this.#handshake !== undefined || this.#content !== undefined) return undefined;
    const line = this.#input.takeLine(LONGEST_LINE);
    if (line !== 'too-long') return line;
    this.#dialogue.stop(reply(421, '4.7.0', 'Line too long'));
    return undefined;
  }

  /** The client has been served as far as it has talked. */
  #readOn(): void {
    if (this.#isClosing || this.#handshake !== undefined) return;
    const content = this.#content;
    if (content?.isWhole === false && this.#input.length > 0) this.#contentCame(content, this.#input.takeAll());
    if (this.#isOurTurn) return;
    this.#socket.resume();
    if (this.#socket.readableEnded) this.#peerHasEnded();
  }

  /** Every whole command before that has been answered. A line without its end is none. */
  #peerHasEnded(): void {
    if (this.#content === undefined) this.#hangUp();
    else this.#socket.destroy();
  }

  #contentCame(content: ArrivingContent, octets: Buffer): void {
    const { clock } = this.#deps;
    this.#idle.touch();
    this.#pace.come(octets.length, clock.monotonic());
    const rest = content.push(octets);
    if (rest !== undefined && rest.length > 0) this.#input.push(rest);
    if (this.#isOurTurn) this.#holdBack();
    else this.#pace.wait(clock.monotonic());
  }

  /** Content has been taken: more is the client's to send again. */
  #contentTaken(): void {
    if (this.#content?.isWhole === false) {
      this.#pace.wait(this.#deps.clock.monotonic());
      this.#readOn();
    } else if (this.#input.length <= MOST_WAITING) this.#socket.resume(); // Whether the client is still there is of interest to whoever answers.
  }

  /** Reading goes on with {@link #readOn}. */
  #holdBack(): void {
    if (this.#content?.isFull === true || this.#input.length > MOST_WAITING) this.#socket.pause();
  }

  async #drained(): Promise<void> {
    const socket = this.#socket;
    this.#flush();
    if (socket.destroyed || !socket.writableNeedDrain) return;
    // Who reads nothing is not waited for without end: it is our turn, so the idle watch has nothing to say.
    const timer = this.#deps.clock.startTimer(CLIENT_IDLE_LIMIT, () => socket.destroy(), { isBackground: true });
    await new Promise<void>((resolve) => {
      const done = (): void => {
        timer.cancel();
        socket.off('drain', done).off('close', done);
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  #wire(): Wire {
    return {
      isSecure: () => this.#socket instanceof TLSSocket,
      isPeerGone: () => this.#socket.destroyed || this.#socket.readableEnded || !this.#socket.writable,
      answer: (answer) => this.#write(answer),
      hangUp: () => this.#hangUp(),
      startTls: () => this.#startTls(),
      startContent: () => this.#startContent(),
      endContent: () => this.#endContent(),
    };
  }

  #write(answer: Reply): void {
    if (this.#isClosing || this.#handshake !== undefined) return;
    this.#journal.trace(() => `S: ${describeReply(answer)}`);
    const isFirst = this.#unsent === '';
    this.#unsent += wireText(answer);
    if (isFirst) atTurnEnd(() => this.#flush()); // Whatever the next command waits for, it keeps no answer waiting.
  }

  /** The one place that writes to the socket: whole replies. */
  #flush(): void {
    const text = this.#unsent;
    this.#unsent = '';
    if (text !== '' && this.#socket.writable) this.#socket.write(text, 'latin1');
  }

  /** Close our side once what was answered has been written. */
  #hangUp(): void {
    if (this.#isClosing) return;
    this.#isClosing = true;
    if (this.#handshake !== undefined) {
      this.#handshake.socket.destroy();
      return;
    }
    this.#flush();
    this.#input.takeAll();
    this.#socket.resume(); // What still comes is thrown away; otherwise the close would be a reset, which may overtake our last words.
    this.#socket.end();
    this.#closeTimer = this.#deps.clock.startTimer(CLOSE_LIMIT, () => this.#socket.destroy(), { isBackground: true });
  }

  #startTls(): void {
    const { secureContext } = this.#port;
    if (secureContext === undefined) throw new Error('STARTTLS without a certificate');
    this.#flush();
    this.#input.takeAll();
    const plain = this.#unlisten();
    forgetUnread(plain);
    const handshake = new ServerHandshake(plain, secureContext, this.#deps.clock);
    this.#handshake = handshake;
    handshake.secured.then(
      (socket) => {
        this.#handshake = undefined;
        this.#socket = socket;
        this.#tls = tlsOf(socket);
        this.#idle.touch();
        if (socket.destroyed) this.#onClose();
        else this.#listen();
      },
      (error: Error) => {
        this.#port.noteError(error, this.#journal.facts.peer, 'handshake');
        this.#onClose();
      },
    );
  }

  #startContent(): ArrivingContent {
    const content = new ArrivingContent(this.#deps.settings.maxSize, () => this.#contentTaken());
    this.#content = content;
    this.#pace.wait(this.#deps.clock.monotonic());
    return content;
  }

  #endContent(): void {
    this.#content = undefined;
    this.#pace.end();
    this.#idle.touch();
    this.#serve();
  }

  #tlsRecordCame(): void {
    const remedy = 'Set tls: implicit for this listener, or choose STARTTLS or no encryption in the application.';
    const cause = 'the client began TLS at once on a port that expects SMTP in clear text first';
    this.#journal.refused('tls-refused', problem('CLIENT_TLS_FAILED', cause, { remedy }), undefined);
    this.#socket.destroy();
  }

  #idleLimit(): DurationMs {
    if (this.#content !== undefined) return CONTENT_IDLE_LIMIT;
    return this.#dialogue.client === undefined ? STRANGER_IDLE_LIMIT : CLIENT_IDLE_LIMIT;
  }

  #timedOut(why: IdleReason): void {
    // RFC 5321 §3.8: 421 where the server closes by itself.
    this.#dialogue.stop(reply(421, '4.4.2', why === 'idle' ? 'Idle for too long' : 'Content comes too slowly'));
    this.socket.destroySoon();
  }
}

/** Version and cipher, which a socket no longer knows once it is closed. */
function tlsOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket)) return undefined;
  // Null where the connection has been lost since; Node's types do not say so.
  const cipher = socket.getCipher() as { readonly version: string; readonly name: string } | null | undefined;
  return cipher === null || cipher === undefined ? undefined : `${cipher.version} ${cipher.name}`;
}

/** The address of the other end; IPv4 as such, also where the port takes both. */
function peerOf({ remoteAddress = '' }: Socket): string {
  return remoteAddress.includes(':') ? remoteAddress.replace(/^::ffff:(?=[\d.]+$)/i, '') : remoteAddress;
}

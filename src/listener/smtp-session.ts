/**
 * smtp-server's connection with our manners.
 *
 * From the library come the framing of commands and content, the TLS upgrade and the closing of sockets. Replaced are the greeting (at once: the library
 * waits 100 ms for early talkers, and for reverse DNS), the commands (all of them: {@link ./smtp-dialogue.ts}), the replies
 * (written as given: {@link ../core/reply.ts | formatReply}), and the timers (the injected clock's).
 *
 * `SMTPConnection` is semi-internal: test/contract/smtp-server-internals.test.ts holds what is overridden or relied upon here against the exact version.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection } from 'smtp-server/lib/smtp-connection.js';
import { between, type DurationMs, minutes, type MonotonicMs, seconds } from '../core/clock.ts';
import { sessionId } from '../core/ids.ts';
import { parseIpAddress } from '../core/ip-network.ts';
import type { Log } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { cleanText, describeReply, formatReply, quoted, type Reply, reply } from '../core/reply.ts';
import { ArrivingContent } from './arriving-content.ts';
import { CommandStream } from './command-stream.ts';
import { ContentPace } from './content-pace.ts';
import { type IdleReason, IdleWatch } from './idle-watch.ts';
import { SessionJournal } from '../platform/session-journal.ts';
import { type DialogueDependencies, SmtpDialogue, type Wire } from './smtp-dialogue.ts';

/** What a session needs. */
export interface SessionDependencies extends DialogueDependencies {
  readonly log: Log;
}

/** RFC 4954 §4 allows 12,288 octets in a line of AUTH; what is longer than this ends the session. */
const LONGEST_LINE = 24 * 1024;

/** Until we know who it is. */
const STRANGER_IDLE_LIMIT = seconds(60);
/** RFC 5321 §4.5.3.2.7: SHOULD be at least five minutes. */
const CLIENT_IDLE_LIMIT = minutes(5);
/** RFC 5321 §4.5.3.2.5: between two blocks of content. */
const CONTENT_IDLE_LIMIT = minutes(3);
const HANDSHAKE_LIMIT = seconds(10);

export class SmtpSession extends SMTPConnection {
  readonly #deps: SessionDependencies;
  readonly #journal: SessionJournal;
  readonly #dialogue: SmtpDialogue;
  readonly #idle: IdleWatch;
  readonly #pace = new ContentPace();
  readonly #openedAt: MonotonicMs;
  /** During a handshake the socket it runs on; that below must not be destroyed under it. */
  #handshake: Socket | undefined;
  #hasEnded = false;

  constructor(engine: SMTPServer, socket: Socket | TLSSocket, deps: SessionDependencies) {
    const id = sessionId(deps.clock.now(), deps.random.octets(7));
    super(engine, socket, { id });
    this.#deps = deps;
    this.#openedAt = deps.clock.monotonic();
    this.#journal = new SessionJournal(deps.log, { sessionId: id, listener: deps.settings.name, peer: this.remoteAddress });
    // A socket that is closed already has no address; nothing it sent will be acted upon.
    const peer = parseIpAddress(this.remoteAddress) ?? { family: 6, bits: 0n };
    this.#dialogue = new SmtpDialogue(deps, this.#wire(), this.#journal, peer);
    this.#idle = new IdleWatch(
      deps.clock,
      () => this.#stream?.isBusy === true,
      () => this.#idleLimit(),
      () => this.#pace.isTooSlow(deps.clock.monotonic()),
      (why) => this.#timedOut(why),
    );
  }

  /** Greets at once. Commands that came before are in the socket's buffer and are served like all others. */
  override init(): void {
    this._ready = true;
    this._setListeners(() => this.#dialogue.greet());
  }

  /** A transaction in progress gets its answer; then, or at once, 421. */
  finish(): void {
    this.#dialogue.finish();
  }

  /** The time for {@link finish} is over. */
  cut(): void {
    this.#dialogue.stop(reply(421, '4.3.2', 'Service shutting down'));
    (this.#handshake ?? this._socket).destroy();
  }

  /** Called by the library's constructor, before any field of ours exists; the closures run later. */
  override _createParser(): CommandStream {
    const stream = new CommandStream(
      { maxCommandLength: LONGEST_LINE },
      {
        onTlsRecord: () => this.#tlsRecordCame(),
        onContent: (octets) => this.#contentCame(octets),
        onContentTaken: () => this.#pace.wait(this.#deps.clock.monotonic()),
        onEnd: (isInContent) => (isInContent ? this._socket.destroy() : this.close()),
      },
    );
    stream.oncommand = (line, next) => this._onCommand(line, next);
    stream.on('error', () => this.#dialogue.stop(reply(421, '4.7.0', 'Line too long')));
    return stream;
  }

  override _onCommand(line: Buffer, next: () => void = () => undefined): void {
    // Whatever came in clear text behind STARTTLS is thrown away, unanswered (RFC 3207 §6).
    if (this._upgrading) return next();
    this.#run(line, next).catch((error: unknown) => {
      this.#journal.defect(error, { problem: problem('INTERNAL', 'a session has broken') });
      this._socket.destroy();
    });
  }

  /** For what the library itself still says. */
  override send(code: number, text?: string | string[] | null): void {
    this.#write(reply(code, code < 400 ? undefined : `${Math.floor(code / 100)}.0.0`, ...[text ?? ''].flat()));
    if (code === 421) this.close();
  }

  /** Idle time is counted on our own clock; here we only learn which socket a handshake runs on. */
  override _armTimeout(socket: Socket = this._socket): void {
    if (this._upgrading) this.#handshake = socket;
  }

  override _onClose(): void {
    super._onClose();
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.#idle.stop();
    this.#dialogue.lost(this._socket.errored !== null);
    const durationMs = between(this.#openedAt, this.#deps.clock.monotonic());
    this.#journal.debug('session-ended', `the session has ended; greeted as ${quoted(this.#dialogue.hello)}`, {
      durationMs,
      ...this.#tlsField(),
    });
  }

  async #run(line: Buffer, next: () => void): Promise<void> {
    await this.#dialogue.command(line);
    this.#idle.touch();
    this._whenWritable(next);
  }

  get #stream(): CommandStream | undefined {
    return this._parser instanceof CommandStream ? this._parser : undefined;
  }

  #wire(): Wire {
    const isSecure = (): boolean => this.secure;
    const isPeerGone = (): boolean => this._socket.destroyed || this._socket.readableEnded || !this._socket.writable;
    return {
      get isSecure() {
        return isSecure();
      },
      get isPeerGone() {
        return isPeerGone();
      },
      answer: (answer) => this.#write(answer),
      hangUp: () => this.close(),
      startTls: () => this.#startTls(),
      startContent: () => this.#startContent(),
      endContent: () => this.#endContent(),
    };
  }

  /** The one place that writes to the socket: whole replies, and none while a handshake runs on it. */
  #write(answer: Reply): void {
    if (this._upgrading || !this._socket.writable) return;
    // RFC 5321 §4.2: printable ASCII. Our own replies and the delivery's are clean; a defect must not become a second reply.
    this.#journal.trace(() => `S: ${describeReply(answer)}`);
    const text = answer.text.length === 0 ? [''] : answer.text.map((line) => cleanText(line).replace(/[^\u0020-\u007e]/g, '?'));
    this._socket.write(`${formatReply({ ...answer, text }).join('\r\n')}\r\n`);
  }

  #startTls(): void {
    const { clock } = this.#deps;
    const deadline = clock.startTimer(HANDSHAKE_LIMIT, () => this.#handshake?.destroy(), { isBackground: true });
    this.upgrade(
      () => undefined,
      () => {
        deadline.cancel();
        this.#handshake = undefined;
        this.#idle.touch();
      },
    );
  }

  #startContent(): ArrivingContent {
    if (this._parser === false) throw new Error('content of a closed session');
    const stream = this._parser.startDataMode();
    this._dataStream = stream; // The library destroys it when the connection is lost.
    this.#pace.wait(this.#deps.clock.monotonic());
    return new ArrivingContent(stream, this.#deps.settings.maxSize);
  }

  #endContent(): void {
    this._dataStream = false;
    this.#pace.end();
    this.#idle.touch();
    if (this._parser !== false) this._parser.continue();
  }

  #contentCame(octets: number): void {
    this.#idle.touch();
    this.#pace.come(octets, this.#deps.clock.monotonic());
  }

  #tlsRecordCame(): void {
    const remedy = 'Set tls: implicit for this listener, or choose STARTTLS or no encryption in the application.';
    const cause = 'the client began TLS at once on a port that expects SMTP in clear text first';
    this.#journal.refused('tls-refused', problem('CLIENT_TLS_FAILED', cause, { remedy }), undefined);
    this._socket.destroy();
  }

  #idleLimit(): DurationMs {
    if (this._dataStream !== false && this._dataStream !== null) return CONTENT_IDLE_LIMIT;
    return this.#dialogue.client === undefined ? STRANGER_IDLE_LIMIT : CLIENT_IDLE_LIMIT;
  }

  #timedOut(why: IdleReason): void {
    // RFC 5321 §3.8: 421 where the server closes by itself.
    this.#dialogue.stop(reply(421, '4.4.2', why === 'idle' ? 'Idle for too long' : 'Content comes too slowly'));
    this._socket.destroySoon();
  }

  #tlsField(): { tls?: string } {
    if (this.tlsOptions === false) return {};
    return { tls: `${this.tlsOptions.version} ${this.tlsOptions.name}` };
  }
}

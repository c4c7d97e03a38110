/**
 * A session after its login: octets both ways, each side read no faster than the other takes.
 *
 * A side that has said its last word is told to the other; a session never ends without a word where a word can be understood: between two responses. Inside a
 * message that is on its way, a line of ours would become part of it, and then the connection is just closed, which no reader takes for the message's end.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { between, type DurationMs, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import type { Conversation } from './conversation.ts';

/** Who ended a session. `upstream-lost`: the upstream went away without a goodbye. */
export type PipeEnd = 'app' | 'upstream' | 'upstream-lost' | 'idle' | 'stopped';

export interface PipeOptions {
  readonly app: Socket;
  /** What the application has sent that nobody has read. */
  readonly ahead: Buffer;
  readonly mailbox: OpenMailbox;
  /** Line to the application before anything else. */
  readonly answer: string;
  readonly conversation: Conversation;
  readonly clock: Clock;
  readonly idleTimeout: DurationMs;
}

/** Figures of a session that is over. */
export interface PipeReport {
  readonly end: PipeEnd;
  readonly octetsToUpstream: number;
  readonly octetsToApp: number;
}

/** An application that does not take our last words is left. */
const LINGER = seconds(60);
/** While the listener stops: how often to look whether a session is at rest, and for how long it must have been. */
const QUIET = milliseconds(200);

const WORDS: Readonly<Record<Exclude<PipeEnd, 'app' | 'upstream'>, string>> = {
  'upstream-lost': 'The connection to the mail provider was lost (UPSTREAM_LOST)',
  idle: 'Idle for too long',
  stopped: 'Postern is stopping; connect again in a moment',
};

export class MailboxPipe {
  readonly #app: Socket;
  readonly #upstream: Socket;
  readonly #mailbox: OpenMailbox;
  readonly #conversation: Conversation;
  readonly #clock: Clock;
  readonly #idleTimeout: DurationMs;
  #lastMove: MonotonicMs;
  #timer: Timer | undefined;
  #octetsToUpstream = 0;
  #octetsToApp = 0;
  #end: PipeEnd | undefined;
  #isFinishing = false;
  #settle: (report: PipeReport) => void = () => {};
  /** Settled once both connections are closed. */
  readonly ended: Promise<PipeReport>;

  /** Both sockets are paused, and have no listeners but those for errors. */
  constructor({ app, ahead, mailbox, answer, conversation, clock, idleTimeout }: PipeOptions) {
    this.#app = app;
    this.#upstream = mailbox.socket;
    this.#mailbox = mailbox;
    this.#conversation = conversation;
    this.#clock = clock;
    this.#idleTimeout = idleTimeout;
    this.#lastMove = clock.monotonic();
    this.ended = new Promise((resolve) => (this.#settle = resolve));
    this.#connect();
    this.#app.write(answer);
    if (mailbox.rest.length > 0) this.#toApp(mailbox.rest);
    if (ahead.length > 0) this.#toUpstream(ahead);
    this.#watchIdleness();
  }

  /** Postern stops: end at the next moment at which nothing is under way. */
  finish(): void {
    this.#isFinishing = true;
    this.#timer?.cancel();
    this.#finishIfQuiet();
  }

  /** End now. */
  cut(): void {
    this.#finishWith('stopped');
    this.#app.destroySoon();
  }

  #connect(): void {
    const { 0: app, 1: upstream } = [this.#app, this.#upstream] as const;
    app.on('data', (chunk: Buffer) => this.#toUpstream(chunk));
    upstream.on('data', (chunk: Buffer) => this.#toApp(chunk));
    app.on('drain', () => upstream.resume());
    upstream.on('drain', () => app.resume());
    app.on('end', () => this.#appEnded());
    upstream.on('end', () => this.#upstreamOver());
    app.once('close', () => this.#appGone());
    upstream.once('close', () => this.#upstreamOver());
    if (app.destroyed) this.#appGone();
    else app.resume();
    if (upstream.destroyed) this.#upstreamOver();
    else upstream.resume();
  }

  #toUpstream(chunk: Buffer): void {
    this.#lastMove = this.#clock.monotonic();
    const passed = this.#conversation.fromApp(chunk);
    this.#octetsToUpstream += passed.length;
    if (passed.length > 0 && this.#upstream.writable && !this.#upstream.write(passed)) this.#app.pause();
  }

  #toApp(chunk: Buffer): void {
    this.#lastMove = this.#clock.monotonic();
    if (this.#end !== undefined) return; // Our own last words are out; nothing may follow them.
    this.#conversation.fromUpstream(chunk);
    this.#octetsToApp += chunk.length;
    if (this.#app.writable && !this.#app.write(chunk)) this.#upstream.pause();
  }

  /** The application has said its last word, and may still listen. */
  #appEnded(): void {
    if (this.#upstream.writable) this.#upstream.end(this.#conversation.appEnded());
  }

  #appGone(): void {
    this.#end ??= 'app';
    this.#upstream.resume(); // Else a close would not be noticed behind what nobody reads any more.
    this.#upstream.destroySoon();
    this.#settleIfOver();
  }

  #upstreamOver(): void {
    const isExpected = this.#conversation.hasSaidGoodbye || this.#app.readableEnded;
    this.#finishWith(isExpected ? 'upstream' : 'upstream-lost');
    this.#settleIfOver();
  }

  #finishWith(end: PipeEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#timer?.cancel();
    const words = end === 'app' || end === 'upstream' ? undefined : WORDS[end];
    if (words !== undefined && this.#app.writable && this.#conversation.isAtRest) this.#app.write(this.#conversation.farewell(words));
    this.#app.resume(); // What still comes goes nowhere; unread, it would make the close a reset that overtakes our last words.
    this.#app.end();
    this.#upstream.resume();
    this.#upstream.destroySoon();
    if (this.#app.destroyed) return;
    const timer = this.#clock.startTimer(LINGER, () => this.#app.destroy(), { isBackground: true });
    this.#app.once('close', () => timer.cancel());
  }

  #settleIfOver(): void {
    if (!this.#app.destroyed || !this.#upstream.destroyed) return;
    this.#timer?.cancel();
    this.#mailbox.close();
    this.#settle({ end: this.#end ?? 'app', octetsToUpstream: this.#octetsToUpstream, octetsToApp: this.#octetsToApp });
  }

  /** One timer that looks when it fires is cheaper than one that is moved with each chunk. */
  #watchIdleness(): void {
    if (this.#end !== undefined || this.#isFinishing) return;
    const rest = this.#idleTimeout - between(this.#lastMove, this.#clock.monotonic());
    if (rest <= 0) return this.#finishWith('idle');
    this.#timer = this.#clock.startTimer(milliseconds(rest), () => this.#watchIdleness(), { isBackground: true });
  }

  #finishIfQuiet(): void {
    if (this.#end !== undefined) return;
    const { isAtRest, isBusy } = this.#conversation;
    if (isAtRest && !isBusy && between(this.#lastMove, this.#clock.monotonic()) >= QUIET) return this.#finishWith('stopped');
    this.#timer = this.#clock.startTimer(QUIET, () => this.#finishIfQuiet());
  }
}

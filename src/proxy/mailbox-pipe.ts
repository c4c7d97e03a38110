/**
 * A session after its login: octets both ways, each side read no faster than the other takes.
 *
 * A side that has said its last word is told to the other; a session never ends without a word where a word can be understood: between two responses. Inside a
 * message that is on its way, a line of ours would become part of it, and then the connection is just closed, which no reader takes for the message's end.
 *
 * Where nothing is under way, a session outlives its connection to the upstream: the application waits, its words unread, until a new connection is where
 * the old one was. That happens ahead of the token's end, while the old connection is still good, or once the upstream has ended it.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { between, type DurationMs, milliseconds, minutes, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import { type Problem, ProblemError, problem } from '../core/problem.ts';
import { classifyRefusal } from '../policy/mailbox-answers.ts';
import { type Continued, type Conversation, NotContinued } from './conversation.ts';
import { tell } from './refusals.ts';

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
  /** Another session of the same mailbox, with a token that lives. @throws ProblemError */
  readonly reopen: (signal: AbortSignal) => Promise<OpenMailbox>;
  /** How long before its token ends a session is moved to another connection. */
  readonly renewBefore: DurationMs;
  /** The session has gone on over another connection. */
  readonly onContinued: (move: Move) => void;
}

/** A session has gone on over another connection. */
export interface Move {
  readonly upstream: string;
  /** What ended the old one; absent where it was left ahead of its token's end. */
  readonly ended?: string;
}

/** Figures of a session that is over. */
export interface PipeReport {
  readonly end: PipeEnd;
  /** Of `upstream-lost`. */
  readonly problem?: Problem;
  readonly octetsToUpstream: number;
  readonly octetsToApp: number;
}

/** An application that does not take our last words is left. */
const LINGER = seconds(60);
/** An upstream that takes nothing of what the application sends, as RFC 5321 §4.5.3.2.5 has it for a block of content. */
const LONGEST_BLOCK = minutes(3);
/** An application that has said its last word may have left; it is waited for so long after anybody's last octet. */
const LAST_ANSWER = minutes(3);
/** An upstream that does not take what is left for it when the session is over. */
const CLOSE_DEADLINE = seconds(5);
/** While the listener stops: how often to look whether a session is at rest, and for how long it must have been. */
const QUIET = milliseconds(200);

/** A session that is ended again so soon is not continued again: something else is wrong. */
const SETTLED = seconds(60);
/** Ahead of a token's end: when to look again whether the session can be moved. */
const RENEWAL_RETRY = seconds(10);
/** More sign-ins than this are not made for nothing. */
const MOST_RENEWALS = 2;

/** Made once, since each session ends with it. */
const OVER = new NotContinued('the session is over');

const WORDS = {
  idle: 'Idle for too long',
  stopped: 'Postern is stopping; connect again in a moment',
} as const;
const LOST_REMEDY =
  'Nothing, if it passes: the application connects again. Providers end sessions when they move a mailbox or a token ends.';

export class MailboxPipe {
  readonly #app: Socket;
  readonly #options: PipeOptions;
  #upstream: Duplex;
  #mailbox: OpenMailbox;
  readonly #conversation: Conversation;
  readonly #clock: Clock;
  readonly #idleTimeout: DurationMs;
  #lastMove: MonotonicMs;
  #timer: Timer | undefined;
  #octetsToUpstream = 0;
  #octetsToApp = 0;
  #end: PipeEnd | undefined;
  #problem: Problem | undefined;
  /** A new connection is being brought to where the session is: nobody reads the application, nor what is left of the old connection. */
  #isMoving = false;
  #isRenewing = false;
  #continuedAt: MonotonicMs | undefined;
  #renewal: Timer | undefined;
  /** Runs while the upstream takes nothing. */
  #block: Timer | undefined;
  /** With the token that the session has. */
  #renewals = 0;
  readonly #over = new AbortController();
  #isFinishing = false;
  #settle: (report: PipeReport) => void = () => {};
  /** Settled once both connections are closed. */
  readonly ended: Promise<PipeReport>;

  /** Both sockets are paused, and have no listeners but those for errors. */
  constructor(options: PipeOptions) {
    const { app, ahead, mailbox, answer, conversation, clock, idleTimeout } = options;
    this.#options = options;
    this.#app = app;
    this.#upstream = mailbox.socket;
    this.#mailbox = mailbox;
    this.#conversation = conversation;
    this.#clock = clock;
    this.#idleTimeout = idleTimeout;
    this.#lastMove = clock.monotonic();
    this.ended = new Promise((resolve) => (this.#settle = resolve));
    this.#attachApp();
    this.#attachUpstream();
    this.#app.write(answer);
    if (mailbox.rest.length > 0) this.#toApp(mailbox.rest);
    if (ahead.length > 0) this.#toUpstream(ahead);
    // It said its last word before the login was through, so no `end` will tell.
    if (app.readableEnded) this.#appEnded();
    this.#watchIdleness();
    this.#watchToken();
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

  #attachApp(): void {
    const app = this.#app;
    app.on('data', (chunk: Buffer) => this.#toUpstream(chunk));
    app.on('drain', () => void (this.#isMoving || this.#upstream.resume()));
    app.on('end', () => this.#appEnded());
    app.once('close', () => this.#appGone());
    if (app.destroyed) this.#appGone();
    else app.resume();
  }

  #attachUpstream(): void {
    const upstream = this.#upstream;
    upstream.on('data', this.#onUpstreamData).on('drain', this.#onUpstreamDrain);
    upstream.on('end', this.#onUpstreamOver).once('close', this.#onUpstreamOver);
    if (upstream.destroyed) this.#upstreamOver();
    else upstream.resume();
  }

  /** What it still says is not heard. */
  #leaveUpstream(): void {
    const upstream = this.#upstream;
    upstream.off('data', this.#onUpstreamData).off('drain', this.#onUpstreamDrain);
    upstream.off('end', this.#onUpstreamOver).off('close', this.#onUpstreamOver);
    this.#block?.cancel();
    this.#mailbox.close();
  }

  readonly #onUpstreamData = (chunk: Buffer): void => this.#toApp(chunk);
  readonly #onUpstreamDrain = (): void => {
    this.#block?.cancel();
    if (!this.#isMoving) this.#app.resume();
  };
  readonly #onUpstreamOver = (): void => this.#upstreamOver();

  #toUpstream(chunk: Buffer): void {
    this.#lastMove = this.#clock.monotonic();
    const passed = this.#conversation.fromApp(chunk);
    this.#octetsToUpstream += passed.length;
    if (passed.length > 0 && this.#upstream.writable && !this.#upstream.write(passed)) this.#waitForUpstream();
  }

  /** While nobody reads the application, nobody would notice that it left either. */
  #waitForUpstream(): void {
    this.#app.pause();
    this.#block?.cancel();
    const what = `the mail provider has taken nothing of what the application sends for ${LONGEST_BLOCK / 1000} s`;
    const end = (): void => this.#endWith(problem('UPSTREAM_TIMEOUT', what));
    this.#block = this.#clock.startTimer(LONGEST_BLOCK, end, { isBackground: true });
  }

  #toApp(chunk: Buffer): void {
    this.#lastMove = this.#clock.monotonic();
    if (this.#end !== undefined) return; // Our own last words are out; nothing may follow them.
    const passed = this.#conversation.fromUpstream(chunk);
    this.#octetsToApp += passed.length;
    if (passed.length > 0 && this.#app.writable && !this.#app.write(passed)) this.#upstream.pause();
    if (this.#conversation.keptGoodbye !== undefined) this.#upstreamOver();
  }

  /** The application has said its last word, and may still listen. */
  #appEnded(): void {
    if (this.#upstream.writable) this.#upstream.end(this.#conversation.appEnded());
    this.#timer?.cancel();
    this.#watchIdleness();
  }

  #appGone(): void {
    this.#end ??= 'app';
    this.#stopWaiting();
    this.#upstream.resume(); // Else a close would not be noticed behind what nobody reads any more.
    closeSoon(this.#upstream, this.#clock);
    this.#settleIfOver();
  }

  #upstreamOver(): void {
    if (this.#isMoving) return; // Whoever moves the session will see.
    if (this.#end !== undefined) return this.#settleIfOver();
    const { hasSaidGoodbye, keptGoodbye } = this.#conversation;
    if (hasSaidGoodbye || (this.#app.readableEnded && keptGoodbye === undefined)) this.#finishWith('upstream');
    else void this.#continueAfterLoss();
    this.#settleIfOver();
  }

  /** Never rejects. */
  async #continueAfterLoss(): Promise<void> {
    const ended = this.#conversation.keptGoodbye ?? 'the connection was lost';
    const obstacle = this.#obstacleAfterLoss();
    if (obstacle !== undefined) return this.#lose(ended, obstacle);
    this.#isMoving = true;
    this.#app.pause();
    this.#leaveUpstream();
    let fresh: OpenMailbox | undefined;
    try {
      fresh = await this.#options.reopen(this.#over.signal);
      const continued = await this.#conversation.continueOn(fresh, this.#clock);
      this.#isMoving = false;
      this.#goOnWith(fresh, continued, { upstream: fresh.upstream, ended });
      this.#continuedAt = this.#clock.monotonic();
    } catch (error) {
      this.#isMoving = false;
      fresh?.close();
      if (isForeseen(error)) this.#lose(ended, reasonOf(error));
      else this.#breakOff(error);
    }
    this.#settleIfOver();
  }

  #obstacleAfterLoss(): string | undefined {
    if (this.#isFinishing) return 'it was about to end';
    if (this.#app.readableEnded) return 'the application has said its last word';
    const { keptGoodbye } = this.#conversation;
    // To come back at once would make the wait that it asks for longer.
    if (keptGoodbye !== undefined && isThrottled(this.#mailbox.upstream, keptGoodbye)) return 'the provider asks for patience';
    const isTooSoon = this.#continuedAt !== undefined && between(this.#continuedAt, this.#clock.monotonic()) < SETTLED;
    return isTooSoon ? 'that was just done' : this.#conversation.obstacle;
  }

  /** The old connection is left. */
  #goOnWith(fresh: OpenMailbox, { news, rest }: Continued, move: Move): void {
    if (this.#end !== undefined) return fresh.close();
    this.#leaveUpstream();
    this.#mailbox = fresh;
    this.#upstream = fresh.socket;
    this.#conversation.moved();
    this.#attachUpstream();
    if (news.length > 0) this.#toApp(news);
    if (rest.length > 0) this.#toApp(rest);
    this.#app.resume();
    this.#options.onContinued(move);
    this.#renewals = 0;
    this.#watchToken();
  }

  /** Between two connections: the old one is good until the new one has taken its place, and goes on if that fails. Never rejects. */
  async #continueAhead(): Promise<void> {
    this.#isRenewing = true;
    this.#renewals += 1;
    let hasBegun = false;
    let fresh: OpenMailbox | undefined;
    try {
      fresh = await this.#options.reopen(this.#over.signal);
      if ((fresh.tokenExpiresAt ?? Infinity) <= (this.#mailbox.tokenExpiresAt ?? 0))
        throw new NotContinued('the new token lives no longer');
      if (this.#end !== undefined || this.#isMoving || this.#conversation.obstacle !== undefined) throw new NotContinued('not now');
      hasBegun = true;
      this.#isMoving = true;
      this.#app.pause();
      this.#upstream.pause();
      const continued = await this.#conversation.continueOn(fresh, this.#clock);
      this.#isMoving = false;
      this.#goOnWith(fresh, continued, { upstream: fresh.upstream });
    } catch (error) {
      fresh?.close();
      if (hasBegun && this.#isMoving) this.#goBack();
      if (!isForeseen(error)) this.#breakOff(error);
    }
    this.#isRenewing = false;
    this.#watchToken();
    this.#settleIfOver();
  }

  #goBack(): void {
    this.#isMoving = false;
    if (this.#upstream.destroyed || this.#upstream.readableEnded) return this.#upstreamOver();
    this.#upstream.resume();
    this.#app.resume();
  }

  /** A session that cannot be moved at this moment may be a little later, and else ends as the provider ends it. */
  #watchToken(): void {
    this.#renewal?.cancel();
    const { tokenExpiresAt } = this.#mailbox;
    if (tokenExpiresAt === undefined || this.#end !== undefined || this.#isRenewing || this.#renewals >= MOST_RENEWALS) return;
    const left = between(this.#clock.now(), tokenExpiresAt);
    if (left <= 0) return;
    const wait = Math.max(left - this.#options.renewBefore, Math.min(RENEWAL_RETRY, left));
    this.#renewal = this.#clock.startTimer(milliseconds(wait), () => this.#renewIfIdle(), { isBackground: true });
  }

  #renewIfIdle(): void {
    if (this.#end !== undefined || this.#isMoving || this.#isFinishing) return;
    if (this.#conversation.obstacle === undefined) void this.#continueAhead();
    else this.#watchToken();
  }

  #lose(ended: string, obstacle: string): void {
    const cause = `the mail provider ended the session (${ended}), and it could not go on over another connection: ${obstacle}`;
    this.#endWith(problem('UPSTREAM_LOST', cause, { remedy: LOST_REMEDY }));
  }

  /** A defect of ours. */
  #breakOff(error: unknown): void {
    this.#endWith(problem('INTERNAL', `a session that reads mail has broken: ${reasonOf(error)}`));
  }

  #endWith(what: Problem): void {
    if (this.#end === undefined) this.#problem = what;
    this.#finishWith('upstream-lost');
    this.#settleIfOver();
  }

  #stopWaiting(): void {
    this.#timer?.cancel();
    this.#renewal?.cancel();
    this.#block?.cancel();
    this.#over.abort(OVER);
  }

  #finishWith(end: PipeEnd): void {
    if (this.#end !== undefined) return;
    this.#end = end;
    this.#stopWaiting();
    const words = this.#wordsOf(end);
    if (words !== undefined && this.#app.writable && this.#conversation.isAtRest) this.#app.write(this.#conversation.farewell(words));
    this.#app.resume(); // What still comes goes nowhere; unread, it would make the close a reset that overtakes our last words.
    this.#app.end();
    this.#upstream.resume();
    closeSoon(this.#upstream, this.#clock);
    if (this.#app.destroyed) return;
    const timer = this.#clock.startTimer(LINGER, () => this.#app.destroy(), { isBackground: true });
    this.#app.once('close', () => timer.cancel());
  }

  #wordsOf(end: PipeEnd): string | undefined {
    if (end === 'upstream-lost') return this.#problem === undefined ? undefined : tell(this.#problem);
    return end === 'app' || end === 'upstream' ? undefined : WORDS[end];
  }

  #settleIfOver(): void {
    if (this.#isMoving || this.#end === undefined || !this.#app.destroyed || !this.#upstream.destroyed) return;
    this.#stopWaiting();
    this.#mailbox.close();
    const what = this.#problem === undefined ? {} : { problem: this.#problem };
    this.#settle({ end: this.#end, ...what, octetsToUpstream: this.#octetsToUpstream, octetsToApp: this.#octetsToApp });
  }

  /** One timer that looks when it fires is cheaper than one that is moved with each chunk. */
  #watchIdleness(): void {
    if (this.#end !== undefined || this.#isFinishing) return;
    const limit = this.#app.readableEnded ? Math.min(LAST_ANSWER, this.#idleTimeout) : this.#idleTimeout;
    const rest = limit - between(this.#lastMove, this.#clock.monotonic());
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

const isThrottled = (upstream: string, goodbye: string): boolean =>
  classifyRefusal('access', upstream, `BYE ${goodbye}`).row === 'throttled';

/** As part of a sentence. */
function reasonOf(error: unknown): string {
  if (error instanceof ProblemError) return error.problem.cause;
  return error instanceof Error ? error.message : String(error);
}

const isForeseen = (error: unknown): boolean => error instanceof ProblemError || error instanceof NotContinued;

/** Close once what was said has been written; a server that takes nothing any more does not keep the connection. */
function closeSoon(stream: Duplex, clock: Clock): void {
  if (stream.writableFinished) return void stream.destroy();
  const timer = clock.startTimer(CLOSE_DEADLINE, () => stream.destroy(), { isBackground: true });
  stream.once('close', () => timer.cancel());
  stream.once('finish', () => stream.destroy()).end();
}

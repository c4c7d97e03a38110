/**
 * Commands and replies over one connection: what is said, in which order, and what is waited for.
 *
 * Invariants:
 * - Replies are matched with commands in order. A reply that nothing waits for ends the session (fail closed: otherwise a server that sends
 *   `250` in advance would have a message confirmed that it never took); so does one to a command that has not been written yet, or that breaks
 *   the rules of {@link ../message/reply-parser.ts}.
 * - Without PIPELINING one command is under way at a time; with it any number, but nothing follows a command that ends its group until
 *   that one has been answered (RFC 2920 §3.1).
 * - Each command waited for has a deadline, counted from when its predecessor was answered.
 * - Once failed, always failed: the socket is destroyed, and every command, waiting or new, is answered with the failure.
 * - A reply 421 ends the session (RFC 5321 §3.8), whatever it answers.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Clock } from '../core/ports/clock.ts';
import { UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import { describeReply, type Reply, replyClass, withText } from '../core/reply.ts';
import { SecretTraces } from '../core/secret-traces.ts';
import { errorCode } from '../platform/dial-error.ts';
import { atTurnEnd } from '../platform/turn-end.ts';
import { WaitLimit } from '../platform/wait-limit.ts';
import { type Failure, lost, timedOut, violated } from './failures.ts';
import { ReplyParser, ReplyViolation } from '../message/reply-parser.ts';

/** One command. */
export interface Command {
  /** Without its line end. */
  readonly line: string;
  readonly stage: UpstreamStage;
  readonly deadline: DurationMs;
  /** Nothing may follow before the reply: EHLO, STARTTLS, AUTH, DATA, QUIT. */
  readonly endsGroup?: boolean;
  /** Shown in the trace in place of the line. */
  readonly shownAs?: string;
}

/** Receives the dialogue, redacted: `C: ` and `S: ` lines, which are composed when it asks for them. */
export type Tracer = (stage: UpstreamStage, line: () => string) => void;

interface Waiter {
  readonly stage: UpstreamStage;
  readonly deadline: DurationMs;
  readonly endsGroup: boolean;
  readonly settle: (answer: Answer) => void;
}

/** A reply, or that the session failed before it came. */
export type Answer = Reply | UpstreamError;

export function thrownUnlessReply(answer: Answer): Reply {
  if (answer instanceof UpstreamError) throw answer;
  return answer;
}

/** Content on its way. */
export interface ContentChannel {
  /** The reply to the message; or, before the dot, a 4yz or 5yz with which the server does not wait for it. */
  readonly final: Promise<Reply>;
  readonly isDotSent: boolean;
  /** @returns False where the caller has to wait for {@link drained}. */
  write(chunk: Uint8Array): boolean;
  /** @throws UpstreamError where the server takes nothing for as long as `deadline`. */
  drained(deadline: DurationMs): Promise<void>;
  /** Send the final dot. From here on the message may have been delivered. */
  finish(deadline: DurationMs): Promise<Reply>;
}

const CLOSE_DEADLINE = seconds(5);

interface SentCommand {
  readonly command: Command;
  readonly waiter: Waiter;
}

export class Dialogue {
  readonly upstream: string;
  /** Resolves once the connection is gone. */
  readonly closed: Promise<void>;
  /** The server offers PIPELINING. */
  mayPipeline = false;

  readonly #trace: Tracer;
  #socket: Socket;
  #parser = new ReplyParser();
  readonly #unsent: SentCommand[] = [];
  readonly #awaiting: Waiter[] = [];
  #outgoing = '';
  /** How many of those awaited answer a command in {@link #outgoing}: the last ones. */
  #unwritten = 0;
  readonly #limit: WaitLimit;
  #failure: Failure | undefined;
  #content: ContentChannel | undefined;
  #sent = new SecretTraces([]);
  #onClosed: () => void = () => {};
  #unlisten: () => void = () => {};

  constructor(socket: Socket, upstream: string, clock: Clock, trace: Tracer) {
    this.upstream = upstream;
    this.#limit = new WaitLimit(clock);
    this.#trace = trace;
    this.closed = new Promise((resolve) => {
      this.#onClosed = resolve;
    });
    this.#socket = socket;
    this.#listen(socket);
  }

  get isOpen(): boolean {
    return this.#failure === undefined;
  }

  /** The whole content has been sent, and has not been answered. */
  get isDotSent(): boolean {
    return this.#content?.isDotSent === true;
  }

  /** Nothing is waited for and nothing is half read. */
  get isQuiet(): boolean {
    return this.#awaiting.length === 0 && this.#unsent.length === 0 && !this.#parser.isMidReply;
  }

  /** Wait for the greeting. */
  greeting(deadline: DurationMs): Promise<Reply> {
    return orThrown((settle) => this.#await({ stage: 'greeting', deadline, endsGroup: true, settle }));
  }

  /**
   * Send a command, at once or when its turn comes.
   *
   * @throws UpstreamError where the session fails first.
   */
  send(command: Command): Promise<Reply> {
    return orThrown((settle) => this.#queue(command, settle));
  }

  /** As {@link send}, with the failure of the session as a value: of many commands on their way at once, each fails with it. */
  ask(command: Command): Promise<Answer> {
    return new Promise((settle) => this.#queue(command, settle));
  }

  /** From now on `secret` in a reply is removed before anybody sees it: servers quote what they were sent, at AUTH and long after. */
  conceal(secret: string): void {
    this.#sent = new SecretTraces([secret]);
  }

  /** What a command at `stage` would be told. */
  failure(stage: UpstreamStage): UpstreamError {
    return (this.#failure ?? lost(this.upstream, 'the session is over'))(stage);
  }

  /** End the session, now. Harmless when it has ended. */
  fail(failure: Failure): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#limit.stop();
    this.#socket.destroy();
    const waiters = [...this.#awaiting.splice(0), ...this.#unsent.splice(0).map(({ waiter }) => waiter)];
    for (const { stage, settle } of waiters) settle(failure(this.#stageOf(stage)));
  }

  /** Let what has been written arrive, then close. For after QUIT. */
  close(): void {
    if (this.#failure !== undefined) return;
    this.#failure = lost(this.upstream, 'the session is over');
    const socket = this.#socket;
    // A server that takes nothing any more must not keep the connection.
    this.#limit.begin(CLOSE_DEADLINE, () => socket.destroy());
    socket.destroySoon();
  }

  /**
   * Give up the socket, for TLS to take over.
   *
   * @throws UpstreamError where the server has sent more than its reply to STARTTLS: it would be taken for encrypted text.
   */
  detach(): Socket {
    if (!this.isQuiet || this.#socket.readableLength > 0) this.fail(violated(this.upstream, 'clear text after the reply to STARTTLS'));
    if (this.#failure !== undefined) throw this.#failure('starttls');
    this.#limit.stop();
    this.#unlisten();
    // Whether TLS comes about or not, the end of this socket is the end of the dialogue.
    this.#socket.once('close', () => this.#onClosed());
    return this.#socket.pause();
  }

  /** Go on over another socket, with nothing remembered of what came over the old one (RFC 3207 §4.2). */
  attach(socket: Socket): void {
    this.#parser = new ReplyParser();
    this.mayPipeline = false;
    this.#socket = socket;
    this.#listen(socket);
  }

  /** After a 354. The dialogue takes no command until the final reply. */
  openContent(): ContentChannel {
    if (!this.isQuiet && this.isOpen) throw new Error('content before the replies to all commands');
    let octets = 0;
    const final = orThrown((settle) => {
      if (this.#failure !== undefined) return settle(this.#failure('content'));
      this.#awaiting.push({ stage: 'content', deadline: 0 as DurationMs, endsGroup: true, settle });
    });
    const channel: Mutable<ContentChannel> = {
      final,
      isDotSent: false,
      write: (chunk) => {
        octets += chunk.length;
        this.#gather();
        return this.#socket.write(chunk);
      },
      drained: (deadline) => this.#drained(deadline),
      finish: (deadline) => {
        // A reply that began before the dot is no answer to it.
        if (!this.isOpen) return final;
        if (this.#parser.isMidReply) {
          this.#startTimer(deadline, 'content');
          return final;
        }
        channel.isDotSent = true;
        this.#trace('final-reply', () => `C: [content, ${octets} octets] .`);
        this.#socket.write('.\r\n');
        this.#startTimer(deadline, 'final-reply');
        return final;
      },
    };
    this.#content = channel;
    return channel;
  }

  /** What is written before the event loop turns leaves in one piece: the dot travels with the end of the content, in one TLS record and one segment. */
  #gather(): void {
    const socket = this.#socket;
    if (socket.writableCorked > 0) return;
    socket.cork();
    atTurnEnd(() => socket.uncork());
  }

  #listen(socket: Socket): void {
    const onData = (octets: Buffer): void => this.#read(octets);
    const onError = (error: Error): void => this.fail(lost(this.upstream, errorCode(error) || error.message, error));
    const onEnd = (): void => this.fail(lost(this.upstream, 'closed by the server'));
    const onClose = (): void => {
      this.fail(lost(this.upstream, 'closed'));
      this.#limit.stop();
      this.#onClosed();
    };
    socket.on('data', onData).on('error', onError).on('end', onEnd).on('close', onClose);
    this.#unlisten = () => socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onClose);
  }

  #read(octets: Buffer): void {
    if (this.#failure !== undefined) return;
    try {
      const parser = this.#parser;
      parser.push(octets);
      for (let reply = parser.next(); reply !== undefined; reply = parser.next()) {
        this.#settle(reply);
        if (this.#failure !== undefined) return;
      }
    } catch (error) {
      if (!(error instanceof ReplyViolation)) throw error;
      return this.fail(violated(this.upstream, error.message, error));
    }
    if (this.#awaiting.length === 0 && this.#parser.isMidReply) this.fail(violated(this.upstream, 'a reply that nothing asked for'));
  }

  #settle(received: Reply): void {
    const waiter = this.#awaiting.shift();
    const stage = this.#stageOf(waiter?.stage ?? 'wait');
    const bare = stage === 'auth' || stage === 'wait' ? withoutSecrets(received) : received;
    const reply = withText(
      bare,
      bare.text.map((line) => this.#sent.conceal(line)),
    );
    this.#trace(stage, () => `S: ${describeReply(reply)}`);
    this.#limit.end();
    if (waiter === undefined || this.#awaiting.length < this.#unwritten) {
      if (waiter !== undefined) this.#awaiting.unshift(waiter); // To be told with the others.
      return this.fail(unasked(this.upstream, reply));
    }
    if (stage === 'content' && replyClass(reply) < 4) {
      this.#awaiting.unshift(waiter); // To be told with the others.
      return this.fail(violated(this.upstream, `${describeReply(reply)} before the message was complete`));
    }
    if (waiter.stage === 'content') this.#content = undefined;
    waiter.settle(reply);
    if (reply.code === 421) return this.fail(lost(this.upstream, `the server ended the session: ${describeReply(reply)}`));
    const [next] = this.#awaiting;
    if (next !== undefined) this.#startTimer(next.deadline, next.stage);
    this.#pump();
  }

  /** The stage of content depends on whether the dot is out. */
  #stageOf(stage: UpstreamStage): UpstreamStage {
    return stage === 'content' && this.isDotSent ? 'final-reply' : stage;
  }

  #await(waiter: Waiter): void {
    if (this.#failure !== undefined) return waiter.settle(this.#failure(waiter.stage));
    this.#awaiting.push(waiter);
    if (this.#awaiting.length === 1) this.#startTimer(waiter.deadline, waiter.stage);
  }

  /** @throws Error where the command is none. */
  #queue(command: Command, settle: (answer: Answer) => void): void {
    const { line, stage, deadline, endsGroup = false } = command;
    // The last guard against a second command on the line: nothing above should let a control character through.
    if (CONTROL_CHARACTER.test(line)) throw new Error(`control character in a ${stage} command`);
    if (this.#failure !== undefined) return settle(this.#failure(stage));
    this.#unsent.push({ command, waiter: { stage, deadline, endsGroup, settle } });
    this.#pump();
  }

  /** Send what may be sent now. Commands of the same turn of the event loop travel in one segment. */
  #pump(): void {
    for (;;) {
      const last = this.#awaiting.at(-1);
      if (last !== undefined && (last.endsGroup || !this.mayPipeline)) return;
      const next = this.#unsent.shift();
      if (next === undefined) return;
      this.#trace(next.command.stage, () => `C: ${next.command.shownAs ?? next.command.line}`);
      if (this.#outgoing === '') atTurnEnd(() => this.#flush());
      this.#outgoing += `${next.command.line}\r\n`;
      this.#unwritten += 1;
      this.#await(next.waiter);
    }
  }

  #flush(): void {
    const text = this.#outgoing;
    this.#outgoing = '';
    this.#unwritten = 0;
    if (this.#failure === undefined) this.#socket.write(text);
  }

  #drained(deadline: DurationMs): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure !== undefined) return reject(this.#failure('content'));
      const socket = this.#socket;
      this.#startTimer(deadline, 'content');
      const done = (): void => {
        socket.off('drain', done).off('close', done);
        if (this.#failure !== undefined) return reject(this.#failure('content'));
        this.#limit.end();
        resolve();
      };
      socket.on('drain', done).on('close', done);
    });
  }

  #startTimer(deadline: DurationMs, stage: UpstreamStage): void {
    this.#limit.begin(deadline, () => {
      this.#trace(stage, () => `-- nothing for ${deadline / 1000} s`);
      this.fail(timedOut(this.upstream, deadline));
    });
  }
}

/**
 * A pipelined command may fail before its sender looks at the answer. The sender still gets the rejection; Node is told not to mind the
 * delay.
 */
function orThrown(ask: (settle: (answer: Answer) => void) => void): Promise<Reply> {
  const reply = new Promise<Reply>((resolve, reject) =>
    ask((answer) => (answer instanceof UpstreamError ? reject(answer) : resolve(answer))),
  );
  reply.catch(ignore);
  return reply;
}

const ignore = (): void => undefined;

const CONTROL_CHARACTER = /[\u0000-\u001f\u007f]/;

/**
 * A server that misunderstands may quote the line that it did not understand, and that line may be the token. Challenges are kept whole:
 * they are short.
 */
function withoutSecrets(reply: Reply): Reply {
  const longest = reply.code === 334 ? 400 : 64;
  return withText(
    reply,
    reply.text.map((line) => line.replace(new RegExp(`[A-Za-z0-9+/=._~-]{${longest},}`, 'g'), '[removed]')),
  );
}

/** A server that shuts down may say so unasked (RFC 5321 §3.8); anything else is an attack or a mix-up. */
function unasked(upstream: string, reply: Reply): Failure {
  const what = describeReply(reply);
  return reply.code === 421
    ? lost(upstream, `the server ended the session: ${what}`)
    : violated(upstream, `a reply that nothing asked for: ${what}`);
}

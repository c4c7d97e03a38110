/**
 * Our SMTP client: one connection to an upstream, from the greeting to QUIT.
 *
 * Invariants:
 * - Before TLS nothing is said but EHLO and STARTTLS; what the server offered before TLS is forgotten (RFC 3207 §4.2). Without TLS there
 *   is no session.
 * - Replies to the commands of a transaction are values. Exceptions are for sessions that cannot go on; they know the stage, and
 *   `final-reply` is the only one at which the message may have been delivered.
 * - Whatever fails, the socket is gone afterwards.
 *
 * Sources: RFC 5321 §3 and §4.5.3.2 (timeouts; shorter here where the RFC asks for five minutes, since applications wait), RFC 3207, RFC
 * 2920, RFC 4954.
 *
 * @packageDocumentation
 */
import type { AccountName, Endpoint } from '../core/account.ts';
import { type DurationMs, minutes, seconds } from '../core/clock.ts';
import type { ForwardPath, MailParameters, ReversePath } from '../core/envelope.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log, MessageNames } from '../core/ports/log.ts';
import type { UpstreamError, UpstreamStage } from '../core/ports/upstream.ts';
import type { Chunks } from '../core/octets.ts';
import { problem } from '../core/problem.ts';
import { describeReply, isAccepted, type Reply } from '../core/reply.ts';
import { type Dial, upgradeToTls } from '../platform/dial.ts';
import { DialError } from '../platform/dial-error.ts';
import { type AuthOutcome, authenticate, type Credentials } from './authenticate.ts';
import { mailCommand, needsUtf8, rcptCommand } from './commands.ts';
import { streamContent } from './content-stream.ts';
import { type Answer, type Command, Dialogue, thrownUnlessReply } from './dialogue.ts';
import { type Extensions, NO_EXTENSIONS, parseExtensions } from './ehlo.ts';
import { calledOff, type Failure, notConnected, notSecured, turnedAway, violated } from './failures.ts';
import { classifyReply } from './reply-table.ts';

/** How long each step may take. */
export interface SessionDeadlines {
  /** DNS, TCP and, with implicit TLS, the handshake. */
  readonly connect: DurationMs;
  readonly greeting: DurationMs;
  readonly handshake: DurationMs;
  readonly command: DurationMs;
  /** For a server that takes no more of the content. */
  readonly block: DurationMs;
  /** RFC 5321 §4.5.3.2.6: ten minutes, since the server may check the whole message before it answers. */
  readonly finalReply: DurationMs;
  readonly quit: DurationMs;
}

export const DEADLINES: SessionDeadlines = {
  connect: seconds(30),
  greeting: seconds(30),
  handshake: seconds(30),
  command: seconds(60),
  block: minutes(3),
  finalReply: minutes(10),
  quit: seconds(5),
};

/** What a session needs. */
export interface SessionOptions {
  readonly endpoint: Endpoint;
  readonly ca?: string | undefined;
  /** For log lines. */
  readonly account: AccountName;
  /** Argument of EHLO, fit for it ({@link ./ehlo.ts}). */
  readonly ehloName: string;
  readonly deadlines: SessionDeadlines;
  readonly dial: Dial;
  readonly clock: Clock;
  readonly log: Log;
  /** Cuts the session off, whatever it is doing. */
  readonly signal?: AbortSignal | undefined;
  /** Looked at for each line of the dialogue. */
  readonly subject?: DialogueSubject;
}

/** What a session is doing at the moment, for the lines of its dialogue. */
export interface DialogueSubject {
  about: MessageNames | undefined;
}

/**
 * Connect, and come as far as AUTH.
 *
 * @throws UpstreamError; the connection is gone then.
 */
export async function openSession(options: SessionOptions): Promise<SmtpSession> {
  const { endpoint, ca, account, deadlines, dial, clock, log, signal, subject } = options;
  const { host, port } = endpoint;
  // Only an address has a colon. `isIP` would say the same, with an expression that takes 3 ms to compile.
  const upstream = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
  const tls = endpoint.tls === 'implicit' ? 'implicit' : 'none';
  const socket = await dial({ host, port, tls, ca, deadline: deadlines.connect, clock, signal }).catch((error: unknown) => {
    throw error instanceof DialError ? notConnected(error, 'connect') : error;
  });
  const trace = (stage: UpstreamStage, line: () => string): void => {
    if (log.hearsTrace !== false) log.trace({ event: 'upstream-dialogue', account, upstream, stage, ...subject?.about }, line());
  };
  const session = new SmtpSession(new Dialogue(socket, upstream, clock, trace), options);
  const cut = (): void => session.cut();
  signal?.addEventListener('abort', cut);
  void session.closed.then(() => signal?.removeEventListener('abort', cut));
  await session.prepare();
  return session;
}

export class SmtpSession {
  readonly #dialogue: Dialogue;
  readonly #options: SessionOptions;
  #offered: Extensions = NO_EXTENSIONS;
  #isUtf8Transaction = false;
  #isMailSent = false;

  constructor(dialogue: Dialogue, options: SessionOptions) {
    this.#dialogue = dialogue;
    this.#options = options;
  }

  /** `host:port`, for log lines. */
  get upstream(): string {
    return this.#dialogue.upstream;
  }

  get isOpen(): boolean {
    return this.#dialogue.isOpen;
  }

  /** Open, with nothing waited for. */
  get isReady(): boolean {
    return this.#dialogue.isOpen && this.#dialogue.isQuiet;
  }

  /** Commands may be sent before those ahead of them have been answered. */
  get mayPipeline(): boolean {
    return this.#offered.isPipelining;
  }

  /** The server takes RET, ENVID, NOTIFY and ORCPT. */
  get offersDsn(): boolean {
    return this.#offered.isDsn;
  }

  /** The whole content has been sent, and has not been answered. */
  get isDotSent(): boolean {
    return this.#dialogue.isDotSent;
  }

  /** Resolves once the connection is gone. */
  get closed(): Promise<void> {
    return this.#dialogue.closed;
  }

  /** Greeting, EHLO, TLS. Called once, by {@link openSession}. */
  async prepare(): Promise<void> {
    const { endpoint, deadlines } = this.#options;
    const greeting = await this.#dialogue.greeting(deadlines.greeting);
    // RFC 5321 §3.1: 554 in place of 220 says that there is no service; there may be other such codes.
    if (greeting.code !== 220) throw this.#refuse(turnedAway('greeting', classifyReply('greeting', greeting).problem, greeting));
    await this.#greet();
    if (endpoint.tls === 'implicit') return;
    await this.#startTls();
    await this.#greet();
  }

  /** EHLO. No fallback to HELO: a server without extensions has neither TLS nor AUTH. */
  async #greet(): Promise<void> {
    const reply = await this.#command('ehlo', `EHLO ${this.#options.ehloName}`, true);
    if (!isAccepted(reply)) throw this.#refuse(turnedAway('ehlo', classifyReply('ehlo', reply).problem, reply));
    this.#offered = parseExtensions(reply);
    this.#dialogue.mayPipeline = this.#offered.isPipelining;
  }

  async #startTls(): Promise<void> {
    const { endpoint, ca, clock, deadlines, signal } = this.#options;
    if (!this.#offered.isStarttls) {
      throw this.#refuse(notSecured(problem('UPSTREAM_TLS_FAILED', `${this.upstream} does not offer STARTTLS; nothing was sent`)));
    }
    const reply = await this.#command('starttls', 'STARTTLS', true);
    if (reply.code !== 220) {
      const cause = `${this.upstream} refused STARTTLS with ${describeReply(reply)}; nothing was sent`;
      throw this.#refuse(notSecured(problem('UPSTREAM_TLS_FAILED', cause)));
    }
    const { host, port } = endpoint;
    const upgrade = { servername: host, port, ca, clock, deadline: deadlines.handshake, signal };
    const secured = await upgradeToTls(this.#dialogue.detach(), upgrade).catch((error: unknown) => {
      throw error instanceof DialError ? notConnected(error, 'starttls') : error;
    });
    this.#offered = NO_EXTENSIONS;
    this.#dialogue.attach(secured);
  }

  /** True where AUTH with this mechanism is offered, which counts inside TLS alone. */
  offers(mechanism: Credentials['mechanism']): boolean {
    return this.#offered.mechanisms.has(mechanism);
  }

  /** One AUTH exchange; may be called again after a refusal. */
  authenticate(credentials: Credentials): Promise<AuthOutcome> {
    const { endpoint, deadlines } = this.#options;
    return authenticate(this.#dialogue, credentials, endpoint, deadlines.command);
  }

  /** MAIL. A reply may be ours, where the upstream cannot take such an address; then nothing was sent. */
  mail(reversePath: ReversePath, parameters: MailParameters): Promise<Reply> {
    const command = mailCommand(reversePath, parameters, this.#offered);
    this.#isMailSent = !('refusal' in command);
    if ('refusal' in command) return Promise.resolve(command.refusal);
    this.#isUtf8Transaction = this.#offered.isSmtpUtf8 && (parameters.isSmtpUtf8 || needsUtf8(reversePath));
    return this.#command('mail', command.line);
  }

  /** False where {@link mail} has answered without having sent anything. */
  get isMailSent(): boolean {
    return this.#isMailSent;
  }

  /** RCPT. */
  async rcpt(forwardPath: ForwardPath): Promise<Reply> {
    return thrownUnlessReply(await this.askRcpt(forwardPath));
  }

  /** As {@link rcpt}, for commands that are sent before the ones ahead of them are answered: of many, each fails with the session. */
  askRcpt(forwardPath: ForwardPath): Promise<Answer> {
    const command = rcptCommand(forwardPath, this.#isUtf8Transaction, this.#offered);
    return 'refusal' in command ? Promise.resolve(command.refusal) : this.#dialogue.ask(this.#commandAt('rcpt', command.line));
  }

  /** DATA. */
  data(): Promise<Reply> {
    return this.#command('data', 'DATA', true);
  }

  /** As {@link askRcpt}. */
  askData(): Promise<Answer> {
    return this.#dialogue.ask(this.#commandAt('data', 'DATA', true));
  }

  /** Content after a 354; see {@link streamContent}. */
  content(chunks: Chunks): Promise<Reply> {
    return streamContent(this.#dialogue, chunks, this.#options.deadlines);
  }

  /** RSET. The session may be used again at once: what comes next waits for the answer, or fails with it. */
  reset(): void {
    const answered = this.#command('mail', 'RSET').then((reply) => {
      if (!isAccepted(reply)) this.cut(violated(this.upstream, `RSET answered with ${describeReply(reply)}`));
    });
    // The session has failed and is gone; whoever else waits for an answer on it is told.
    answered.catch(() => undefined);
  }

  /** What a command at `stage` would be told, where the session has failed. */
  failure(stage: UpstreamStage): UpstreamError {
    return this.#dialogue.failure(stage);
  }

  /** QUIT, and close. Never throws; resolves once the connection is gone. */
  async quit(): Promise<void> {
    if (this.isOpen) {
      const command = { line: 'QUIT', stage: 'wait', deadline: this.#options.deadlines.quit, endsGroup: true } as const;
      // RFC 5321 §4.1.1.10: 221 and then the close, but whatever the answer is, nothing hangs on it any more.
      await this.#dialogue.send(command).catch(() => undefined);
      this.#dialogue.close();
    } else {
      this.cut();
    }
    await this.closed;
  }

  /** Close at once, without a word. */
  cut(why: Failure = calledOff(this.upstream)): void {
    this.#dialogue.fail(why);
  }

  #command(stage: UpstreamStage, line: string, endsGroup = false): Promise<Reply> {
    return this.#dialogue.send(this.#commandAt(stage, line, endsGroup));
  }

  #commandAt(stage: UpstreamStage, line: string, endsGroup = false): Command {
    return { line, stage, deadline: this.#options.deadlines.command, endsGroup };
  }

  #refuse(error: UpstreamError): UpstreamError {
    this.cut();
    return error;
  }
}

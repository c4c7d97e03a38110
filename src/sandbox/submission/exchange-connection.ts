/**
 * One submission session: smtp-server's connection with Exchange Online's manners and the fault switches.
 *
 * Overridden, and pinned by tests to the library's exact version: the start (no greeting delay), the greeting, EHLO, STARTTLS, AUTH, and the one
 * method that writes replies. Faults strike before a command is carried out.
 *
 * Source: RFC 5321, RFC 3207 (STARTTLS), RFC 4954 (AUTH); XOAUTH2 as Microsoft documents it, in two steps and in one.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import type { SMTPServer } from 'smtp-server';
import { SMTPConnection, type SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection';
import type { DurationMs } from '../../core/clock.ts';
import { type SubmissionFault, type SubmissionStage, takeSubmissionFault } from '../faults.ts';
import { countConnection } from '../statistics.ts';
import type { TlsContexts } from '../tls-contexts.ts';
import type { Exchange } from './exchange.ts';
import { ANNOUNCED_SIZE, exchangeReply, HOST_NAME, REPLIES } from './exchange-replies.ts';
import type { SignedIn } from './sign-in.ts';

/** Continue with the next command. */
type Next = () => void;

/** A path and what followed it. */
export interface HeardPath {
  readonly address: string;
  readonly parameters: string;
}

/** RFC 4954 §4.5 (12,288 octets). */
const LONGEST_AUTH_LINE = 12_288;
/** What Gmail sends before it refuses a token. */
const GMAIL_CHALLENGE = JSON.stringify({ status: '400', schemes: 'Bearer', scope: 'https://mail.google.com/' });

export class ExchangeConnection extends SMTPConnection {
  readonly exchange: Exchange;
  readonly #contexts: TlsContexts;
  readonly #rawSocket: Socket;
  readonly #uncount: () => void;
  #signedIn: SignedIn | undefined;
  #leaveMailbox: (() => void) | undefined;
  /** Written in place of the next reply. */
  #replacement: string | undefined;
  #heardPath: HeardPath = { address: '', parameters: '' };
  #isOver = false;

  constructor(server: SMTPServer, socket: Socket, options: SMTPConnectionOptions | null, exchange: Exchange, contexts: TlsContexts) {
    super(server, socket, options);
    this.exchange = exchange;
    this.#contexts = contexts;
    this.#rawSocket = socket;
    this.#uncount = countConnection(exchange.deps.statistics);
    this._maxAllowedUnauthenticatedCommands = false;
  }

  /** The path of the MAIL or RCPT that is being carried out, with its parameters as they came: the library decodes their xtext. */
  get heardPath(): HeardPath {
    return this.#heardPath;
  }

  get signedIn(): SignedIn | undefined {
    return this.#signedIn;
  }

  /** `TLSv1.3`; `''` in clear text. */
  get tlsVersion(): string {
    return this._socket instanceof TLSSocket ? (this._socket.getProtocol() ?? '') : '';
  }

  /** Cut the connection at once. */
  cut(): void {
    this._socket.destroy();
    this.#rawSocket.destroy();
  }

  /** Without the library's wait of 100 ms for early talkers. */
  override init(): void {
    this._setListeners(() =>
      this.atStage(
        'connect',
        () => this.connectionReady(),
        () => this.close(),
      ),
    );
  }

  override _sendGreeting(): void {
    const date = new Date(this.exchange.deps.clock.now()).toUTCString();
    this.send(220, `${HOST_NAME} Microsoft ESMTP MAIL Service ready at ${date}`, false);
  }

  /** The only place that writes replies. */
  override send(code: number, data?: string | string[] | null, context?: string | false): void {
    const replacement = this.#replacement;
    this.#replacement = undefined;
    if (replacement !== undefined) this.#write(replacement);
    // The library's only list with 250 is the answer to EHLO.
    else if (Array.isArray(data)) super.send(code, code === 250 ? this.#ehloLines() : data, false);
    else if (code === 334) super.send(code, data, false);
    else {
      const line = exchangeReply(code, data ?? '', context);
      super.send(Number(line.slice(0, 3)), line.slice(4), false);
    }
  }

  override handler_EHLO(command: Buffer, next: Next): void {
    this.atStage('ehlo', () => super.handler_EHLO(command, next), next);
  }

  override handler_STARTTLS(_command: Buffer, next: Next): void {
    if (!this.exchange.deps.faults.submission.offersStartTls) this.#answer(REPLIES.unrecognized, next);
    else if (this.secure) this.#answer('503 5.5.2 Only one STARTTLS command can be issued per session', next);
    else this.atStage('starttls', () => void this.#startTls(next), next);
  }

  override handler_AUTH(command: Buffer, next: Next): void {
    const [mechanism = '', initialResponse, ...excess] = command.toString().trim().split(/\s+/).slice(1);
    // Before TLS there is no AUTH, so the command does not exist.
    if (!this.secure) return this.#answer(REPLIES.unrecognized, next);
    // RFC 4954 §4: no second AUTH after a successful one.
    if (this.#signedIn !== undefined) return this.#answer(REPLIES.alreadySignedIn, next);
    if (excess.length > 0) return this.#answer('501 5.5.4 Invalid arguments', next);
    const name = mechanism.toUpperCase();
    if (name === 'LOGIN') return this.#authLogin(initialResponse, next);
    if (name !== 'XOAUTH2' || !this.exchange.deps.faults.submission.offersXoauth2) return this.#answer(REPLIES.unknownMechanism, next);
    // RFC 4954 §4: "=" is an empty initial response. Exchange takes an initial response longer than a command line may be.
    if (initialResponse === undefined) this.#prompt('', (line, then) => this.#takeCredentials(line, then), next);
    else this.#takeCredentials(initialResponse === '=' ? '' : initialResponse, next);
  }

  override handler_MAIL(command: Buffer, next: Next): void {
    this.#heardPath = parsePath(command.toString());
    this.atStage('mail', () => super.handler_MAIL(command, next), next);
  }

  override handler_RCPT(command: Buffer, next: Next): void {
    this.#heardPath = parsePath(command.toString());
    this.atStage('rcpt', () => super.handler_RCPT(command, next), next, this.#heardPath.address);
  }

  override handler_DATA(command: Buffer, next: Next): void {
    this.atStage('data', () => super.handler_DATA(command, next), next);
  }

  override _onClose(): void {
    super._onClose();
    if (this.#isOver) return;
    this.#isOver = true;
    this.#leaveMailbox?.();
    this.#uncount();
  }

  /** Let a fault that waits for this stage strike; else `proceed`. `answered` says that the command has had its reply. */
  atStage(stage: SubmissionStage, proceed: () => void, answered: () => void, address?: string): void {
    const fault = takeSubmissionFault(this.exchange.deps.faults, stage, address);
    if (fault === undefined) proceed();
    else this.strike(fault, proceed, answered);
  }

  /** Write `reply` in place of the reply that `act` makes the library send. */
  replaceReply(reply: string, act: () => void): void {
    this.#replacement = reply;
    act();
  }

  strike(fault: SubmissionFault, proceed: () => void, answered: () => void): void {
    switch (fault.kind) {
      case 'reply':
        // A positive reply only changes the words.
        if (/^[23]/.test(fault.reply)) {
          this.#replacement = fault.reply;
          proceed();
        } else {
          this.#write(fault.reply);
          answered();
        }
        return;
      case 'drop':
        this.cut();
        return;
      case 'stall':
        return; // The command never gets its reply, and the library reads no further.
      case 'delay':
        this.exchange.deps.clock.startTimer(fault.milliseconds as DurationMs, () => (this.#isOver ? undefined : proceed()), {
          isBackground: true,
        });
        return;
    }
  }

  #ehloLines(): string[] {
    const { offersStartTls, offersXoauth2 } = this.exchange.deps.faults.submission;
    const authentication = offersXoauth2 ? 'AUTH LOGIN XOAUTH2' : 'AUTH LOGIN';
    // BINARYMIME and CHUNKING, which Exchange offers between the last two, need a parser that smtp-server does not have.
    const lines = [`${HOST_NAME} Hello [${this.remoteAddress}]`, `SIZE ${ANNOUNCED_SIZE}`, 'PIPELINING', 'DSN', 'ENHANCEDSTATUSCODES'];
    if (this.secure) lines.push(authentication);
    else if (offersStartTls) lines.push('STARTTLS');
    return [...lines, '8BITMIME', 'SMTPUTF8'];
  }

  async #startTls(next: Next): Promise<void> {
    const { faults, log } = this.exchange.deps;
    try {
      const context = await this.#contexts.get(faults.submission.certificate);
      if (this.#isOver) return;
      this._server.secureContext.set('*', context);
    } catch (error) {
      log.error({ event: 'sandbox-certificate-failed', error }, 'the sandbox could not issue a certificate');
      return this.#answer('454 4.7.0 TLS not available due to temporary reason', next);
    }
    // One segment, as an attacker in the middle would send it.
    this._socket.cork();
    this.send(220, '2.0.0 SMTP server ready');
    if (faults.submission.injectAfterStartTls !== '') this._socket.write(faults.submission.injectAfterStartTls);
    this._socket.uncork();
    this.upgrade(next);
  }

  /** Both prompts are answered before a refusal, as by a server that only then learns that it must not look at the password. */
  #authLogin(initialResponse: string | undefined, next: Next): void {
    const askPassword = (user: string, then: Next): void =>
      this.#prompt('UGFzc3dvcmQ6', (password, after) => this.#signInWithPassword(decode(user), decode(password), after), then);
    if (initialResponse === undefined) this.#prompt('VXNlcm5hbWU6', askPassword, next);
    else askPassword(initialResponse, next);
  }

  /** Send a challenge and give the client's next line to `take`. */
  #prompt(challenge: string, take: (line: string, then: Next) => void, next: Next): void {
    this._nextHandler = (line, then) => {
      const text = line.toString();
      // RFC 4954 §4: "*" cancels, and the answer is 501.
      if (text === '*') this.#answer(REPLIES.cancelled, then);
      else if (text.length > LONGEST_AUTH_LINE) this.#answer(REPLIES.lineTooLong, then);
      else take(text, then);
    };
    this.send(334, challenge);
    next();
  }

  #takeCredentials(line: string, next: Next): void {
    this.atStage('auth', () => this.#signIn(line, next), next);
  }

  #signIn(line: string, next: Next): void {
    const { faults } = this.exchange.deps;
    const answer = this.exchange.signIn(line, this.remoteAddress);
    if ('refusal' in answer) {
      if (answer.refusal === 'encoding') this.#answer(REPLIES.badEncoding, next);
      else if (faults.submission.tokenRefusal === 'direct') this.#answer(REPLIES.badToken(this.exchange.stamp()), next);
      else {
        const refuse = (_line: string, then: Next): void => this.#answer(REPLIES.challengeRefused, then);
        this.#prompt(Buffer.from(GMAIL_CHALLENGE).toString('base64'), refuse, next);
      }
      return;
    }
    this.#enter(answer.signedIn, next);
  }

  #signInWithPassword(user: string, password: string, next: Next): void {
    const answer = this.exchange.signInWithPassword(user, password, this.remoteAddress);
    if ('refusal' in answer) this.#answer(answer.refusal, next);
    else this.#enter(answer.signedIn, next);
  }

  #enter(signedIn: SignedIn, next: Next): void {
    this.#signedIn = signedIn;
    this.session.user = signedIn.user;
    this.#leaveMailbox = this.exchange.deps.limits.enter(signedIn.user, this);
    this.#answer(REPLIES.signedIn, next);
  }

  #answer(reply: string, next: Next): void {
    this.send(Number(reply.slice(0, 3)), reply.slice(4), false);
    next();
  }

  /** A reply of a fault switch, as it is. */
  #write(reply: string): void {
    if (this._socket.writable) this._socket.write(`${reply.split(/\r?\n/).join('\r\n')}\r\n`);
    if (reply.startsWith('421')) this.close();
  }
}

const decode = (base64: string): string => Buffer.from(base64, 'base64').toString('utf8');

/** `MAIL FROM:<a@b> SIZE=1` → address and parameters; whether it is valid is for the library to say. */
function parsePath(command: string): HeardPath {
  const [, address = '', parameters = ''] = /<([^<>]*)>\s*(.*)$/s.exec(command) ?? [];
  return { address, parameters: parameters.trim() };
}

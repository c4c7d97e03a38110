/**
 * The SMTP dialogue of one connection: what each command means, in which order commands may come, and who may give them.
 *
 * Knows nothing of sockets; it talks through {@link Wire}. Commands are given to {@link SmtpDialogue.command} one at a time.
 *
 * Invariants: at most one transaction is open; content is received only inside one; after `hangUp` nothing is answered. A client is known
 * by AUTH or else by its network, and without one nothing gets past MAIL (RFC 6409 §4.3).
 *
 * Sources: RFC 5321 §4.1.1 (commands), §4.1.4 (order), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 6409 (submission).
 *
 * @packageDocumentation
 */
import { type Awaitable, whenHere } from '../core/awaitable.ts';
import type { Client } from '../core/client.ts';
import { minutes } from '../core/clock.ts';
import type { IpAddress } from '../core/ip-network.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import { type Problem, problem } from '../core/problem.ts';
import { describeReply, isAccepted, quoted, type Reply, reply } from '../core/reply.ts';
import type { ArrivingContent } from './arriving-content.ts';
import { type AuthDependencies, AuthDialogue, type AuthOutcome } from './auth-dialogue.ts';
import { argumentAfter, type CommandLine, isHttpRequest, parseCommandLine, shownCommand } from './command-line.ts';
import { ehloFeatures, mayAuthenticate, type SessionState } from './ehlo-features.ts';
import { type MailTransaction, type Opened, openTransaction, type TransactionDependencies } from './mail-transaction.ts';
import { RejectionCounter } from '../policy/rejection-counter.ts';
import type { SessionJournal } from '../platform/session-journal.ts';
import { WaitLimit } from '../platform/wait-limit.ts';

/** The connection, as the dialogue sees it. */
export interface Wire {
  isSecure(): boolean;
  /** True once the client has closed its side or the connection is lost: a reply may not be read. */
  isPeerGone(): boolean;
  answer(reply: Reply): void;
  /** Close once what was answered has been written. */
  hangUp(): void;
  /** Begin the TLS handshake; whatever the client has sent already is thrown away. */
  startTls(): void;
  /** From here on the client sends content. */
  startContent(): ArrivingContent;
  /** Content is over and answered; commands follow. */
  endContent(): void;
}

/** What all sessions of a listener share. */
export interface DialogueDependencies extends TransactionDependencies, AuthDependencies {
  readonly settings: SmtpListenerSettings;
}

/** From MAIL to end-of-data, our own work not counted. A 35 MB message over a 256 kbit/s line takes 19 minutes. */
const TRANSACTION_LIMIT = minutes(30);

type CommandHandler = (dialogue: SmtpDialogue, line: CommandLine) => Awaitable<void>;

export class SmtpDialogue {
  readonly #deps: DialogueDependencies;
  readonly #wire: Wire;
  readonly #journal: SessionJournal;
  readonly #auth: AuthDialogue;
  readonly #rejections = new RejectionCounter();
  readonly #peer: IpAddress;
  #networkClient: Client | undefined;
  #hello: { readonly verb: 'HELO' | 'EHLO'; readonly name: string } | undefined;
  #authenticated: Client | undefined;
  #transaction: MailTransaction | undefined;
  /** Behind which the client has said nothing yet. */
  #unconfirmed: MailTransaction | undefined;
  /** It had closed its side before its answer was there. */
  #wasGone = false;
  readonly #transactionLimit: WaitLimit;
  #isReceiving = false;
  #isBusy = false;
  #isFinishing = false;
  #isOver = false;
  #hasReportedUnknown = false;
  #hasReportedClearText = false;

  constructor(deps: DialogueDependencies, wire: Wire, journal: SessionJournal, peer: IpAddress) {
    this.#deps = deps;
    this.#wire = wire;
    this.#journal = journal;
    this.#peer = peer;
    this.#auth = new AuthDialogue(deps, journal, peer);
    this.#transactionLimit = new WaitLimit(deps.clock);
    this.#networkClient = deps.clients.findByNetwork(peer);
    this.#introduce();
  }

  /** Who submits, as far as known. */
  get client(): Client | undefined {
    return this.#authenticated ?? (this.#deps.settings.requireAuth ? undefined : this.#networkClient);
  }

  /** The name that the client gave itself. */
  get hello(): string {
    return this.#hello?.name ?? '';
  }

  /** Facts about the session as it stands. */
  get state() {
    const isTls = this.#wire.isSecure();
    return { isExtended: this.#hello?.verb === 'EHLO', isTls, isAuthenticated: this.#authenticated !== undefined };
  }

  /** RFC 5321 §4.2: the greeting, at once; who talks before it is served as well. */
  greet(): void {
    this.#wire.answer(reply(220, undefined, `${this.#deps.hostname} ESMTP Postern`));
  }

  /** One line without its line end. Carried out when this returns, or once the promise resolves. Never throws. */
  command(octets: Buffer): Awaitable<void> {
    if (this.#isOver) return undefined;
    this.#isBusy = true;
    try {
      const work = this.#dispatch(octets);
      if (work instanceof Promise) return work.catch((error: unknown) => this.#failed(error)).then(() => this.#carriedOut());
    } catch (error) {
      this.#failed(error);
    }
    return this.#carriedOut();
  }

  #failed(error: unknown): void {
    this.#journal.defect(error, { problem: problem('INTERNAL', 'a command could not be carried out') });
    this.#answer(reply(451, '4.3.0', 'Internal error; try again later'));
  }

  #carriedOut(): void {
    this.#isBusy = false;
    this.#finishIfIdle();
  }

  /** Stop: at once where no transaction is open, else behind its answer. */
  finish(): void {
    this.#isFinishing = true;
    this.#finishIfIdle();
  }

  /** Say why and close now, whatever is under way. */
  stop(answer: Reply): void {
    if (this.#isOver) return;
    this.#answer(answer);
    this.#close();
  }

  /** The connection is gone. @param isReset - By the other end, as systems do where something was not read (RFC 1122 §4.2.2.13). */
  lost(isReset: boolean): void {
    this.#isOver = true;
    if (isReset) this.#unconfirmed?.noteReset();
    else if (!this.#wasGone) this.#unconfirmed?.confirm();
    this.#endTransaction();
    this.#transactionLimit.stop();
  }

  #dispatch(octets: Buffer): Awaitable<void> {
    this.#journal.trace(() => `C: ${this.#auth.isWaiting ? '[removed]' : shownCommand(octets)}`);
    if (this.#auth.isWaiting) return this.#continueAuth(octets.toString('latin1').trimEnd());
    if (isHttpRequest(octets)) return this.#hangUp(reply(421, '4.7.0', 'This is not a web server'), 'an HTTP request came');
    const line = parseCommandLine(octets);
    if (line.kind === 'blank') return this.#countIdleTalk();
    this.#unconfirmed?.confirm();
    this.#unconfirmed = undefined;
    if (line.kind === 'malformed') return this.#reject(reply(500, '5.5.2', line.why));
    const handle = SmtpDialogue.#handlers.get(line.verb);
    if (handle !== undefined) return handle(this, line);
    // RFC 5321 §4.2.4: 502 for commands that exist and are not implemented.
    return this.#reject(
      NOT_IMPLEMENTED.has(line.verb) ? reply(502, '5.5.1', 'Command not implemented') : reply(500, '5.5.1', 'Command not recognised'),
    );
  }

  /** The whole list. */
  static readonly #handlers: ReadonlyMap<string, CommandHandler> = new Map<string, CommandHandler>([
    ['HELO', (dialogue, line) => dialogue.#helo(line, 'HELO')],
    ['EHLO', (dialogue, line) => dialogue.#helo(line, 'EHLO')],
    ['STARTTLS', (dialogue, line) => dialogue.#startTls(line)],
    ['AUTH', (dialogue, line) => dialogue.#authenticate(line)],
    ['MAIL', (dialogue, line) => dialogue.#mail(line)],
    ['RCPT', (dialogue, line) => dialogue.#rcpt(line)],
    ['DATA', (dialogue, line) => dialogue.#data(line)],
    ['RSET', (dialogue) => dialogue.#reset()],
    ['NOOP', (dialogue) => dialogue.#idleTalk(reply(250, '2.0.0', 'OK'))],
    ['HELP', (dialogue) => dialogue.#idleTalk(reply(214, '2.0.0', 'See RFC 5321 and RFC 6409'))],
    // RFC 5321 §3.5.3: 252 where verifying is not offered.
    ['VRFY', (dialogue) => dialogue.#idleTalk(reply(252, '2.5.0', 'Cannot verify; will accept mail for what can be relayed'))],
    ['QUIT', (dialogue) => dialogue.#quit()],
  ]);

  /** RFC 5321 §4.1.1.1. A missing or odd name is let pass, since devices have no better one; it is only ever shown to the operator. */
  #helo(line: CommandLine, verb: 'HELO' | 'EHLO'): void {
    if (line.argument.length > 255 || line.hasControlCharacters) return this.#reject(reply(501, '5.5.4', 'That is not a name'));
    this.#endTransaction();
    this.#hello = { verb, name: line.argument };
    const text = [this.#deps.hostname];
    if (verb === 'EHLO') text.push(...ehloFeatures(this.#deps.settings, this.#sessionState));
    // RFC 2034 §4: no enhanced code in the reply to HELO and EHLO.
    this.#idleTalk({ code: 250, text });
  }

  #startTls(line: CommandLine): void {
    if (this.#deps.settings.tls !== 'starttls') return this.#reject(reply(502, '5.5.1', 'STARTTLS is not offered'));
    if (line.argument !== '') return this.#reject(reply(501, '5.5.4', 'STARTTLS takes no argument'));
    if (this.#wire.isSecure()) return this.#reject(reply(503, '5.5.1', 'TLS is already active'));
    if (this.#transaction !== undefined) return this.#reject(reply(503, '5.5.1', 'Not inside a transaction'));
    // RFC 3207 §4.2: forget all that the client said in clear text.
    this.#hello = undefined;
    this.#authenticated = undefined;
    this.#auth.reset();
    this.#introduce();
    this.#answer(reply(220, '2.0.0', 'Ready to start TLS'));
    this.#wire.startTls();
  }

  async #authenticate(line: CommandLine): Promise<void> {
    if (this.#hello === undefined) return this.#reject(SAY_HELLO);
    if (this.#authenticated !== undefined) return this.#reject(reply(503, '5.5.1', 'Already authenticated'));
    if (this.#transaction !== undefined) return this.#reject(reply(503, '5.5.1', 'Not inside a transaction'));
    if (!mayAuthenticate(this.#deps.settings, this.#sessionState)) return this.#rejectClearText(LOGIN_NEEDS_TLS);
    const words = line.argument.split(/[ \t]+/).filter((word) => word !== '');
    this.#conclude(await this.#auth.start(words));
  }

  async #continueAuth(answer: string): Promise<void> {
    this.#conclude(await this.#auth.answer(answer));
  }

  #conclude(outcome: AuthOutcome): void {
    if (outcome.kind === 'continue') return this.#answer(outcome.reply);
    if (outcome.kind === 'refused') return this.#reject(outcome.reply);
    this.#authenticated = outcome.client;
    this.#introduce();
    this.#journal.debug('client-authenticated', `client ${outcome.client.name} has logged in`);
    this.#answer(outcome.reply);
  }

  #mail(line: CommandLine): Awaitable<void> {
    if (this.#hello === undefined) return this.#reject(SAY_HELLO);
    if (this.#transaction !== undefined) return this.#reject(reply(503, '5.5.1', 'A transaction is open already'));
    if (this.#deps.settings.requireTls && !this.#wire.isSecure()) return this.#rejectClearText(TLS_FIRST);
    if (!this.#renewClient()) return this.#answer(LOGIN_OUTDATED);
    const { client } = this;
    // RFC 4954 §6.
    if (client === undefined) return this.#rejectUnknown(reply(530, '5.7.0', 'Authentication required'));
    const argument = argumentAfter(line, 'FROM');
    if (argument === undefined) return this.#reject(reply(501, '5.5.4', 'Syntax: MAIL FROM:<address>'));
    const { sessionId, peer } = this.#journal.facts;
    const { isExtended, isTls, isAuthenticated } = this.state;
    const origin = { sessionId, peer, client, isExtended, isTls, isAuthenticated };
    return whenHere(openTransaction(argument, origin, this.#deps, this.#journal), (opened) => this.#begun(opened));
  }

  /** MAIL has its answer. */
  #begun({ reply: answer, transaction }: Opened): void {
    if (transaction === undefined) return this.#idleTalk(answer);
    if (this.#isOver) return transaction.abandon();
    this.#transaction = transaction;
    this.#journal.queueId = transaction.queueId;
    this.#transactionLimit.begin(TRANSACTION_LIMIT, () => this.#transactionExpired());
    this.#answer(answer);
  }

  #rcpt(line: CommandLine): Awaitable<void> {
    if (this.#transaction === undefined) return this.#reject(reply(503, '5.5.1', 'MAIL comes first'));
    const argument = argumentAfter(line, 'TO');
    if (argument === undefined) return this.#reject(reply(501, '5.5.4', 'Syntax: RCPT TO:<address>'));
    // Never counted against the client: one bad address must not cost the others their message.
    return whenHere(this.#transaction.addForwardPath(argument), (answer) => this.#answer(answer));
  }

  #data(line: CommandLine): Awaitable<void> {
    const transaction = this.#transaction;
    if (line.argument !== '') return this.#reject(reply(501, '5.5.4', 'DATA takes no argument'));
    if (transaction === undefined) return this.#reject(reply(503, '5.5.1', 'MAIL and RCPT come first'));
    if (transaction.forwardPathCount === 0) return this.#reject(reply(554, '5.5.1', 'No valid recipients'));
    return whenHere(transaction.prepareContent(), (refusal) => {
      if (this.#isOver) return undefined;
      if (refusal === undefined) return this.#invite(transaction);
      this.#endTransaction();
      return this.#answer(refusal);
    });
  }

  /** 354. */
  #invite(transaction: MailTransaction): void {
    const content = this.#wire.startContent();
    this.#answer(reply(354, undefined, 'End data with <CR><LF>.<CR><LF>'));
    this.#isReceiving = true;
    this.#receive(transaction, content).catch((error: unknown) => {
      this.#journal.defect(error, { problem: problem('INTERNAL', 'a message could not be answered') });
      this.stop(reply(421, '4.3.0', 'Internal error; try again later'));
    });
  }

  /** Runs beside the commands; none comes until `endContent`. */
  async #receive(transaction: MailTransaction, content: ArrivingContent): Promise<void> {
    const onComplete = (): void => {
      this.#transactionLimit.end();
      this.#journal.trace(() => 'C: [content] .');
    };
    const answer = await transaction.receive(content, onComplete, () => this.#wire.isPeerGone());
    this.#isReceiving = false;
    this.#wasGone = this.#wire.isPeerGone();
    if (answer !== undefined && this.#wasGone) transaction.noteUndelivered(answer);
    this.#unconfirmed = transaction;
    this.#endTransaction();
    if (answer === undefined || this.#isOver) return;
    if (isAccepted(answer)) this.#rejections.forgive();
    this.#answer(answer);
    this.#finishIfIdle();
    if (!this.#isOver) this.#wire.endContent();
  }

  #reset(): void {
    this.#endTransaction();
    this.#idleTalk(reply(250, '2.0.0', 'OK'));
  }

  #quit(): void {
    this.#endTransaction();
    this.#answer(reply(221, '2.0.0', 'Bye'));
    this.#close();
  }

  #answer(answer: Reply): void {
    if (this.#isOver) return;
    if (answer.code >= 400) this.#journal.debug('command-refused', 'a command was refused', { reply: describeReply(answer) });
    this.#wire.answer(answer);
    if (answer.code === 421) this.#close();
  }

  /** The command was wrong. */
  #reject(answer: Reply): void {
    if (this.#rejections.noteError()) this.#hangUp(TOO_MANY_ERRORS, 'too many commands were wrong');
    else this.#answer(answer);
  }

  /** The command leads to no message. */
  #idleTalk(answer: Reply): void {
    if (this.#rejections.noteIdleTalk()) this.#hangUp(TOO_MANY_ERRORS, 'too many commands that lead to no message');
    else this.#answer(answer);
  }

  /** A blank line is no command, but devices send one behind the final dot: an answer would put all later answers one off. */
  #countIdleTalk(): void {
    if (this.#rejections.noteIdleTalk()) this.#hangUp(TOO_MANY_ERRORS, 'too many blank lines');
  }

  #rejectUnknown(answer: Reply): void {
    if (!this.#hasReportedUnknown) {
      this.#hasReportedUnknown = true;
      const cause =
        this.#networkClient === undefined
          ? 'no client has the network of this peer, and it has not logged in'
          : 'the listener requires a login';
      this.#journal.refused('client-unknown', problem('CLIENT_UNKNOWN', cause), answer);
    }
    this.#reject(answer);
  }

  #rejectClearText(answer: Reply): void {
    if (!this.#hasReportedClearText) {
      this.#hasReportedClearText = true;
      const remedy = 'Switch STARTTLS on in the application; or name its network under clients[].networks, where clear text is acceptable.';
      const what = problem('CLIENT_TLS_FAILED', 'the client did not use TLS, which is required here', { remedy });
      this.#journal.refused('clear-text-refused', what, answer);
    }
    this.#reject(answer);
  }

  #hangUp(answer: Reply, cause: string): void {
    const what: Problem = problem('MESSAGE_MALFORMED', `${cause}; greeted as ${quoted(this.hello)}`);
    this.#journal.refused('session-cut', what, answer);
    this.#answer(answer);
  }

  #transactionExpired(): void {
    this.stop(reply(421, '4.4.2', 'The transaction takes too long'));
  }

  #finishIfIdle(): void {
    if (!this.#isFinishing || this.#isBusy || this.#isReceiving || this.#transaction !== undefined) return;
    this.stop(reply(421, '4.3.2', 'Service shutting down'));
  }

  #close(): void {
    this.#isOver = true;
    this.#endTransaction();
    this.#wire.hangUp();
  }

  /** While content is being submitted the transaction is the delivery's: it ends with its reply, or when the content breaks off. */
  #endTransaction(): void {
    this.#transactionLimit.end();
    if (!this.#isReceiving) this.#transaction?.abandon();
    this.#transaction = undefined;
    this.#journal.queueId = undefined;
  }

  get #sessionState(): SessionState {
    const { isTls, isAuthenticated } = this.state;
    return { isTls, isAuthenticated, peer: this.#peer, networkClient: this.#networkClient };
  }

  /** The configuration may have changed since the last message. @returns False where the login is no longer good. */
  #renewClient(): boolean {
    const { clients } = this.#deps;
    const before = this.#authenticated;
    this.#networkClient = clients.findByNetwork(this.#peer);
    this.#authenticated = before === undefined ? undefined : clients.renewed(before);
    this.#introduce();
    return before === undefined || this.#authenticated !== undefined;
  }

  #introduce(): void {
    this.#journal.client = this.client;
  }
}

/** RFC 3207 §4. */
const TLS_FIRST = reply(530, '5.7.0', 'Must issue a STARTTLS command first');
/** RFC 4954 §6: the mechanism needs encryption. */
const LOGIN_NEEDS_TLS = reply(538, '5.7.11', 'Encryption required to log in: use STARTTLS first');
/** The client, its name or its password is no longer configured; RFC 5321 §3.8 lets the server close with 421. */
const LOGIN_OUTDATED = reply(421, '4.7.0', 'Your login is no longer valid: connect and log in again');
const SAY_HELLO = reply(503, '5.5.1', 'Say EHLO or HELO first');
const TOO_MANY_ERRORS = reply(421, '4.7.0', 'Too many commands that lead nowhere');
const NOT_IMPLEMENTED: ReadonlySet<string> = new Set(['EXPN', 'ETRN', 'TURN', 'ATRN', 'SEND', 'SOML', 'SAML', 'BDAT', 'BURL']);

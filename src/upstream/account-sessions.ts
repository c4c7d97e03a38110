/**
 * The sessions of one account: opened when needed, lent to one transaction at a time, kept warm in between.
 *
 * A warm session may have died unseen. Until MAIL has been answered nothing of the message has been said, so a warm session that breaks
 * before that is replaced by a new one in the same place, once, and the caller does not notice.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import { type Account, usesTokens } from '../core/account.ts';
import type { DurationMs } from '../core/clock.ts';
import type { Envelope, MailParameters, ReversePath } from '../core/envelope.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Chunks } from '../core/octets.ts';
import type { MessageNames } from '../core/ports/log.ts';
import { type RelayResult, UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import { describeReply, isAccepted, type Reply } from '../core/reply.ts';
import { WaitLimit } from '../platform/wait-limit.ts';
import { ConnectionPlaces } from './connection-places.ts';
import { noConnectionFree } from './failures.ts';
import { classifyReply } from './reply-table.ts';
import { type SignedInSession, type SignInDependencies, signIn } from './sign-in.ts';
import type { DialogueSubject, SmtpSession } from './smtp-session.ts';
import { Transaction } from './transaction.ts';
import { WholeMessage } from './whole-message.ts';

/** How long sessions are kept. */
export interface WarmthOptions {
  /** How long a session waits for its next message. A server that closes earlier is noticed. */
  readonly idle: DurationMs;
  /** Messages before a session is replaced, so that load follows the provider's DNS. */
  readonly messages: number;
  /** For how long one connection fewer is used after the provider has counted too many. */
  readonly reduced: DurationMs;
}

/** A session with its record. */
interface Warm extends SignedInSession {
  readonly subject: DialogueSubject;
  messages: number;
  /** For how long it waits for its next message. */
  readonly idleLimit: WaitLimit;
}

/** What was said first on a session. */
interface SaidMail {
  readonly mail: Promise<Reply>;
}

/** A session on which MAIL has been answered. */
interface Started<Said> {
  readonly session: Warm;
  readonly said: Said;
  readonly reply: Reply;
}

export class AccountSessions {
  #account: Account;
  readonly #deps: SignInDependencies;
  readonly #options: WarmthOptions;
  readonly #places: ConnectionPlaces<Warm>;
  #isClosing = false;
  #onEmpty: () => void = () => {};

  constructor(account: Account, deps: SignInDependencies, options: WarmthOptions) {
    this.#account = account;
    this.#deps = deps;
    this.#options = options;
    this.#places = new ConnectionPlaces(account.provider.limits.connections, deps.clock);
  }

  get connections(): number {
    return this.#places.held;
  }

  /** Whether sessions that were opened with the settings known so far are as good as ones opened with these. From now on these are used. */
  suits(account: Account): boolean {
    if (account === this.#account) return true;
    if (!isDeepStrictEqual(sessionSettings(account), sessionSettings(this.#account))) return false;
    this.#account = account;
    return true;
  }

  /** See `Upstream.begin`. */
  async begin(reversePath: ReversePath, parameters: MailParameters, patience: DurationMs, about?: MessageNames) {
    const { session, reply } = await this.#start(patience, about, (on) => ({ mail: on.mail(reversePath, parameters) }));
    if (!isAccepted(reply)) {
      this.#noteReply('mail', reply);
      this.#giveBack(session);
      return { reply };
    }
    session.messages += 1;
    const transaction = new Transaction(session.session, session.user, {
      onReply: (stage, answer) => this.#noteReply(stage, answer),
      onEnd: () => this.#giveBack(session),
    });
    return { reply, transaction };
  }

  /** See `Upstream.relay`; failures before MAIL has been answered are thrown. */
  async relay(envelope: Envelope, openContent: () => Chunks, patience: DurationMs, about?: MessageNames): Promise<RelayResult> {
    const noteReply = (stage: UpstreamStage, answer: Reply): void => this.#noteReply(stage, answer);
    const { session, said, reply } = await this.#start(patience, about, (on) => new WholeMessage(on, envelope, noteReply));
    session.messages += 1;
    const { upstream, offersDsn: isDsnPassedOn } = session.session;
    try {
      const { answers, failure } = await said.complete(reply, openContent);
      const result: Mutable<RelayResult> = { answers, upstream, user: session.user, isDsnPassedOn };
      if (failure !== undefined) result.failure = failure;
      return result;
    } finally {
      this.#giveBack(session);
    }
  }

  /** Take a place, and say MAIL and perhaps more on its session, or on a new one. */
  async #start<Said extends SaidMail>(
    patience: DurationMs,
    about: MessageNames | undefined,
    say: (session: SmtpSession) => Said,
  ): Promise<Started<Said>> {
    const taken = this.#places.take(patience, () => this.#impatience(patience));
    const place = taken instanceof Promise ? await taken : taken;
    const warm = this.#wake(place.idle);
    const begun = warm === undefined ? undefined : await this.#tryWarm(warm, about, say);
    // A place whose session has ended, or that never had one, gets a new session.
    return begun ?? this.#startFresh(place.idle, about, say);
  }

  /** The idle session of a place, if it is good for another message. */
  #wake(idle: Warm | undefined): Warm | undefined {
    idle?.idleLimit.end();
    if (idle?.session.isOpen !== true || this.#isStale(idle)) return undefined;
    return idle;
  }

  /** MAIL on a session that was idle. Undefined where it was dead, or had lost its sign-in. */
  async #tryWarm<Said extends SaidMail>(
    warm: Warm,
    about: MessageNames | undefined,
    say: (session: SmtpSession) => Said,
  ): Promise<Started<Said> | undefined> {
    warm.subject.about = about;
    try {
      const said = say(warm.session);
      const reply = await said.mail;
      const isAlive = isAccepted(reply) || (reply.code !== 421 && classifyReply('mail', reply).row !== 'not-signed-in');
      // A session can be over although it has answered: the server went on talking.
      if (isAlive && (warm.session.isOpen || !isAccepted(reply))) return { session: warm, said, reply };
      this.#debug('warm session gave up', reply);
    } catch (error) {
      if (!(error instanceof UpstreamError)) {
        void this.#leave(warm);
        throw error;
      }
      this.#deps.log.debug(
        { event: 'upstream-session-replaced', account: this.#account.name, problem: error.problem },
        'warm session was dead',
      );
    }
    return undefined;
  }

  /** A new session in a place that is held already. */
  async #startFresh<Said extends SaidMail>(
    old: Warm | undefined,
    about: MessageNames | undefined,
    say: (session: SmtpSession) => Said,
  ): Promise<Started<Said>> {
    const subject: DialogueSubject = { about };
    let session: Warm | undefined;
    try {
      old?.idleLimit.stop();
      if (old !== undefined) await old.session.quit();
      session = {
        ...(await signIn(this.#account, { ...this.#deps, subject })),
        subject,
        messages: 0,
        idleLimit: new WaitLimit(this.#deps.clock),
      };
      this.#watch(session);
      const said = say(session.session);
      const reply = await said.mail;
      if (isAccepted(reply) && !session.session.isOpen) throw session.session.failure('mail');
      return { session, said, reply };
    } catch (error) {
      if (error instanceof UpstreamError && error.problem.code === 'UPSTREAM_BUSY') this.#reduce(error.problem.cause);
      await session?.session.quit();
      this.#free();
      throw error;
    }
  }

  /** A transaction is over, in whatever way. */
  #giveBack(warm: Warm): void {
    warm.subject.about = undefined;
    const { idle, messages } = this.#options;
    const isSpent = warm.messages >= messages || this.#isStale(warm) || !warm.session.isOpen;
    if (isSpent || this.#isClosing || this.#places.isOverfull) {
      void this.#leave(warm);
      return;
    }
    warm.idleLimit.begin(idle, () => void this.#retire(warm));
    this.#places.giveBack(warm);
  }

  /** An idle session goes; one that is in use again by now is left alone. */
  async #retire(warm: Warm): Promise<void> {
    if (this.#places.retire(warm)) await this.#leave(warm);
  }

  /** End a session and free its place. */
  async #leave(warm: Warm): Promise<void> {
    warm.idleLimit.stop();
    await warm.session.quit();
    this.#free();
  }

  /** The server may close a session while it is idle. */
  #watch(warm: Warm): void {
    void warm.session.closed.then(() => this.#retire(warm));
  }

  #free(): void {
    this.#places.free();
    if (this.#places.held === 0) this.#onEmpty();
  }

  /** The provider would let most sessions outlive their token; none is kept beyond it, so that none is found cut off. */
  #isStale({ tokenExpiresAt }: Warm): boolean {
    return tokenExpiresAt !== undefined && tokenExpiresAt <= this.#deps.clock.now();
  }

  /** The reply is the caller's; a complaint about too many connections is ours. */
  #noteReply(stage: UpstreamStage, reply: Reply): void {
    if (isAccepted(reply)) return;
    const { problem } = classifyReply(stage, reply);
    if (problem.code === 'UPSTREAM_BUSY') this.#reduce(problem.cause);
  }

  #reduce(cause: string): void {
    const left = this.#places.reduce(this.#options.reduced);
    this.#deps.log.warn({ event: 'upstream-connections-reduced', account: this.#account.name }, `down to ${left} connections: ${cause}`);
  }

  #impatience(patience: DurationMs): UpstreamError {
    const { name, provider } = this.#account;
    return noConnectionFree(`account ${name}: all ${provider.limits.connections} connections in use for ${patience / 1000} s`);
  }

  #debug(message: string, reply: Reply): void {
    this.#deps.log.debug({ event: 'upstream-session-replaced', account: this.#account.name, reply: describeReply(reply) }, message);
  }

  /** No new transactions; resolves once the last connection is gone. */
  close(): Promise<void> {
    this.#places.turnAllAway(noConnectionFree('Postern is stopping'));
    return this.retire();
  }

  /** Others take over: who waits already is still served, every session ends with its message. Resolves once the last connection is gone. */
  async retire(): Promise<void> {
    this.#isClosing = true;
    const empty = new Promise<void>((resolve) => {
      this.#onEmpty = resolve;
    });
    for (const warm of this.#places.idle.slice()) void this.#retire(warm);
    if (this.#places.held > 0) await empty;
  }
}

/** What a session depends on. Tokens come and go while it lasts. */
function sessionSettings({ mailbox, smtpUser, provider, auth }: Account) {
  return { mailbox, smtpUser, provider, password: usesTokens(auth) ? undefined : auth };
}

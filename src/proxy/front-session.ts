/**
 * One connection of an application that reads mail: TLS where it comes first, the local dialogue, the mailbox at the provider, and the pipe.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import type { SecureContext } from 'node:tls';
import type { Client } from '../core/client.ts';
import { between, type DurationMs, milliseconds, type MonotonicMs } from '../core/clock.ts';
import { sessionId } from '../core/ids.ts';
import { parseIpAddress } from '../core/ip-network.ts';
import type { ImapQuirks, MailboxListenerSettings } from '../core/listener.ts';
import type { Log } from '../core/ports/log.ts';
import { MailboxError, type MailboxUpstream, type OpenMailbox } from '../core/ports/mailbox.ts';
import type { Random } from '../core/ports/random.ts';
import { type Problem, problem } from '../core/problem.ts';
import { cleanText } from '../core/reply.ts';
import { clientTlsFailure } from '../platform/client-tls-failure.ts';
import { SessionJournal } from '../platform/session-journal.ts';
import { type GateDependencies, LoginGate } from '../policy/login-gate.ts';
import { AppConnection, DialogueOver } from './app-connection.ts';
import type { Conversation } from './conversation.ts';
import type { Entry, FrontDependencies } from './front.ts';
import { ImapConversation } from './imap-conversation.ts';
import { ImapFront } from './imap-front.ts';
import { MailboxPipe, type Move, type PipeReport } from './mailbox-pipe.ts';
import { Pop3Conversation } from './pop3-conversation.ts';
import { Pop3Front } from './pop3-front.ts';
import { tell } from './refusals.ts';

/** What a session needs. */
export interface SessionDependencies extends GateDependencies {
  readonly settings: MailboxListenerSettings;
  readonly secureContext: SecureContext | undefined;
  readonly mailboxes: MailboxUpstream;
  readonly random: Random;
  readonly log: Log;
}

const FRONTS = { imap: ImapFront, pop3: Pop3Front } as const;
const NO_QUIRKS: ImapQuirks = { capabilityInGreeting: true, plainSearch: false, specialUse: false };

export class FrontSession {
  readonly #deps: SessionDependencies;
  readonly #connection: AppConnection;
  readonly #journal: SessionJournal;
  readonly #gate: LoginGate;
  readonly #openedAt: MonotonicMs;
  #leave: () => void = () => {};
  #pipe: MailboxPipe | undefined;
  #isStopping = false;
  #hasNotedClearText = false;
  #client: Client | undefined;

  constructor(socket: Socket, deps: SessionDependencies) {
    const { settings, clock, random, log } = deps;
    this.#deps = deps;
    this.#openedAt = clock.monotonic();
    // A socket that is closed already has no address; nothing it sent will be acted upon.
    const address = socket.remoteAddress ?? '';
    const facts = { sessionId: sessionId(clock.now(), random.octets(7)), listener: settings.name, peer: address };
    this.#journal = new SessionJournal(log, facts);
    this.#gate = new LoginGate(deps, parseIpAddress(address) ?? { family: 6, bits: 0n }, (event, what, fields) =>
      this.#journal.refused(event, what, undefined, fields),
    );
    this.#connection = new AppConnection(socket, clock, settings.loginTimeout);
  }

  /** The whole session. Never rejects. */
  async run(): Promise<void> {
    try {
      const entry = await this.#welcome();
      if (entry !== undefined) this.#noteEnd(await this.#passOn(entry));
    } catch (error) {
      this.#journal.defect(error, { problem: problem('INTERNAL', 'a session that reads mail has broken') });
      this.#connection.destroy();
    } finally {
      this.#leave();
    }
  }

  /** Postern stops: who has not logged in hears it now, the others when nothing is under way. */
  finish(): void {
    this.#isStopping = true;
    if (this.#pipe === undefined) this.#connection.stop();
    else this.#pipe.finish();
  }

  /** The configuration has changed: a session whose login is no longer good, or leads to another mailbox, ends in order. */
  reviewClient(): void {
    const { clients } = this.#deps;
    if (this.#client !== undefined && clients.renewed(this.#client)?.account !== this.#client.account) this.finish();
  }

  /** The time for {@link finish} is over. */
  cut(): void {
    if (this.#pipe === undefined) this.#connection.destroy();
    else this.#pipe.cut();
  }

  /** @returns Undefined where the session has ended without a login. */
  async #welcome(): Promise<Entry | undefined> {
    const { settings, secureContext } = this.#deps;
    const Front = FRONTS[settings.protocol];
    try {
      if (settings.tls === 'implicit' && secureContext !== undefined) await this.#connection.startTls(secureContext);
      return await new Front(this.#frontDependencies()).run();
    } catch (error) {
      if (!(error instanceof DialogueOver)) throw error;
      this.#endDialogue(error);
      return undefined;
    }
  }

  #frontDependencies(): FrontDependencies {
    const { settings, secureContext } = this.#deps;
    return {
      connection: this.#connection,
      gate: this.#gate,
      starttls: settings.tls === 'starttls' ? secureContext : undefined,
      quirks: settings.quirks ?? NO_QUIRKS,
      enter: (client) => this.#enter(client),
      noteClearText: () => this.#noteClearText(),
    };
  }

  async #enter(client: Client): Promise<OpenMailbox | Problem> {
    const { clients, mailboxes, settings } = this.#deps;
    this.#journal.client = client;
    const leave = clients.mailboxSessions.enter(client.name, client.mailboxSessions);
    if (leave === undefined) {
      const cause = `client ${client.name} has ${client.mailboxSessions} sessions open, its limit`;
      return this.#noteRefusal(problem('CLIENT_TOO_MANY_SESSIONS', cause));
    }
    try {
      const { protocol } = settings;
      const mailbox = await mailboxes.open({ protocol, account: client.account, signal: this.#connection.gone });
      this.#leave = leave;
      this.#client = client;
      return mailbox;
    } catch (error) {
      leave();
      if (!(error instanceof MailboxError)) throw error;
      return this.#noteRefusal(error.problem);
    }
  }

  #noteRefusal(what: Problem): Problem {
    if (!this.#connection.gone.aborted)
      this.#journal.refused('mailbox-refused', what, tell(what), { protocol: this.#deps.settings.protocol });
    return what;
  }

  async #passOn({ mailbox, answer }: Entry): Promise<PipeReport> {
    const { settings, clock, random } = this.#deps;
    const { upstream, user } = mailbox;
    const { tls } = this.#connection;
    const facts = { upstream, user, protocol: settings.protocol, ...(tls === undefined ? {} : { tls }) };
    this.#journal.debug('mailbox-opened', 'the application reads mail', facts);
    const { socket: app, rest: ahead } = this.#connection.detach();
    const { idleTimeout } = settings;
    this.#pipe = new MailboxPipe({
      app,
      ahead,
      mailbox,
      answer,
      conversation: this.#converse(mailbox),
      clock,
      idleTimeout,
      reopen: (signal) => this.#reopen(signal),
      renewBefore: renewBefore(random),
      onContinued: (move) => this.#noteMove(move),
    });
    if (this.#isStopping) this.#pipe.finish();
    return this.#pipe.ended;
  }

  #converse({ protocol, capabilities }: OpenMailbox): Conversation {
    if (protocol === 'pop3') return new Pop3Conversation();
    const { plainSearch, specialUse } = this.#deps.settings.quirks ?? NO_QUIRKS;
    const knowsUse = capabilities.some((capability) => capability.toUpperCase() === 'SPECIAL-USE');
    return new ImapConversation({ plainSearch, specialUse: specialUse && !knowsUse });
  }

  /** The login must be good still, and lead to the same mailbox. */
  async #reopen(signal: AbortSignal): Promise<OpenMailbox> {
    const { clients, mailboxes, settings } = this.#deps;
    const client = this.#client;
    if (client === undefined || clients.renewed(client)?.account !== client.account) {
      throw new MailboxError(problem('UPSTREAM_LOST', 'the login of the application is no longer in the configuration'));
    }
    return mailboxes.open({ protocol: settings.protocol, account: client.account, signal });
  }

  #noteMove({ upstream, ended }: Move): void {
    const why = ended === undefined ? 'ahead of the end of its token' : `after the provider had ended it (${cleanText(ended)})`;
    const fields = { upstream, protocol: this.#deps.settings.protocol };
    this.#journal.info('mailbox-continued', `a session that reads mail goes on over a new connection, ${why}`, fields);
  }

  #noteEnd({ end, problem: what, octetsToApp }: PipeReport): void {
    const { clock, settings } = this.#deps;
    const durationMs: DurationMs = between(this.#openedAt, clock.monotonic());
    const fields = { protocol: settings.protocol, durationMs, size: octetsToApp };
    if (what === undefined) this.#journal.info('mailbox-closed', `a session that reads mail has ended: ${ENDS[end]}`, fields);
    else this.#journal.refused('mailbox-lost', what, undefined, fields);
  }

  #endDialogue({ end, message }: DialogueOver): void {
    const Front = FRONTS[this.#deps.settings.protocol];
    if (end === 'tls-hello' || end === 'tls-failed') {
      const hello = 'wrong version number: TLS where clear text comes first';
      const what = end === 'tls-hello' ? tlsOnPlainPort(this.#deps.settings) : clientTlsFailure(message);
      if (message === 'closed') this.#journal.debug('socket-error', 'closed during the TLS handshake');
      else this.#journal.refused('tls-refused', what, undefined, end === 'tls-hello' ? { reply: hello } : {});
      return this.#connection.destroy();
    }
    if (end === 'idle') this.#connection.say(Front.goodbye('Idle for too long'));
    if (end === 'too-long') this.#connection.say(Front.goodbye('Line too long'));
    if (end === 'done' && this.#isStopping) this.#connection.say(Front.goodbye('Postern is stopping; connect again in a moment'));
    const durationMs = between(this.#openedAt, this.#deps.clock.monotonic());
    this.#journal.debug('session-ended', `a session has ended without a login: ${end}`, { durationMs });
    if (end === 'gone' && this.#connection.gone.aborted) this.#connection.destroy();
    else this.#connection.hangUp();
  }

  #noteClearText(): void {
    if (this.#hasNotedClearText) return;
    this.#hasNotedClearText = true;
    const remedy = 'Switch TLS on in the application; or name its network under clients[].networks, where clear text is acceptable.';
    this.#journal.refused(
      'clear-text-refused',
      problem('CLIENT_TLS_FAILED', 'a password came in clear text from afar', { remedy }),
      undefined,
    );
  }
}

const ENDS: Readonly<Record<PipeReport['end'], string>> = {
  app: 'by the application',
  upstream: 'in order',
  'upstream-lost': 'by the upstream',
  idle: 'idle for too long',
  stopped: 'Postern stops',
};

/** One to two minutes: later than a token is renewed, and not at the same moment for all sessions of an account. */
function renewBefore(random: Random): DurationMs {
  const [share = 0] = random.octets(1);
  return milliseconds(60_000 + (60_000 * share) / 255);
}

function tlsOnPlainPort({ protocol }: MailboxListenerSettings): Problem {
  const cause = `the client began TLS at once on a port that expects ${protocol.toUpperCase()} in clear text first`;
  const remedy = 'Set tls: implicit for this listener, or choose STARTTLS or no encryption in the application.';
  return problem('CLIENT_TLS_FAILED', cause, { remedy });
}

/**
 * Fetched messages into a mail server, by LMTP (a local delivery agent, as Dovecot's) or SMTP (a server without sign-in).
 *
 * 4yz and whatever breaks before the final dot: the message is offered again. 5yz to a message or recipient: refused. Where several recipients fare
 * differently, those that have it are remembered ({@link ./recipient-ledger.ts}) and left out at the next offer. A connection that is lost after the
 * dot leaves it open whether the message was taken: it is offered again, and recognised by the id in its first Received field.
 *
 * Nothing goes in clear text off this machine unless `tls: none` says so. Certificates are always verified.
 *
 * Sources: RFC 5321 §4.2.1 (classes of replies), §4.5.3.2; RFC 2033 §4.2; RFC 3207.
 *
 * @packageDocumentation
 */
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { UpstreamTls } from '../../core/account.ts';
import { isLoopback, parseIpAddress } from '../../core/ip-network.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../core/ports/message-sink.ts';
import { type Problem, type ProblemCode, problem } from '../../core/problem.ts';
import { cleanText, describeReply } from '../../core/reply.ts';
import { DialError } from '../../platform/dial-error.ts';
import { isTlsFailure } from '../../platform/dial-problem.ts';
import { dialRemedy } from '../../platform/dial-remedy.ts';
import { ExchangeError, MailExchange } from './mail-exchange.ts';
import { DEADLINES, handOver, type StepDeadlines, TurnedAway, type Verdict } from './mail-transaction.ts';
import { ReadFailure } from './read-content.ts';
import { RecipientLedger } from './recipient-ledger.ts';
import type { NetworkParts } from './sink-parts.ts';

/** Which server, and for whom. */
export interface MailServerSettings {
  readonly host: string;
  readonly port: number;
  /** `none` on loopback and `starttls`, required, elsewhere, unless told. */
  readonly tls?: 'none' | UpstreamTls | undefined;
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
  /** Reverse-path; the null reverse-path where it is absent, so that nothing is returned to anybody. */
  readonly from?: string | undefined;
  readonly recipients: readonly [string, ...string[]];
}

/** What the sink works with. */
export interface MailServerParts extends NetworkParts {
  readonly deadlines?: StepDeadlines;
}

/** Connects with the first message. */
export const openLmtpSink = (settings: MailServerSettings, parts: MailServerParts): MessageSink =>
  new MailServerSink('lmtp', settings, parts);

/** Connects with the first message. */
export const openSmtpSink = (settings: MailServerSettings, parts: MailServerParts): MessageSink =>
  new MailServerSink('smtp', settings, parts);

class MailServerSink implements MessageSink {
  readonly description: string;
  readonly #protocol: 'lmtp' | 'smtp';
  readonly #settings: MailServerSettings;
  readonly #parts: MailServerParts;
  readonly #target: string;
  readonly #tls: 'none' | UpstreamTls;
  readonly #ledger = new RecipientLedger();
  readonly #closing = new AbortController();

  constructor(protocol: 'lmtp' | 'smtp', settings: MailServerSettings, parts: MailServerParts) {
    const { host, port, recipients } = settings;
    this.#protocol = protocol;
    this.#settings = settings;
    this.#parts = parts;
    this.#target = isIP(host) === 6 ? `[${host}]:${port}` : `${host}:${port}`;
    this.#tls = settings.tls ?? (isThisMachine(host) ? 'none' : 'starttls');
    const others = recipients.length === 1 ? '' : ` and ${recipients.length - 1} more`;
    this.description = `${protocol} ${this.#target} for ${recipients[0]}${others}`;
  }

  async deliver(message: FetchedMessage, caller: AbortSignal): Promise<SinkOutcome> {
    const signal = AbortSignal.any([caller, this.#closing.signal]);
    signal.throwIfAborted();
    const pending = this.#ledger.without(message.key, this.#settings.recipients);
    try {
      const verdicts = pending.length === 0 ? new Map<string, Verdict>() : await this.#handOver(message, pending, signal);
      for (const [recipient, { kind }] of verdicts) if (kind === 'accepted') this.#ledger.note(message.key, recipient);
      const outcome = this.#outcomeOf(message, verdicts);
      if (outcome.kind === 'stored') this.#ledger.forget(message.key);
      return outcome;
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof ReadFailure) throw error.reason;
      return { kind: 'later', problem: this.#problemOf(error) };
    }
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error(`${this.description}: closed`));
  }

  async #handOver(message: FetchedMessage, recipients: readonly string[], signal: AbortSignal): Promise<Map<string, Verdict>> {
    const { host, port, ca, from = '' } = this.#settings;
    const { clock, dial, deadlines = DEADLINES } = this.#parts;
    const heloName = ownName(hostname());
    const tls = this.#tls;
    const socket = await dial({
      host,
      port,
      tls: tls === 'implicit' ? 'implicit' : 'none',
      ca,
      deadline: deadlines.connect,
      clock,
      signal,
    });
    const exchange = new MailExchange(socket, this.#target, clock);
    const cut = (): void => exchange.cut();
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    try {
      const request = {
        protocol: this.#protocol,
        host,
        port,
        tls,
        ca,
        heloName,
        reversePath: from,
        recipients,
        message,
        deadlines,
        clock,
        signal,
      };
      return await handOver(exchange, request);
    } finally {
      signal.removeEventListener('abort', cut);
    }
  }

  /** What one answer for each recipient means for the message. What may still come about decides before what cannot. */
  #outcomeOf({ key }: FetchedMessage, verdicts: ReadonlyMap<string, Verdict>): SinkOutcome {
    const of = (kind: Verdict['kind']): [string, Verdict][] => [...verdicts].filter(([, verdict]) => verdict.kind === kind);
    const told = (code: ProblemCode, those: readonly [string, Verdict][]): Problem => problem(code, `${this.#target}: ${describe(those)}`);
    const [unknown, deferred, refused] = [of('unknown'), of('deferred'), of('refused')];
    if (unknown.length > 0) return { kind: 'later', problem: told('FETCH_SINK_AMBIGUOUS', unknown) };
    if (deferred.length > 0) return { kind: 'later', problem: told('FETCH_NOT_TAKEN', deferred) };
    if (refused.length > 0) {
      const isPartly = this.#ledger.without(key, this.#settings.recipients).length < this.#settings.recipients.length;
      return { kind: 'refused', problem: told(isPartly ? 'FETCH_PARTLY_REFUSED' : 'FETCH_REFUSED', refused) };
    }
    const last = [...verdicts.values()].at(-1);
    return { kind: 'stored', detail: last !== undefined && 'reply' in last ? shorten(describeReply(last.reply)) : 'all recipients had it' };
  }

  /** What kept every recipient from getting the message. */
  #problemOf(error: unknown): Problem {
    if (error instanceof ExchangeError) {
      return problem(error.fault === 'nonsense' ? 'FETCH_SINK_NONSENSE' : 'FETCH_SINK_UNREACHABLE', shorten(error.message));
    }
    if (error instanceof TurnedAway) {
      if (error.step === 'starttls') return problem('FETCH_SINK_INSECURE', shorten(error.message));
      return problem(
        error.reply !== undefined && error.reply.code < 500 ? 'FETCH_NOT_TAKEN' : 'FETCH_SINK_TURNED_AWAY',
        shorten(error.message),
      );
    }
    if (!(error instanceof DialError)) throw error;
    if (isTlsFailure(error)) return problem('FETCH_SINK_INSECURE', error.message);
    return problem('FETCH_SINK_UNREACHABLE', error.message, { remedy: dialRemedy(error, { key: 'fetch[].to', starttls: '' }) });
  }
}

/** At most so many recipients are named. */
const MOST_NAMED = 5;

function describe(verdicts: readonly [string, Verdict][]): string {
  const named = verdicts.slice(0, MOST_NAMED).map(([recipient, verdict]) => {
    return verdict.kind === 'unknown'
      ? `${recipient}: ${verdict.cause}`
      : `${recipient}: ${shorten(describeReply(verdict.reply))} (${verdict.step})`;
  });
  const rest = verdicts.length - named.length;
  return rest === 0 ? named.join('; ') : `${named.join('; ')}; and ${rest} more`;
}

const shorten = (text: string): string => cleanText(text).slice(0, 300);

/** A host name is input like any other; what is no domain (RFC 5321 §4.1.2) is not said. */
function ownName(name: string): string {
  return name.length <= 253 && /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i.test(name) ? name : 'localhost';
}

function isThisMachine(host: string): boolean {
  const address = parseIpAddress(host);
  return address === undefined ? host === 'localhost' : isLoopback(address);
}

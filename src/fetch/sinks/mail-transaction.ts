/**
 * One message handed to a mail server: from the greeting to what became of it for each recipient.
 *
 * SMTP answers the content once, for all recipients that it took; LMTP answers once for each of them, in their order, and those answers may differ.
 *
 * The content goes out as it comes, no faster than the server takes it, in wire form (CRLF, dots stuffed). BODY=8BITMIME and SIZE are said where they are
 * offered. Deviation from RFC 6152 §3: content goes as it is also to a server without 8BITMIME, since rewriting it would change what was signed; servers
 * without that extension that are not clean for 8 bits have not been seen for decades.
 *
 * Sources: RFC 5321 §3.3, §4.1.1, §4.5.3.2; RFC 2033 §4; RFC 3207 §4; RFC 1870 §6; RFC 6531 §3.4.
 *
 * @packageDocumentation
 */
import type { UpstreamTls } from '../../core/account.ts';
import { type DurationMs, minutes, seconds } from '../../core/clock.ts';
import type { Clock } from '../../core/ports/clock.ts';
import type { FetchedMessage } from '../../core/ports/message-sink.ts';
import { describeReply, isAccepted, type Reply, replyClass } from '../../core/reply.ts';
import { toWireForm } from '../../message/wire-form.ts';
import { upgradeToTls } from '../../platform/dial.ts';
import { ExchangeError, type ExchangeStep, type MailExchange } from './mail-exchange.ts';
import { readContent } from './read-content.ts';

/** How long each step may take; those of RFC 5321 §4.5.3.2 or shorter, since a message that has to wait stays in its mailbox. */
export interface StepDeadlines {
  /** DNS, TCP, and TLS where it comes first. */
  readonly connect: DurationMs;
  readonly handshake: DurationMs;
  /** Greeting and commands. */
  readonly command: DurationMs;
  /** For a server that takes no more of the content. */
  readonly block: DurationMs;
  /** Each reply to the content. */
  readonly finalReply: DurationMs;
}

export const DEADLINES: StepDeadlines = {
  connect: seconds(30),
  handshake: seconds(30),
  command: minutes(1),
  block: minutes(3),
  finalReply: minutes(10),
};

/** What is to be said to the server. */
export interface TransactionRequest {
  readonly protocol: 'lmtp' | 'smtp';
  readonly host: string;
  readonly port: number;
  readonly tls: 'none' | UpstreamTls;
  readonly ca?: string | undefined;
  /** Argument of EHLO or LHLO. */
  readonly heloName: string;
  /** `''`: the null reverse-path. */
  readonly reversePath: string;
  /** Those who do not have the message yet. */
  readonly recipients: readonly string[];
  readonly message: FetchedMessage;
  readonly deadlines: StepDeadlines;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** What has become of the message for a recipient. `unknown`: the server got all of it, and did not say. */
export type Verdict =
  | { readonly kind: 'accepted' | 'deferred' | 'refused'; readonly step: ExchangeStep; readonly reply: Reply }
  | { readonly kind: 'unknown'; readonly cause: string };

/** The server wants nothing of us, whichever message it is: it is not the message's fault. */
export class TurnedAway extends Error {
  override readonly name = 'TurnedAway';
  readonly step: ExchangeStep;
  readonly reply: Reply | undefined;
  constructor(target: string, step: ExchangeStep, reply?: Reply) {
    super(reply === undefined ? `${target} does not offer STARTTLS; nothing was sent` : `${target}: ${describeReply(reply)}, at ${step}`);
    this.step = step;
    this.reply = reply;
  }
}

/** RFC 4954 §6: sign in first; RFC 3207 §4: TLS first. About us, not about the message. */
const SIGN_IN_FIRST = 530;

/**
 * Hand the message over.
 *
 * @returns A verdict for each of `recipients`. The exchange is over then.
 * @throws TurnedAway, ExchangeError or DialError where no recipient can have it; ReadFailure where the mailbox could not be read on, without a dot sent.
 */
export async function handOver(exchange: MailExchange, request: TransactionRequest): Promise<Map<string, Verdict>> {
  try {
    const offered = await prepare(exchange, request);
    const verdicts = await transact(exchange, request, offered);
    exchange.quit();
    return verdicts;
  } finally {
    exchange.cut(); // Harmless after QUIT.
  }
}

/** Greeting, EHLO or LHLO, and TLS. @returns Keywords of what the server offers. */
async function prepare(exchange: MailExchange, request: TransactionRequest): Promise<ReadonlySet<string>> {
  const { deadlines, tls, host, port, ca, clock, signal } = request;
  const greeting = await exchange.reply('greeting', deadlines.command);
  if (greeting.code !== 220) throw new TurnedAway(exchange.target, 'greeting', greeting);
  const offered = await greet(exchange, request);
  if (tls !== 'starttls') return offered;
  if (!offered.has('STARTTLS')) throw new TurnedAway(exchange.target, 'starttls');
  const answer = await exchange.ask('starttls', 'STARTTLS', deadlines.command);
  if (answer.code !== 220) throw new TurnedAway(exchange.target, 'starttls', answer);
  exchange.attach(await upgradeToTls(exchange.detach(), { servername: host, port, ca, clock, deadline: deadlines.handshake, signal }));
  // RFC 3207 §4.2: what was offered in clear counts for nothing.
  return greet(exchange, request);
}

async function greet(exchange: MailExchange, { protocol, heloName, deadlines }: TransactionRequest): Promise<ReadonlySet<string>> {
  const reply = await exchange.ask('hello', `${protocol === 'lmtp' ? 'LHLO' : 'EHLO'} ${heloName}`, deadlines.command);
  if (!isAccepted(reply)) throw new TurnedAway(exchange.target, 'hello', reply);
  return new Set(reply.text.slice(1).map((line) => (line.split(' ')[0] ?? '').toUpperCase()));
}

async function transact(exchange: MailExchange, request: TransactionRequest, offered: ReadonlySet<string>): Promise<Map<string, Verdict>> {
  const { recipients, deadlines, protocol } = request;
  const mail = await exchange.ask('mail', mailCommand(request, offered), deadlines.command);
  if (mail.code === SIGN_IN_FIRST) throw new TurnedAway(exchange.target, 'mail', mail);
  if (!isAccepted(mail)) return new Map(recipients.map((recipient) => [recipient, verdictOf('mail', mail)]));

  const verdicts = new Map<string, Verdict>();
  for (const recipient of recipients) {
    const reply = await exchange.ask('rcpt', `RCPT TO:<${recipient}>`, deadlines.command);
    // RFC 5321 §3.8: the server closes now, so those that it took do not get the message either.
    if (reply.code === 421) throw new TurnedAway(exchange.target, 'rcpt', reply);
    verdicts.set(recipient, verdictOf('rcpt', reply));
  }
  const taken = recipients.filter((recipient) => verdicts.get(recipient)?.kind === 'accepted');
  if (taken.length === 0) return verdicts;

  const data = await exchange.ask('data', 'DATA', deadlines.command);
  if (data.code !== 354) {
    // Anything but a refusal is no invitation either, and nobody has the message.
    const kind = replyClass(data) === 5 ? 'refused' : 'deferred';
    for (const recipient of taken) verdicts.set(recipient, { kind, step: 'data', reply: data });
    return verdicts;
  }
  const isSent = await sendContent(exchange, request);
  if (!isSent) {
    // The server does not wait for the dot, so it has not taken the message, whatever it says.
    const early = await exchange.reply('content', deadlines.command);
    if (replyClass(early) < 4)
      throw new ExchangeError('nonsense', `${exchange.target}: ${describeReply(early)} before the message was complete`);
    for (const recipient of taken) verdicts.set(recipient, verdictOf('content', early));
    return verdicts;
  }
  return new Map([...verdicts, ...(await finalVerdicts(exchange, taken, protocol, deadlines.finalReply))]);
}

/** RFC 2033 §4.2: LMTP answers for each recipient that RCPT took, in their order; SMTP once. */
async function finalVerdicts(
  exchange: MailExchange,
  taken: readonly string[],
  protocol: TransactionRequest['protocol'],
  deadline: DurationMs,
): Promise<Map<string, Verdict>> {
  const verdicts = new Map<string, Verdict>();
  try {
    if (protocol === 'smtp') {
      const verdict = verdictOf('final-reply', await exchange.reply('final-reply', deadline));
      for (const recipient of taken) verdicts.set(recipient, verdict);
    } else {
      for (const recipient of taken) verdicts.set(recipient, verdictOf('final-reply', await exchange.reply('final-reply', deadline)));
    }
    return verdicts;
  } catch (error) {
    if (!(error instanceof ExchangeError)) throw error;
    return forTheRest(verdicts, taken, { kind: 'unknown', cause: error.message });
  }
}

/** @returns False where the server put an end to it. @throws ReadFailure, ExchangeError */
async function sendContent(exchange: MailExchange, { message, deadlines, signal }: TransactionRequest): Promise<boolean> {
  const reading = new AbortController();
  const pieces = toWireForm(readContent(message, AbortSignal.any([signal, reading.signal])));
  try {
    for (;;) {
      const next = await exchange.undisturbed(pieces.next());
      if (next === undefined) return false;
      if (next.done === true) break;
      if (!(await exchange.write(next.value, deadlines.block))) return false;
    }
    signal.throwIfAborted(); // A source may end early where it is called off.
    if (exchange.isDisturbed) return false;
    exchange.sendDot();
    return true;
  } finally {
    reading.abort(new Error('nobody wants the rest'));
    // Not waited for: it may be waiting for a slow mailbox. What goes wrong while it tidies up changes nothing here.
    pieces.return().catch(() => undefined);
  }
}

function mailCommand({ reversePath, recipients, message }: TransactionRequest, offered: ReadonlySet<string>): string {
  const parameters = [
    ...(offered.has('SIZE') ? [`SIZE=${message.size}`] : []),
    ...(offered.has('8BITMIME') ? ['BODY=8BITMIME'] : []),
    ...(offered.has('SMTPUTF8') && [reversePath, ...recipients].some((path) => /[^\u0000-\u007f]/.test(path)) ? ['SMTPUTF8'] : []),
  ];
  return [`MAIL FROM:<${reversePath}>`, ...parameters].join(' ');
}

/** A reply that is neither yes nor no (3yz) is no yes: the message is offered again. */
function verdictOf(step: ExchangeStep, reply: Reply): Verdict {
  const kind = isAccepted(reply) ? 'accepted' : replyClass(reply) === 5 ? 'refused' : 'deferred';
  return { kind, step, reply };
}

/** What is true for each recipient that has no verdict yet. */
function forTheRest(verdicts: ReadonlyMap<string, Verdict>, recipients: readonly string[], verdict: Verdict): Map<string, Verdict> {
  return new Map(recipients.map((recipient) => [recipient, verdicts.get(recipient) ?? verdict]));
}

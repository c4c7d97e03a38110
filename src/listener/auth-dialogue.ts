/**
 * AUTH on one connection: the SASL exchange, the password check, and what wrong passwords cost (RFC 4954).
 *
 * A wrong password and an unknown user name get the same reply after the same time: each failure on a connection is answered at a fixed
 * moment after the check began, one second for the first, doubled up to eight for those after it, whatever the check itself took.
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import { between, type DurationMs, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import type { IpAddress } from '../core/ip-network.ts';
import type { Clock } from '../core/ports/clock.ts';
import { problem } from '../core/problem.ts';
import { type Reply, reply } from '../core/reply.ts';
import type { ClientDirectory } from '../policy/client-directory.ts';
import { findServerMechanism, type SaslStep, startSaslExchange } from '../sasl/server.ts';
import type { PasswordCheck } from '../platform/password-check.ts';
import { quoted, type SessionJournal } from '../platform/session-journal.ts';

/** What an exchange needs. */
export interface AuthDependencies {
  readonly clients: ClientDirectory;
  readonly passwords: PasswordCheck;
  readonly clock: Clock;
}

/** What to do after a line of the client. */
export type AuthOutcome =
  /** Say `reply` and give the next line to {@link AuthDialogue.answer}. */
  | { readonly kind: 'continue'; readonly reply: Reply }
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'authenticated'; readonly reply: Reply; readonly client: Client };

/** Beyond this many failures a connection is not listened to any more. */
const MOST_FAILURES = 5;
const FIRST_PAUSE = seconds(1);
/** Many applications give up after 20 seconds. */
const LONGEST_PAUSE = seconds(8);

export class AuthDialogue {
  readonly #deps: AuthDependencies;
  readonly #journal: SessionJournal;
  readonly #peer: IpAddress;
  #failures = 0;
  #answer: ((line: string) => SaslStep) | undefined;

  constructor(deps: AuthDependencies, journal: SessionJournal, peer: IpAddress) {
    this.#deps = deps;
    this.#journal = journal;
    this.#peer = peer;
  }

  /** True while the client's next line belongs to the exchange and not to SMTP. */
  get isWaiting(): boolean {
    return this.#answer !== undefined;
  }

  /** AUTH with the words after it. */
  async start(words: readonly string[]): Promise<AuthOutcome> {
    const [name = '', initialResponse] = words;
    if (name === '' || words.length > 2) return refused(501, '5.5.4', 'Syntax: AUTH mechanism [initial-response]');
    const mechanism = findServerMechanism(name);
    if (mechanism === undefined) return refused(504, '5.5.4', 'Mechanism not offered; use PLAIN or LOGIN');
    if (this.#failures >= MOST_FAILURES) return refused(421, '4.7.0', 'Too many failed logins on this connection');
    return this.#proceed(startSaslExchange(mechanism, initialResponse));
  }

  /** The client's next line of the exchange. */
  async answer(line: string): Promise<AuthOutcome> {
    const answer = this.#answer;
    this.#answer = undefined;
    if (answer === undefined) throw new Error('no exchange is waiting for a line');
    return this.#proceed(answer(line));
  }

  /** The connection starts over (STARTTLS): an exchange under way is void; failures still count. */
  reset(): void {
    this.#answer = undefined;
  }

  async #proceed(step: SaslStep): Promise<AuthOutcome> {
    if (step.kind === 'cancelled') return refused(501, '5.7.0', 'Authentication cancelled');
    if (step.kind === 'malformed') return refused(501, '5.5.2', 'That is not a valid response of this mechanism');
    if (step.kind === 'unacceptable') return this.#fail(this.#deps.clock.monotonic(), 'CLIENT_UNKNOWN', `login refused: ${step.why}`);
    if (step.kind === 'credentials') return this.#check(step.username, step.password);
    this.#answer = step.answer;
    // RFC 4954 §4: `334 ` has a blank even where the challenge is empty.
    return { kind: 'continue', reply: { code: 334, text: [step.challenge] } };
  }

  async #check(username: string, password: string): Promise<AuthOutcome> {
    const { clients, passwords, clock } = this.#deps;
    const startedAt = clock.monotonic();
    const penalty = clients.logins.penalty(this.#peer, username, startedAt);
    if (penalty > 0) return this.#throttle(username, penalty);
    const client = clients.findByUsername(username);
    const verdict = await passwords.check(client?.login?.secret, password, clients.hasHashes);
    if (verdict === 'busy') return refused(454, '4.7.0', 'Too many logins at once; try again');
    if (verdict === 'right' && client !== undefined) {
      clients.logins.noteSuccess(this.#peer, username);
      return { kind: 'authenticated', reply: reply(235, '2.7.0', 'Authentication succeeded'), client };
    }
    clients.logins.noteFailure(this.#peer, username, clock.monotonic());
    if (client === undefined) return this.#fail(startedAt, 'CLIENT_UNKNOWN', `no client has the user name ${quoted(username)}`);
    return this.#fail(startedAt, 'CLIENT_PASSWORD_WRONG', `wrong password for client ${client.name}`, client);
  }

  /** RFC 4954 §6: 535, the same for every reason. */
  async #fail(
    startedAt: MonotonicMs,
    code: 'CLIENT_UNKNOWN' | 'CLIENT_PASSWORD_WRONG',
    cause: string,
    client?: Client,
  ): Promise<AuthOutcome> {
    this.#failures += 1;
    const answer = reply(535, '5.7.8', 'Authentication credentials invalid');
    this.#journal.refused('login-refused', problem(code, cause), answer, {
      attempt: this.#failures,
      ...(client === undefined ? {} : { client: client.name, account: client.account }),
    });
    const { clock } = this.#deps;
    const due = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    await pause(clock, milliseconds(Math.max(0, due - between(startedAt, clock.monotonic()))));
    return { kind: 'refused', reply: answer };
  }

  #throttle(username: string, penalty: DurationMs): AuthOutcome {
    this.#failures += 1;
    const wait = Math.ceil(penalty / 1000);
    const answer = reply(454, '4.7.0', `Too many failed logins; try again in ${wait} seconds`);
    const cause = `too many failed logins as ${quoted(username)} from this peer; the next try counts in ${wait} s`;
    this.#journal.refused('login-throttled', problem('CLIENT_THROTTLED', cause), answer);
    return { kind: 'refused', reply: answer };
  }
}

function refused(code: number, enhancedCode: string, text: string): AuthOutcome {
  return { kind: 'refused', reply: reply(code, enhancedCode, text) };
}

function pause(clock: Clock, duration: DurationMs): Promise<void> {
  return new Promise((resolve) => void clock.startTimer(duration, resolve, { isBackground: true }));
}

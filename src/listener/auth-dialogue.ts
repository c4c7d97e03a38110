/**
 * AUTH on one connection: the SASL exchange, and the replies to what the login gate says (RFC 4954).
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import type { IpAddress } from '../core/ip-network.ts';
import { type Reply, reply } from '../core/reply.ts';
import type { SessionJournal } from '../platform/session-journal.ts';
import { type GateDependencies, inSeconds, LoginGate, type LoginVerdict } from '../policy/login-gate.ts';
import { findServerMechanism, type SaslStep, startSaslExchange } from '../sasl/server.ts';

/** What an exchange needs. */
export type AuthDependencies = GateDependencies;

/** What to do after a line of the client. */
export type AuthOutcome =
  /** Say `reply` and give the next line to {@link AuthDialogue.answer}. */
  | { readonly kind: 'continue'; readonly reply: Reply }
  | { readonly kind: 'refused'; readonly reply: Reply }
  | { readonly kind: 'authenticated'; readonly reply: Reply; readonly client: Client };

/** RFC 4954 §6: the same for every reason. */
const INVALID = reply(535, '5.7.8', 'Authentication credentials invalid');

export class AuthDialogue {
  readonly #gate: LoginGate;
  #answer: ((line: string) => SaslStep) | undefined;

  constructor(deps: AuthDependencies, journal: SessionJournal, peer: IpAddress) {
    this.#gate = new LoginGate(deps, peer, (event, what, fields, wait) =>
      journal.refused(event, what, event === 'login-refused' ? INVALID : throttled(inSeconds(wait)), fields),
    );
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
    if (this.#gate.isShut) return refused(421, '4.7.0', 'Too many failed logins on this connection');
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
    if (step.kind === 'unacceptable') return conclude(await this.#gate.refuse(step.why));
    if (step.kind === 'credentials') return conclude(await this.#gate.check(step.username, step.password));
    this.#answer = step.answer;
    // RFC 4954 §4: `334 ` has a blank even where the challenge is empty.
    return { kind: 'continue', reply: { code: 334, text: [step.challenge] } };
  }
}

function conclude(verdict: LoginVerdict): AuthOutcome {
  switch (verdict.kind) {
    case 'admitted':
      return { kind: 'authenticated', reply: reply(235, '2.7.0', 'Authentication succeeded'), client: verdict.client };
    case 'busy':
      return refused(454, '4.7.0', 'Too many logins at once; try again');
    case 'throttled':
      return { kind: 'refused', reply: throttled(inSeconds(verdict.wait)) };
    default:
      return { kind: 'refused', reply: INVALID };
  }
}

const throttled = (wait: number): Reply => reply(454, '4.7.0', `Too many failed logins; try again in ${wait} seconds`);

function refused(code: number, enhancedCode: string, text: string): AuthOutcome {
  return { kind: 'refused', reply: reply(code, enhancedCode, text) };
}

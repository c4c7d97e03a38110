/**
 * User name and password of one connection: whether they are right, and what wrong ones cost. All listeners have the same gate, whatever they speak.
 *
 * A wrong password and an unknown user name get the same answer after the same time: each failure on a connection is answered at a fixed
 * moment after the check began, one second for the first, doubled up to eight for those after it, whatever the check itself took.
 *
 * @packageDocumentation
 */
import type { Client, ClientSecret } from '../core/client.ts';
import { between, type DurationMs, milliseconds, type MonotonicMs, seconds } from '../core/clock.ts';
import { type IpAddress, isLoopback } from '../core/ip-network.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import { type Problem, problem } from '../core/problem.ts';
import { quoted } from '../core/reply.ts';
import type { ClientDirectory } from './client-directory.ts';

/** Implementation: platform/password-check.ts. */
export interface PasswordVerifier {
  /** `busy`: too many derivations wait already. @param secret - Undefined for a user name that does not exist. */
  check(secret: ClientSecret | undefined, password: string, hasHashes: boolean): Promise<'right' | 'wrong' | 'busy'>;
}

/** What a gate needs; the directory counts failed logins for all listeners together. */
export interface GateDependencies {
  readonly clients: ClientDirectory;
  readonly passwords: PasswordVerifier;
  readonly clock: Clock;
}

/** What came of a login. Of `refused` the client must not learn why. */
export type LoginVerdict =
  | { readonly kind: 'admitted'; readonly client: Client }
  | { readonly kind: 'refused' }
  | { readonly kind: 'throttled'; readonly wait: DurationMs }
  | { readonly kind: 'busy' };

/** Hears of a refusal before its pause, for the log. */
export type NoteRefusal = (event: 'login-refused' | 'login-throttled', what: Problem, fields: Partial<LogFields>, wait: DurationMs) => void;

/** Beyond this many failures a connection is not listened to any more. */
const MOST_FAILURES = 5;
const FIRST_PAUSE = seconds(1);
/** Many applications give up after 20 seconds. */
const LONGEST_PAUSE = seconds(8);

export class LoginGate {
  readonly #deps: GateDependencies;
  readonly #peer: IpAddress;
  readonly #note: NoteRefusal;
  #failures = 0;

  constructor(deps: GateDependencies, peer: IpAddress, note: NoteRefusal) {
    this.#deps = deps;
    this.#peer = peer;
    this.#note = note;
  }

  /** Too many logins have failed on this connection. */
  get isShut(): boolean {
    return this.#failures >= MOST_FAILURES;
  }

  /** In clear text only where nobody but the two ends can listen, or where the operator has named the network. */
  mayUseClearText(): boolean {
    return isLoopback(this.#peer) || this.#deps.clients.findByNetwork(this.#peer) !== undefined;
  }

  async check(username: string, password: string): Promise<LoginVerdict> {
    const { clients, passwords, clock } = this.#deps;
    const startedAt = clock.monotonic();
    const penalty = clients.logins.penalty(this.#peer, username, startedAt);
    if (penalty > 0) return this.#throttle(username, penalty);
    const client = clients.findByUsername(username);
    const verdict = await passwords.check(client?.login?.secret, password, clients.hasHashes);
    if (verdict === 'busy') return { kind: 'busy' };
    if (verdict === 'right' && client !== undefined) {
      clients.logins.noteSuccess(this.#peer, username);
      return { kind: 'admitted', client };
    }
    clients.logins.noteFailure(this.#peer, username, clock.monotonic());
    if (client === undefined) return this.#fail(startedAt, problem('CLIENT_UNKNOWN', `no client has the user name ${quoted(username)}`));
    return this.#fail(startedAt, problem('CLIENT_PASSWORD_WRONG', `wrong password for client ${client.name}`), client);
  }

  /** A login that cannot be right, whatever the clients: it costs what a wrong password costs. */
  refuse(why: string): Promise<LoginVerdict> {
    return this.#fail(this.#deps.clock.monotonic(), problem('CLIENT_UNKNOWN', `login refused: ${why}`));
  }

  async #fail(startedAt: MonotonicMs, what: Problem, client?: Client): Promise<LoginVerdict> {
    this.#failures += 1;
    const known = client === undefined ? {} : { client: client.name, account: client.account };
    this.#note('login-refused', what, { attempt: this.#failures, ...known }, seconds(0));
    const { clock } = this.#deps;
    const due = Math.min(FIRST_PAUSE * 2 ** (this.#failures - 1), LONGEST_PAUSE);
    await pause(clock, milliseconds(Math.max(0, due - between(startedAt, clock.monotonic()))));
    return { kind: 'refused' };
  }

  #throttle(username: string, wait: DurationMs): LoginVerdict {
    this.#failures += 1;
    const cause = `too many failed logins as ${quoted(username)} from this peer; the next try counts in ${inSeconds(wait)} s`;
    this.#note('login-throttled', problem('CLIENT_THROTTLED', cause), {}, wait);
    return { kind: 'throttled', wait };
  }
}

/** Rounded up: who waits so long is let in. */
export const inSeconds = (wait: DurationMs): number => Math.ceil(wait / 1000);

function pause(clock: Clock, duration: DurationMs): Promise<void> {
  return new Promise((resolve) => void clock.startTimer(duration, resolve, { isBackground: true }));
}

/**
 * One account under examination: what the checks are given, and what earlier checks have learnt for later ones.
 *
 * Everything concrete (the upstream client, the token manager, files) comes in through the small interfaces here; app/doctor.ts fills them.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { ProbeReport } from '../core/ports/mail-probe.ts';
import type { AccessToken, TokenSource } from '../core/ports/token-source.ts';
import type { StoredGrant } from '../core/ports/token-store.ts';
import type { Problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import type { TokenClaims } from './token-claims.ts';

/** The protocols that a mailbox can be used with. */
export type MailProtocol = 'smtp' | 'imap' | 'pop3';

/** A secret of the account, without its value. */
export interface KnownSecret {
  /** `client secret`, `certificate` and the like. */
  readonly what: string;
  /** When it ends; absent where nobody can tell. */
  readonly endsAt?: EpochMs;
  /** It cannot be used right now. */
  readonly trouble?: Problem;
}

/** The tokens of the account, as a running Postern would get them. */
export interface TokenBench extends TokenSource {
  /** When the token in hand was obtained; before this run if it came from the store. */
  obtainedAt(): EpochMs | undefined;
  /** What is stored. @throws ProblemError `TOKEN_STORE_FAILED` */
  stored(): Promise<StoredGrant | undefined>;
}

/** What is handed in. */
export interface Surroundings {
  readonly account: Account;
  /** What the configuration's own checks have to say about the account, apart from its secrets. */
  readonly configNotices: readonly string[];
  /** The same about its secrets and the files they are in. */
  readonly secretNotices: readonly string[];
  readonly secrets: () => Promise<readonly KnownSecret[]>;
  /** Sender addresses that clients of the account may use, the mailbox among them; `*@domain` for a whole domain. */
  readonly senders: readonly string[];
  /** Protocols that Postern serves for the account: its token must include them. */
  readonly needed: ReadonlySet<MailProtocol>;
  /** Of the state; what keeps it from being used, or lets others at it. */
  readonly inspectState: () => Promise<{ readonly place: string; readonly faults: readonly string[] }>;
  /** @throws ProblemError where key or store cannot be used. */
  readonly openTokens: () => Promise<TokenBench>;
  /** @param tokens - Undefined where there is no token: then the probe stops before AUTH. */
  readonly probeSmtp: (tokens: TokenSource | undefined) => Promise<ProbeReport>;
  readonly dial: Dial;
  readonly clock: Clock;
}

/** The account, and notes of the checks made so far. */
export class Examination {
  readonly given: Surroundings;
  /** By check `state`. */
  tokens: TokenBench | undefined;
  /** By check `token-endpoint`: its clock minus ours, in milliseconds; undefined where it did not say. */
  clockLead: number | undefined;
  /** By check `token`. */
  token: AccessToken | undefined;
  /** By check `token`; undefined where the token does not decode. */
  claims: TokenClaims | undefined;
  /** A mail server has refused the token in hand and another one was fetched, or it was fetched just now: no more are. */
  isTokenFresh = false;
  #smtp: Promise<ProbeReport> | undefined;

  constructor(given: Surroundings) {
    this.given = given;
  }

  get account(): Account {
    return this.given.account;
  }

  /** One trial serves all checks of the submission server. */
  smtp(): Promise<ProbeReport> {
    const isTokenless = this.account.auth.grant === 'basic';
    this.#smtp ??= this.given.probeSmtp(this.token === undefined && !isTokenless ? undefined : this.tokens);
    return this.#smtp;
  }
}

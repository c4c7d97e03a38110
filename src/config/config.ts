/**
 * The configuration once it has been read, checked and resolved: plain values that hold no key of the file that nobody uses.
 *
 * Pure. Made by {@link ./load.ts}.
 *
 * @packageDocumentation
 */
import type { Account, DeliveryMode } from '../core/account.ts';
import type { AdminSettings } from '../core/admin.ts';
import type { AlertEvent } from '../core/alert.ts';
import type { Client } from '../core/client.ts';
import type { DurationMs } from '../core/clock.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { MailboxListenerSettings, SmtpListenerSettings } from '../core/listener.ts';
import type { Octets } from '../core/octets.ts';

/** Where things survive a restart. Both are absolute paths. */
export interface StateSettings {
  readonly dir: string;
  /** Created, 0600, at the first start if absent. May hold several keys, newest first. */
  readonly keyFile: string;
}

/** What happens to a message once it is accepted. */
export interface DeliverySettings {
  /** For accounts that do not say. */
  readonly mode: DeliveryMode;
  /** Mode `auto`: how long an application waits for the upstream's answer to its message. */
  readonly budget: DurationMs;
  readonly giveUpAfter: DurationMs;
  readonly warnAfter: DurationMs;
  readonly dsn: 'sender' | 'operator' | 'off';
  readonly queueLimit: Octets;
}

/** A webhook that is told when something needs a person. */
export interface AlertSettings {
  /** A secret as a whole: its path often is a token. */
  readonly webhook: string;
  readonly events: readonly AlertEvent[];
  /** Signs what is sent. */
  readonly secret?: string;
}

/** How much is logged and in what form. */
export interface LogOptions {
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  readonly format: 'json' | 'pretty';
}

/** Everything the program needs to know to start. */
export interface Config {
  /** Absolute path of the file, or `environment`. */
  readonly source: string;
  readonly listeners: {
    readonly smtp: readonly SmtpListenerSettings[];
    readonly imap: readonly MailboxListenerSettings[];
    readonly pop3: readonly MailboxListenerSettings[];
  };
  /** Absent: no admin port. */
  readonly admin?: AdminSettings;
  /** Subjects are kept in memory for whoever looks at the admin port. */
  readonly keepsSubjects: boolean;
  readonly state: StateSettings;
  /** Empty: `postern serve` starts the sandbox, and clients without an account use the account named {@link SANDBOX_ACCOUNT}. */
  readonly accounts: readonly Account[];
  readonly clients: readonly Client[];
  /** Names that an account may give as its provider. */
  readonly providers: readonly string[];
  /** Names are unique. */
  readonly fetch: readonly FetchRule[];
  readonly delivery: DeliverySettings;
  readonly alerts: readonly AlertSettings[];
  readonly log: LogOptions;
  /** Every secret value in here, for the log scrubber. */
  readonly secrets: readonly string[];
  /** Absolute paths of every file that was read, the configuration file first. */
  readonly files: readonly string[];
}

/** The account of clients that name none, where no account is configured. */
export const SANDBOX_ACCOUNT = 'sandbox';

/** Something worth saying that does not keep Postern from starting. */
export interface ConfigNotice {
  /** The key, as `accounts[0].auth.tenant`, or the name of an environment variable. */
  readonly path: string;
  /** Counted from 1; absent where the finding is not about a place in the file. */
  readonly line?: number;
  readonly column?: number;
  readonly message: string;
  /** For notices that something outside the file may settle: the stored grant of the account, the client that comes with the sandbox. */
  readonly topic?: 'no-refresh-token' | 'no-reader';
}

/** Something that keeps Postern from starting. Neither text holds a secret. */
export interface ConfigProblem extends ConfigNotice {
  /** The value that was probably meant. */
  readonly suggestion?: string;
}

/** Either a configuration, or all its problems at once. */
export type LoadResult = { readonly ok: true; readonly config: Config; readonly notices: readonly ConfigNotice[] } | UnusableConfig;

/** What could not be used, and why. */
export interface UnusableConfig {
  readonly ok: false;
  /** The path of the file, or `environment`. */
  readonly source: string;
  readonly problems: readonly ConfigProblem[];
  /** Absolute paths of every file that was looked for: a change in one of them may mend it. */
  readonly files: readonly string[];
}

/** One line for a person: `12:5 accounts[0].mailbx: unknown key; did you mean mailbox?` */
export function describeFinding({ path, line, column, message, suggestion }: ConfigProblem): string {
  const place = line === undefined ? '' : `${line}:${column ?? 1} `;
  const subject = path === '' ? '' : `${path}: `;
  return `${place}${subject}${message}${suggestion === undefined ? '' : `; did you mean ${suggestion}?`}`;
}

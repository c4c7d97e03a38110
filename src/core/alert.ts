/**
 * What an operator is told without having asked: that an account needs a person, or needs one no longer.
 *
 * Pure. Which problems are worth an alert is decided here, once, by their code; when one is sent is decided by observability/alert-ledger.ts.
 *
 * @packageDocumentation
 */
import type { AccountName } from './account.ts';
import type { EpochMs } from './clock.ts';
import type { Problem, ProblemCode } from './problem.ts';

/**
 * - `reauth_required`: somebody has to sign in as the mailbox.
 * - `secret_expiring`: a client secret, certificate or refresh token ends within 30 days; told at 30, 14, 7 and 1 days.
 * - `dead_letter`: a message could be neither delivered nor returned, or could not be fetched and was set aside.
 * - `account_blocked`: the provider or the organisation does not let the account send: a block, a policy, SMTP AUTH switched off.
 * - `account_misconfigured`: a setting here or at the provider is wrong, and no mail of the account goes out until it is corrected.
 * - `recovered`: what one of the others has told is over.
 */
export const ALERT_EVENTS = [
  'reauth_required',
  'secret_expiring',
  'dead_letter',
  'account_blocked',
  'account_misconfigured',
  'recovered',
] as const;

export type AlertEvent = (typeof ALERT_EVENTS)[number];

/** The events that tell of something bad. */
export type TroubleEvent = Exclude<AlertEvent, 'recovered'>;

/** What of an account is in trouble. Each topic is in one condition at a time, and recovers by itself. */
export const ALERT_TOPICS = ['tokens', 'upstream', 'dead-letters', 'fetch', 'client-secret', 'certificate', 'refresh-token'] as const;

export type AlertTopic = (typeof ALERT_TOPICS)[number];

/** Trouble that goes on until it is cleared. */
export interface Condition {
  readonly account: AccountName;
  readonly topic: AlertTopic;
  readonly event: TroubleEvent;
  readonly problem: Problem;
  /** With event and code, tells one condition of a topic from the next: `14` for the days a secret has left. */
  readonly mark?: string;
}

interface AlertBase {
  readonly account: AccountName;
  readonly topic: AlertTopic;
  readonly at: EpochMs;
}

/** Something needs a person. */
export interface TroubleAlert extends AlertBase {
  readonly event: TroubleEvent;
  readonly problem: Problem;
  /** It was told a day or more ago, and still is so. */
  readonly isReminder: boolean;
}

/** It is over. */
export interface RecoveryAlert extends AlertBase {
  readonly event: 'recovered';
  readonly was: { readonly event: TroubleEvent; readonly code: ProblemCode; readonly since: EpochMs };
}

export type Alert = TroubleAlert | RecoveryAlert;

/** Problems whose event is not {@link troubleEvent | the usual one}. */
const EVENTS: Readonly<Partial<Record<ProblemCode, TroubleEvent>>> = {
  TOKEN_REAUTH_REQUIRED: 'reauth_required',
  TOKEN_MISSING: 'reauth_required',
  TOKEN_POLICY: 'account_blocked',
  UPSTREAM_BLOCKED: 'account_blocked',
  UPSTREAM_SMTP_AUTH_DISABLED: 'account_blocked',
};

/**
 * The event for a problem that an account has. Undefined where waiting is enough, and where it is about one message.
 *
 * The verdict of the reply table is in `heals`: `after-repair` means the account or the tenant, `never` the message.
 */
export function troubleEvent({ code, heals }: Problem): TroubleEvent | undefined {
  if (heals !== 'after-repair') return undefined;
  return EVENTS[code] ?? 'account_misconfigured';
}

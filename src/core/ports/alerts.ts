/**
 * Telling an operator that an account needs a person, once for each change and not for each message.
 *
 * Whoever notices something says so as often as it likes; what was told before is remembered, over restarts too.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { AlertTopic, Condition } from '../alert.ts';
import type { EpochMs } from '../clock.ts';
import type { Problem } from '../problem.ts';

/** Implementations: observability/alert-desk.ts; test/support/memory-alerts.ts. */
export interface Alerts {
  /** The condition holds now. Told at once where it is new, and again after a day of it. Costs next to nothing otherwise. Never throws. */
  raise(condition: Condition): void;

  /**
   * The topic of the account is in order. Told as `recovered` where something else was told before. Costs next to nothing otherwise. Never throws.
   *
   * @param asOf - When what proves it took place, if that was not just now: proof from before the trouble proves nothing.
   */
  clear(account: AccountName, topic: AlertTopic, asOf?: EpochMs): void;
}

/** Hears from a delivery how its accounts fare. Must not throw. */
export interface DeliveryWatch {
  /** The upstream has taken a message. */
  relayed(account: AccountName): void;

  /** A message, a recipient or a session was refused, or failed. */
  failed(account: AccountName, problem: Problem): void;
}

/**
 * Keeps what it is told, for assertions.
 *
 * @packageDocumentation
 */
import type { AlertTopic, Condition } from '../../src/core/alert.ts';
import type { EpochMs } from '../../src/core/clock.ts';
import type { Alerts } from '../../src/core/ports/alerts.ts';

export class RecordedAlerts implements Alerts {
  readonly raised: Condition[] = [];
  readonly cleared: { readonly account: string; readonly topic: AlertTopic; readonly asOf?: EpochMs }[] = [];

  raise(condition: Condition): void {
    this.raised.push(condition);
  }

  clear(account: string, topic: AlertTopic, asOf?: EpochMs): void {
    this.cleared.push({ account, topic, ...(asOf === undefined ? {} : { asOf }) });
  }
}

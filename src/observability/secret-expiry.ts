/**
 * Tells that a secret ends soon: 30, 14, 7 and 1 days before, and at the start where it has less left.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { AlertTopic, Condition } from '../core/alert.ts';
import { between, type DurationMs, days, type EpochMs, hours, minutes } from '../core/clock.ts';
import type { Alerts } from '../core/ports/alerts.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import { problem } from '../core/problem.ts';

/** When a secret of an account ends. */
export interface SecretEnd {
  readonly account: AccountName;
  readonly topic: Extract<AlertTopic, 'client-secret' | 'certificate' | 'refresh-token'>;
  readonly endsAt: EpochMs;
}

/** Days left at which it is told, the fewest first. */
export const THRESHOLDS = [1, 7, 14, 30] as const;

/** What is to be told of a secret at `now`; undefined while it has more than 30 days. */
export function expiryCondition({ account, topic, endsAt }: SecretEnd, now: EpochMs): Condition | undefined {
  const left = between(now, endsAt);
  const threshold = THRESHOLDS.find((count) => left <= days(count));
  if (threshold === undefined) return undefined;
  const { what, remedy } = TEXTS[topic];
  const date = new Date(endsAt).toISOString().slice(0, 10);
  const cause = `${what} of ${account} ${left <= 0 ? `ended on ${date}` : `ends on ${date}, in ${describeDays(left)}`}`;
  const texts = { remedy: remedy.replaceAll('ACCOUNT', account) };
  return { account, topic, event: 'secret_expiring', problem: problem('SECRET_ENDING', cause, texts), mark: String(threshold) };
}

const TEXTS: Readonly<Record<SecretEnd['topic'], { readonly what: string; readonly remedy: string }>> = {
  'client-secret': {
    what: 'the client secret',
    remedy:
      'Entra admin centre > App registrations > Certificates & secrets: make a new client secret; put its Value into auth.clientSecret and its date into auth.clientSecretExpires.',
  },
  certificate: {
    what: 'the certificate',
    remedy:
      'Make a new certificate, upload it (Entra admin centre > App registrations > Certificates & secrets), then replace the files under auth.certificate.',
  },
  'refresh-token': {
    what: 'the refresh token (unused for weeks; Microsoft ends it after 90 days)',
    remedy:
      'See what keeps the account from getting tokens: postern doctor ACCOUNT. Once it has ended, sign in again: postern login ACCOUNT.',
  },
};

function describeDays(left: DurationMs): string {
  const count = Math.ceil(left / days(1));
  return count === 1 ? 'a day or less' : `${count} days`;
}

/** What the watch needs. */
export interface ExpiryWatchOptions {
  /** All that is known now. Must not reject. */
  readonly ends: () => Promise<readonly SecretEnd[]>;
  readonly alerts: Alerts;
  readonly clock: Clock;
}

/** Often enough that the last day is not half over when it is told. */
const INTERVAL = hours(6);
/** After the start the tokens come first. */
const FIRST = minutes(1);

/** Looks now and then. */
export class ExpiryWatch {
  readonly #options: ExpiryWatchOptions;
  #timer: Timer | undefined;

  constructor(options: ExpiryWatchOptions) {
    this.#options = options;
  }

  start(): void {
    this.#wait(FIRST);
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #wait(duration: DurationMs): void {
    this.#timer = this.#options.clock.startTimer(duration, () => void this.#look(), { isBackground: true });
  }

  async #look(): Promise<void> {
    const { ends, alerts, clock } = this.#options;
    const before = this.#timer;
    for (const end of await ends()) {
      const condition = expiryCondition(end, clock.now());
      if (condition === undefined) alerts.clear(end.account, end.topic);
      else alerts.raise(condition);
    }
    if (this.#timer === before) this.#wait(INTERVAL); // Else it was closed meanwhile.
  }
}

/**
 * Alerts on their way to one webhook: in order, offered again while it does not take them, and never many.
 *
 * What waits is kept in memory. An alert that was not taken for an hour is given up, and beyond {@link MOST_WAITING} the oldest goes: each has its line
 * in the log, and what is still so is told again after a day.
 *
 * @packageDocumentation
 */
import type { Alert, AlertEvent } from '../core/alert.ts';
import { between, type DurationMs, hours, milliseconds, minutes, type MonotonicMs, seconds } from '../core/clock.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import { problem } from '../core/problem.ts';
import type { AlertSink } from './alert-desk.ts';
import { alertBody, type AlertOrigin } from './alert-message.ts';
import type { Scrubber } from './scrubber.ts';
import type { Handover } from './webhook.ts';

/** What the sink uses of a webhook. */
export interface AlertReceiver {
  readonly host: string;
  post(body: string, id: string): Promise<Handover>;
  close(): Promise<void>;
}

/** What the sink needs. */
export interface WebhookSinkOptions {
  readonly webhook: AlertReceiver;
  /** Others are not sent. */
  readonly events: readonly AlertEvent[];
  readonly origin: AlertOrigin;
  /** Goes over each body as over each log line, should a cause hold what it must not. */
  readonly scrubber: Pick<Scrubber, 'scrub'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

interface Waiting {
  readonly id: string;
  readonly alert: Alert;
  readonly body: string;
  readonly since: MonotonicMs;
  tries: number;
}

export const MOST_WAITING = 100;
/** After the first failure, the second …; the last one repeats. Five tries in about an hour. */
const WAITS: readonly [DurationMs, ...DurationMs[]] = [minutes(1), minutes(5), minutes(15), minutes(40)];
/** Share of a wait that chance may add. */
const JITTER = 0.1;
const GIVE_UP_AFTER = hours(1);
/** For what is on its way when Postern stops. */
const LAST_WAIT = seconds(2);

export class WebhookSink implements AlertSink {
  readonly #options: WebhookSinkOptions;
  readonly #waiting: Waiting[] = [];
  #current: Waiting | undefined;
  #delivery: Promise<void> = Promise.resolve();
  #timer: Timer | undefined;
  /** Since the webhook last took something. */
  #failures = 0;
  #isClosing = false;
  #isClosed = false;

  constructor(options: WebhookSinkOptions) {
    this.#options = options;
  }

  take(alert: Alert): void {
    const { events, origin, clock, random, scrubber } = this.#options;
    if (this.#isClosing || !events.includes(alert.event)) return;
    const id = Buffer.from(random.octets(16)).toString('hex');
    const body = scrubber.scrub(alertBody(alert, id, origin));
    this.#waiting.push({ id, alert, body, since: clock.monotonic(), tries: 0 });
    while (this.#waiting.length + (this.#current === undefined ? 0 : 1) > MOST_WAITING) {
      this.#lose(this.#waiting.shift(), `${MOST_WAITING} others wait`);
    }
    this.#pump();
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    const { clock, webhook } = this.#options;
    let timer: Timer | undefined;
    const late = new Promise<void>((resolve) => {
      timer = clock.startTimer(LAST_WAIT, resolve);
    });
    await Promise.race([this.#drained(), late]);
    timer?.cancel();
    this.#isClosed = true;
    await webhook.close();
    await this.#delivery;
    this.#timer?.cancel();
    for (const waiting of this.#waiting.splice(0)) this.#lose(waiting, 'Postern stops');
  }

  /** Resolves once nothing is on its way; what waits for a webhook that does not answer stays. */
  async #drained(): Promise<void> {
    while (this.#current !== undefined) await this.#delivery;
  }

  #pump(): void {
    if (this.#current !== undefined || this.#timer !== undefined || this.#isClosed) return;
    this.#current = this.#waiting.shift();
    if (this.#current !== undefined) this.#delivery = this.#deliver(this.#current);
  }

  /** Never rejects. */
  async #deliver(waiting: Waiting): Promise<void> {
    const { webhook, log, clock } = this.#options;
    waiting.tries += 1;
    const begun = clock.monotonic();
    const handover = await webhook.post(waiting.body, waiting.id);
    this.#current = undefined;
    if (handover.kind === 'taken') {
      this.#failures = 0;
      const durationMs = between(begun, clock.monotonic());
      log.debug({ event: 'alert-delivered', ...this.#fields(waiting), durationMs }, 'the webhook took the alert');
    } else this.#retry(waiting, handover.cause);
    this.#pump();
  }

  /** The next try is of the oldest alert, whichever failed: while a webhook is down, one request in forty minutes is enough for all. */
  #retry(waiting: Waiting, cause: string): void {
    const { clock, random, log } = this.#options;
    const isTooOld = between(waiting.since, clock.monotonic()) >= GIVE_UP_AFTER;
    if (isTooOld) this.#lose(waiting, `not taken for an hour; last: ${cause}`);
    else {
      this.#waiting.unshift(waiting);
      const level = this.#failures === 0 ? 'warn' : 'debug';
      const fields = { event: 'alert-not-delivered', ...this.#fields(waiting), problem: problem('ALERT_UNDELIVERED', cause) };
      log[level](fields, 'the webhook did not take the alert; it is offered again');
    }
    const wait = WAITS[Math.min(this.#failures, WAITS.length - 1)] ?? WAITS[0];
    this.#failures += 1;
    const resume = (): void => {
      this.#timer = undefined;
      this.#pump();
    };
    this.#timer = clock.startTimer(milliseconds(wait * (1 + JITTER * random.fraction())), resume, { isBackground: true });
  }

  #lose(waiting: Waiting | undefined, why: string): void {
    if (waiting === undefined) return;
    const fields = {
      event: 'alert-lost',
      ...this.#fields(waiting),
      problem: problem('ALERT_UNDELIVERED', `${this.#options.webhook.host}: ${why}`),
    };
    this.#options.log.warn(fields, 'the alert was not delivered to the webhook');
  }

  #fields({ alert, tries }: Waiting) {
    return { account: alert.account, alert: alert.event, upstream: this.#options.webhook.host, attempt: tries } as const;
  }
}

/**
 * Leases of this process: taken, and extended for as long as an attempt lasts.
 *
 * @packageDocumentation
 */
import { type DurationMs, minutes, plus } from '../core/clock.ts';
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Clock, Timer } from '../core/ports/clock.ts';
import type { Lease, Spool } from '../core/ports/spool.ts';

/** In the spool, as the holder of our leases. */
export const OWNER = 'delivery';

/** For how long a lease is taken at a time. */
export const LEASE_TERM: DurationMs = minutes(15);
const RENEW_AFTER: DurationMs = minutes(5);

/** When a lease that begins now ends, unless it is extended. */
export function leaseEnd(clock: Clock): EpochMs {
  return plus(clock.now(), LEASE_TERM);
}

export class LeaseKeeper {
  readonly #spool: Spool;
  readonly #clock: Clock;

  constructor({ spool, clock }: { readonly spool: Spool; readonly clock: Clock }) {
    this.#spool = spool;
    this.#clock = clock;
  }

  /** Undefined where the entry is not to be had. @throws ProblemError */
  claim(queueId: QueueId): Promise<Lease | undefined> {
    return this.#spool.claim(queueId, OWNER, leaseEnd(this.#clock));
  }

  /**
   * Wait for `work`, extending the lease; give it back where the work fails.
   *
   * @throws Whatever `work` throws.
   */
  async keep<Result>(lease: Lease, work: Promise<Result>): Promise<Result> {
    let timer: Timer | undefined;
    const renew = (): void => {
      // One that cannot be extended is no longer ours, which whatever is done under it will find out.
      this.#spool.renew(lease, leaseEnd(this.#clock)).catch(() => false);
      timer = this.#clock.startTimer(RENEW_AFTER, renew, { isBackground: true });
    };
    timer = this.#clock.startTimer(RENEW_AFTER, renew, { isBackground: true });
    try {
      return await work;
    } catch (error) {
      await this.#spool.release(lease);
      throw error;
    } finally {
      timer.cancel();
    }
  }
}

/**
 * The queue put together: spool, delivery, and the socket by which commands reach them.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { ControlServer } from '../admin/control-server.ts';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import { seconds } from '../core/clock.ts';
import type { Alerts, DeliveryWatch } from '../core/ports/alerts.ts';
import type { Log } from '../core/ports/log.ts';
import type { Upstream } from '../core/ports/upstream.ts';
import { Delivery } from '../delivery/delivery.ts';
import { FilePaceStore } from '../delivery/file-pace-store.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import type { RecoveryReport, SegmentSpool } from '../spool/segment-spool.ts';
import { classifyReply } from '../upstream/reply-table.ts';
import { openSpool } from './open-spool.ts';
import { openControlServer } from './queue-access.ts';

/** What the queue needs from the rest of the relay. */
export interface QueueParts {
  readonly accounts: readonly Account[];
  readonly upstream: Upstream;
  readonly watch: DeliveryWatch;
  readonly alerts: Alerts;
  readonly log: Log;
}

/** A spool that this process possesses, and what delivers from it. */
export class OpenQueue {
  readonly delivery: Delivery;
  readonly #spool: SegmentSpool;
  readonly #openControl: () => Promise<ControlServer | undefined>;
  #control: ControlServer | undefined;

  private constructor(delivery: Delivery, spool: SegmentSpool, openControl: () => Promise<ControlServer | undefined>) {
    this.delivery = delivery;
    this.#spool = spool;
    this.#openControl = openControl;
  }

  /** @throws ProblemError `SPOOL_LOCKED`, `SPOOL_FORMAT_NEWER`, `SPOOL_FAILED` */
  static async open(config: Config, parts: QueueParts): Promise<OpenQueue> {
    const { log } = parts;
    const spool = await openSpool(config, log);
    reportRecovery(spool.recovery, log);
    const delivery = await Delivery.open({
      ...parts,
      spool,
      classify: classifyReply,
      paceStore: new FilePaceStore(join(config.state.dir, 'pace.json')),
      clock: systemClock,
      random: systemRandom,
      hostname: hostname(),
      options: config.delivery,
    });
    return new OpenQueue(delivery, spool, () => openControlServer(config, { spool, clock: delivery, log }));
  }

  /** Begin to deliver, and to listen to commands. */
  async start(): Promise<void> {
    this.#control = await this.#openControl();
    await this.delivery.start();
  }

  /** Resolves once every attempt under way has ended, which somebody else sees to, and everything is on disk. */
  async stop(): Promise<void> {
    await this.#control?.close(seconds(1));
    await this.delivery.stop();
    await this.#spool.close();
  }
}

function reportRecovery(recovery: RecoveryReport, log: Log): void {
  const { entries, octets: size, ambiguous, quarantined, duration: durationMs } = recovery;
  const fields = { event: 'queue-opened', size, durationMs };
  if (ambiguous === 0 && quarantined === 0) return log.info(fields, `the queue holds ${entries} messages`);
  const doubts = `${ambiguous} may have been delivered when the last process ended, ${quarantined} were damaged and set aside`;
  return log.warn(fields, `the queue holds ${entries} messages; ${doubts}`);
}

/**
 * One attempt to hand a message over, from the queue's point of view: judged, the count of the pacer put right, learned from, logged.
 *
 * @packageDocumentation
 */
import { between, type DurationMs } from '../core/clock.ts';
import type { Envelope } from '../core/envelope.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Chunks } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { MessageNames } from '../core/ports/log.ts';
import type { RelayResult, Upstream, UpstreamStage } from '../core/ports/upstream.ts';
import type { AccountRef } from './account-ref.ts';
import type { AccountGate } from './account-gate.ts';
import type { DeliveryLog, LoggedMessage } from './delivery-log.ts';
import { type Classify, type Judgement, judge } from './outcome.ts';
import type { Counted } from './pacer.ts';

/** What a courier needs. */
export interface CourierDependencies {
  readonly upstream: Upstream;
  readonly classify: Classify;
  readonly clock: Clock;
  readonly log: DeliveryLog;
}

/** What is to be handed over. */
export interface Parcel {
  readonly envelope: Envelope;
  readonly openContent: () => Chunks;
  readonly message: LoggedMessage;
  /** 1 for the first. */
  readonly attempt: number;
  /** By the pacer, when it was decided that the parcel may go. */
  readonly counted: Counted;
  /** How long to wait for a connection of the account. */
  readonly patience: DurationMs;
}

/** An attempt that has been made. */
export interface Tried {
  readonly result: RelayResult;
  readonly judgement: Judgement;
}

export class Courier {
  readonly #account: Readonly<AccountRef>;
  readonly #gate: AccountGate;
  readonly #deps: CourierDependencies;

  constructor(account: Readonly<AccountRef>, gate: AccountGate, deps: CourierDependencies) {
    this.#account = account;
    this.#gate = gate;
    this.#deps = deps;
  }

  /** @throws Whatever the content throws: nothing was delivered. */
  async try({ envelope, openContent, message, attempt, counted, patience }: Parcel): Promise<Tried> {
    const { upstream, classify, clock, log } = this.#deps;
    const began = clock.monotonic();
    try {
      const result = await upstream.relay(this.#account.current, envelope, openContent, patience, namesOf(message));
      const judgement = judge(result, classify);
      counted.correct({ messages: wasSaid(result) ? 1 : 0, recipients: mayHaveGot(judgement) });
      this.#gate.learn(judgement.account, began);
      log.attempted(message, { result, judgement, attempt, duration: between(began, clock.monotonic()) });
      return { result, judgement };
    } catch (error) {
      counted.correct({ messages: 1, recipients: 0 });
      throw error;
    }
  }
}

function namesOf({ queueId, client, origin }: LoggedMessage): MessageNames {
  const names: Mutable<MessageNames> = { queueId, client };
  if (origin?.sessionId !== undefined) names.sessionId = origin.sessionId;
  return names;
}

const BEFORE_MAIL: ReadonlySet<UpstreamStage> = new Set(['wait', 'token', 'connect', 'greeting', 'ehlo', 'starttls', 'auth']);

/** The provider has heard of a message. */
function wasSaid({ failure }: RelayResult): boolean {
  return failure === undefined || !BEFORE_MAIL.has(failure.stage);
}

function mayHaveGot({ recipients, isAmbiguous }: Judgement): number {
  return recipients.filter(({ kind }) => kind === 'delivered' || (isAmbiguous && kind !== 'refused')).length;
}

/**
 * The attempt that is made while the application still waits and the message is a draft.
 *
 * The draft can be made an entry of the spool while the attempt goes on: then what came of the attempt becomes the entry's, as with any other. Content
 * that was begun is read from the draft to its end; content that was not comes from the spool, and only once the entry is there.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { Chunks } from '../core/octets.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Draft, Lease } from '../core/ports/spool.ts';
import type { NewMessage } from '../core/spool-entry.ts';
import type { Tried } from './courier.ts';
import type { LoggedMessage } from './delivery-log.ts';
import type { Lane } from './lane.ts';
import { leaseEnd, OWNER } from './lease-keeper.ts';
import type { Counted } from './pacer.ts';
import type { Pauses } from './pauses.ts';

/** What a first attempt needs. */
export interface FirstAttemptDependencies {
  readonly clock: Clock;
  readonly pauses: Pauses;
  /** How long the application waits. */
  readonly budget: () => DurationMs;
}

/** What is tried, and where. */
export interface FirstAttemptParts {
  readonly lane: Lane;
  readonly draft: Draft;
  readonly message: NewMessage;
  readonly logged: LoggedMessage;
  readonly counted: Counted;
}

export class FirstAttempt {
  /** Rejects where the content could not be had: nothing was delivered then. */
  readonly done: Promise<Tried>;
  readonly #lane: Lane;
  readonly #draft: Draft;
  readonly #message: NewMessage;
  readonly #deps: FirstAttemptDependencies;
  #isContentBegun = false;
  #accepting: Promise<Lease> | undefined;

  constructor({ lane, draft, message, logged, counted }: FirstAttemptParts, deps: FirstAttemptDependencies) {
    this.#lane = lane;
    this.#draft = draft;
    this.#message = message;
    this.#deps = deps;
    const { reversePath, parameters, forwardPaths } = message;
    this.done = lane.courier.try({
      envelope: { reversePath, parameters, forwardPaths },
      openContent: () => this.#content(),
      message: logged,
      attempt: 1,
      counted,
      patience: deps.budget(),
    });
    this.done.catch(() => undefined); // Whoever looks at it is told; nobody may be looking yet.
  }

  /**
   * What came of it; undefined where the budget is spent first, or somebody else finds the account in trouble, or the process ends.
   *
   * @throws As {@link done}.
   */
  inTime(): Promise<Tried | undefined> {
    const { pauses, budget } = this.#deps;
    if (pauses.isOver) return Promise.resolve(undefined);
    const { gate } = this.#lane;
    return new Promise((resolve, reject) => {
      let unlisten = (): void => undefined;
      const end = pauses.begin(budget(), () => {
        unlisten();
        resolve(undefined);
      });
      // Trouble that this attempt has found is told by `done`, in the same turn.
      unlisten = gate.onChange(() => void (gate.state.kind !== 'open' && setImmediate(end)));
      this.done.then(
        (tried) => {
          resolve(tried);
          end();
        },
        (error: unknown) => {
          reject(error);
          end();
        },
      );
    });
  }

  /**
   * Make the draft an entry, leased to this attempt.
   *
   * @throws ProblemError; the attempt then goes on only if it has its content already.
   */
  accept(): Promise<Lease> {
    const lease = { owner: OWNER, until: leaseEnd(this.#deps.clock), isTransmitting: this.#isContentBegun };
    this.#accepting = this.#draft.acceptLeased(this.#message, lease);
    return this.#accepting;
  }

  #content(): Chunks {
    this.#isContentBegun = true;
    return this.#accepting === undefined ? this.#draft.content() : this.#fromSpool(this.#accepting);
  }

  async *#fromSpool(accepting: Promise<Lease>): AsyncGenerator<Uint8Array, void, undefined> {
    yield* this.#lane.worker.transmit(await accepting);
  }
}

/**
 * One entry in the index: what must be at hand without a read, and the rest as the JSON it was stored in, a fraction of the size that objects
 * would take. 100,000 entries fit in about 100 MB.
 *
 * Rows change only when the record of the change is where it has to be, on stable storage as a rule.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import type { Octets } from '../core/octets.ts';
import type { ProblemCode } from '../core/problem.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import { type ContentFile, decodeMessage, decodeState, entryOf, type StoredMessage, type StoredState } from './entry-codec.ts';

/** Where an entry's record lies. */
export interface RowPlace {
  readonly segment: number;
  readonly offset: number;
  readonly envelopeOctets: number;
  readonly contentOctets: number;
}

/** A lease that was given. */
export interface GivenLease {
  readonly owner: string;
  readonly until: EpochMs;
}

/** An entry in the index. */
export interface Row {
  /** Order of acceptance. */
  readonly serial: number;
  readonly queueId: QueueId;
  readonly account: AccountName;
  readonly acceptedAt: EpochMs;
  readonly size: Octets;
  readonly contentFile?: ContentFile;
  messageJson: string;
  /** Undefined where the state in `messageJson` is the present one. */
  stateJson: string | undefined;
  place: RowPlace;
  nextAttemptAt: EpochMs;
  holdCode: ProblemCode | undefined;
  /** Found after a transmission of unknown outcome; in the stored state from the next change on. */
  isAmbiguous: boolean;
  isTransmitting: boolean;
  /** Of the newest lease. */
  fence: number;
  lease: GivenLease | undefined;
  /** Set while the index holds the row. */
  isListed: boolean;
  /** The time under which the row stands in its account's heap. */
  heapedAt: number | undefined;
  /** Changes of one row are made one after another. */
  turn: Promise<unknown> | undefined;
}

/** The row of an entry. */
export function rowOf(serial: number, message: StoredMessage, messageJson: string, place: RowPlace): Row {
  const { queueId, account, acceptedAt, size, contentFile, state } = message;
  return {
    serial,
    queueId,
    account,
    acceptedAt,
    size,
    ...(contentFile === undefined ? {} : { contentFile }),
    messageJson,
    stateJson: undefined,
    place,
    nextAttemptAt: state.nextAttemptAt,
    holdCode: state.hold?.code,
    isAmbiguous: state.isAmbiguous,
    isTransmitting: state.isTransmitting,
    fence: state.fence,
    lease: undefined,
    isListed: false,
    heapedAt: undefined,
    turn: undefined,
  };
}

/** Let a row show a new state. */
export function showState(row: Row, state: StoredState, stateJson: string): void {
  row.stateJson = stateJson;
  row.nextAttemptAt = state.nextAttemptAt;
  row.holdCode = state.hold?.code;
  row.isAmbiguous = state.isAmbiguous;
  row.isTransmitting = state.isTransmitting;
  row.fence = Math.max(row.fence, state.fence);
}

/** What was stored last, with what is known beyond it. */
export function storedOf(row: Row): { message: StoredMessage; state: StoredState } {
  const message = decodeMessage(row.messageJson);
  const state = row.stateJson === undefined ? message.state : decodeState(row.stateJson);
  return { message, state: { ...state, isAmbiguous: row.isAmbiguous, isTransmitting: row.isTransmitting, fence: row.fence } };
}

/** The entry of a row. */
export function entryOfRow(row: Row): SpoolEntry {
  const { message, state } = storedOf(row);
  return entryOf(message, state);
}

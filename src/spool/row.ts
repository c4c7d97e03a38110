/**
 * One entry in the index: what must be at hand without a read in fields, and the rest as JSON, a fraction of the size that objects would take. No
 * value is in both, and of a state only what tells it from that of a message nobody has tried yet: a row takes about half a kilobyte.
 *
 * Rows change only when the record of the change is where it has to be, on stable storage as a rule.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { ForwardPath, MailParameters, ReversePath } from '../core/envelope.ts';
import type { QueueId } from '../core/ids.ts';
import type { Octets } from '../core/octets.ts';
import type { ProblemCode } from '../core/problem.ts';
import type { RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';
import { type ContentFile, decodeState, entryOf, type StoredMessage, type StoredState } from './entry-codec.ts';

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
  /** Undefined where the content lies with the record. */
  readonly contentFile: ContentFile | undefined;
  /** A {@link Rest}. */
  readonly restJson: string;
  /** A {@link StoredState}; undefined where nothing has become of the message yet, see {@link isUntouched}. */
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

/** What does not change and is only looked at when the entry is. */
type Rest = readonly [
  client: string,
  reversePath: ReversePath,
  parameters: MailParameters,
  forwardPaths: readonly ForwardPath[],
  messageId: string,
  traceParent?: string,
];

/** The row of an entry. */
export function rowOf(serial: number, message: StoredMessage, place: RowPlace): Row {
  const { queueId, account, acceptedAt, size, contentFile, state } = message;
  const { client, reversePath, parameters, forwardPaths, messageId, traceParent } = message;
  const trace: [string?] = traceParent === undefined ? [] : [traceParent];
  const rest: Rest = [client, reversePath, parameters, forwardPaths, messageId, ...trace];
  return {
    serial,
    queueId,
    account,
    acceptedAt,
    size,
    contentFile,
    restJson: compact(JSON.stringify(rest)),
    stateJson: jsonOfState(state),
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
export function showState(row: Row, state: StoredState): void {
  row.stateJson = jsonOfState(state);
  row.nextAttemptAt = state.nextAttemptAt;
  row.holdCode = state.hold?.code;
  row.isAmbiguous = state.isAmbiguous;
  row.isTransmitting = state.isTransmitting;
  row.fence = Math.max(row.fence, state.fence);
}

/** What was stored last, with what is known beyond it. */
export function storedOf(row: Row): { message: StoredMessage; state: StoredState } {
  const { queueId, account, acceptedAt, size, contentFile, nextAttemptAt, isAmbiguous, isTransmitting, fence } = row;
  const [client, reversePath, parameters, forwardPaths, messageId, traceParent] = JSON.parse(row.restJson) as Rest;
  const untouched = { statuses: forwardPaths.map((): RecipientStatus => ({ kind: 'pending' })), attempts: 0, nextAttemptAt };
  const stored = row.stateJson === undefined ? untouched : decodeState(row.stateJson);
  const state: StoredState = { ...stored, isAmbiguous, isTransmitting, fence };
  const message = { queueId, account, client, acceptedAt, reversePath, parameters, forwardPaths, messageId, size, state };
  const trace = traceParent === undefined ? {} : { traceParent };
  return { message: { ...message, ...trace, ...(contentFile === undefined ? {} : { contentFile }) }, state };
}

function jsonOfState(state: StoredState): string | undefined {
  return isUntouched(state) ? undefined : compact(JSON.stringify(state));
}

/** V8 makes what `JSON.stringify` returns of pieces, and keeps them; what is read from octets is in one piece, of the length it has. */
function compact(json: string): string {
  return Buffer.from(json).toString();
}

/** Nothing is known of it but what the fields of a row say. */
function isUntouched({ statuses, attempts, hold, warnedAt }: StoredState): boolean {
  const isFresh = statuses.every((status) => status.kind === 'pending' && status.lastReply === undefined);
  return isFresh && attempts === 0 && hold === undefined && warnedAt === undefined;
}

/** The entry of a row. */
export function entryOfRow(row: Row): SpoolEntry {
  const { message, state } = storedOf(row);
  return entryOf(message, state);
}

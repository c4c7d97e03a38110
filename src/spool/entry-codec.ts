/**
 * Entries as the JSON of a record's envelope, and back (docs/spool-format.md).
 *
 * Pure. What comes from the disk has passed its checksum, but is looked at all the same: a field that is missing is damage, not a crash later on.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import type { ForwardPath, MailParameters, ReversePath } from '../core/envelope.ts';
import type { QueueId } from '../core/ids.ts';
import type { Octets } from '../core/octets.ts';
import type { Hold, RecipientStatus, SpoolEntry } from '../core/spool-entry.ts';
import type { SegmentEnd } from './segment-writer.ts';

/** Content that lies in a file of its own. */
export interface ContentFile {
  readonly name: string;
  readonly checksum: number;
}

/** What changes in the life of an entry. */
export interface StoredState {
  readonly statuses: readonly RecipientStatus[];
  readonly attempts: number;
  readonly nextAttemptAt: EpochMs;
  readonly hold?: Hold;
  readonly isAmbiguous: boolean;
  readonly warnedAt?: EpochMs;
  /** The newest lease that left a trace. */
  readonly fence: number;
  /** A transmission was begun and not settled. */
  readonly isTransmitting: boolean;
}

/** An entry, whole. */
export interface StoredMessage {
  readonly queueId: QueueId;
  readonly account: AccountName;
  readonly client: string;
  readonly acceptedAt: EpochMs;
  readonly reversePath: ReversePath;
  readonly parameters: MailParameters;
  readonly forwardPaths: readonly ForwardPath[];
  readonly messageId: string;
  readonly traceParent?: string;
  readonly size: Octets;
  readonly contentFile?: ContentFile;
  readonly state: StoredState;
  /** Of a `report` record: what the same step makes of another entry; without a state, it is gone. */
  readonly settles?: { readonly serial: number; readonly state?: StoredState };
}

/** Damage that was dealt with, so that the next start need not. */
export interface StoredDamage {
  readonly segment?: number;
  readonly offset?: number;
}

/** What is stored of an entry's changing part. */
export function stateOf(entry: SpoolEntry, fence: number, isTransmitting: boolean): StoredState {
  const { attempts, nextAttemptAt, hold, isAmbiguous, warnedAt } = entry;
  return {
    statuses: entry.recipients.map(({ status }) => status),
    attempts,
    nextAttemptAt,
    ...(hold === undefined ? {} : { hold }),
    isAmbiguous,
    ...(warnedAt === undefined ? {} : { warnedAt }),
    fence,
    isTransmitting,
  };
}

/** What is stored of a new entry. */
export function messageOf(entry: SpoolEntry, state: StoredState, contentFile: ContentFile | undefined): StoredMessage {
  const { queueId, account, client, acceptedAt, reversePath, parameters, messageId, traceParent, size } = entry;
  const forwardPaths = entry.recipients.map(({ forwardPath }) => forwardPath);
  const message = { queueId, account, client, acceptedAt, reversePath, parameters, forwardPaths, messageId, size, state };
  return {
    ...message,
    ...(traceParent === undefined ? {} : { traceParent }),
    ...(contentFile === undefined ? {} : { contentFile }),
  };
}

/** The entry that was stored. */
export function entryOf(message: StoredMessage, state: StoredState): SpoolEntry {
  const { queueId, account, client, acceptedAt, reversePath, parameters, messageId, traceParent, size } = message;
  const { attempts, nextAttemptAt, hold, isAmbiguous, warnedAt } = state;
  return {
    queueId,
    account,
    client,
    acceptedAt,
    reversePath,
    parameters,
    messageId,
    ...(traceParent === undefined ? {} : { traceParent }),
    size,
    recipients: message.forwardPaths.map((forwardPath, index) => ({ forwardPath, status: state.statuses[index] ?? { kind: 'pending' } })),
    attempts,
    nextAttemptAt,
    isAmbiguous,
    ...(hold === undefined ? {} : { hold }),
    ...(warnedAt === undefined ? {} : { warnedAt }),
  };
}

/** @throws Error where it is not what {@link messageOf} makes. */
export function decodeMessage(json: string): StoredMessage {
  const value = objectOf(json);
  require(value, { queueId: 'string', account: 'string', client: 'string', acceptedAt: 'number', reversePath: 'string' });
  require(value, { parameters: 'object', messageId: 'string', size: 'number' });
  const { forwardPaths, contentFile, settles, state, traceParent } = value;
  if (traceParent !== undefined && typeof traceParent !== 'string') throw new Error('traceParent is not a string');
  requireState(state);
  if (!Array.isArray(forwardPaths) || forwardPaths.length !== state.statuses.length)
    throw new Error('forward-paths and statuses do not match');
  for (const forwardPath of forwardPaths) require(forwardPath, { address: 'string' });
  if (contentFile !== undefined) require(contentFile, { name: 'string', checksum: 'number' });
  if (settles !== undefined) {
    require(settles, { serial: 'number' });
    if (settles['state'] !== undefined) requireState(settles['state']);
  }
  return value as unknown as StoredMessage;
}

/** @throws Error where it is not what {@link stateOf} makes. */
export function decodeState(json: string): StoredState {
  const value = objectOf(json);
  requireState(value);
  return value;
}

/** @throws Error where it is none. */
export function decodeEnds(json: string): SegmentEnd[] {
  const { ends } = objectOf(json);
  if (!Array.isArray(ends)) throw new Error('an opening without ends');
  for (const end of ends) require(end, { segment: 'number', end: 'number' });
  return ends as SegmentEnd[];
}

/** @throws Error where it is none. */
export function decodeDamage(json: string): StoredDamage {
  return objectOf(json);
}

type Shape = Readonly<Record<string, 'string' | 'number' | 'boolean' | 'object'>>;
type Unchecked = Record<string, unknown>;

function objectOf(json: string): Unchecked {
  const value: unknown = JSON.parse(json);
  require(value, {});
  return value;
}

function require(value: unknown, shape: Shape): asserts value is Unchecked {
  if (typeof value !== 'object' || value === null) throw new Error('not an object');
  for (const [name, type] of Object.entries(shape)) {
    const field: unknown = Reflect.get(value, name);
    if (typeof field !== type || field === null) throw new Error(`${name} is not a ${type}`);
  }
}

function requireState(value: unknown): asserts value is StoredState {
  require(value, { attempts: 'number', nextAttemptAt: 'number', isAmbiguous: 'boolean', fence: 'number', isTransmitting: 'boolean' });
  const { statuses, hold } = value;
  if (!Array.isArray(statuses)) throw new Error('a state without statuses');
  for (const status of statuses) require(status, { kind: 'string' });
  if (hold !== undefined) require(hold, { code: 'string', since: 'number', cause: 'string' });
}

/**
 * Which trace a message belongs to: W3C Trace Context, read strictly, and the ids that a message has of itself.
 *
 * Ids follow from the queue id, so that an attempt after a restart belongs to the same trace without anything having been kept; only what the application
 * said is kept with the message. A malformed `traceparent` is ignored, as the standard asks; so is a second one, since one cannot tell which is meant.
 *
 * Pure but for hashing.
 *
 * Source: W3C Trace Context (Recommendation, 23 November 2021) §3.2: `version "-" trace-id "-" parent-id "-" trace-flags`, lower-case hex.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { QueueId } from './ids.ts';

/** What a `traceparent` says. */
export interface TraceParent {
  /** 32 hex digits, not all 0. */
  readonly traceId: string;
  /** 16 hex digits, not all 0. */
  readonly parentId: string;
  /** The caller has recorded this trace. */
  readonly isSampled: boolean;
}

/** Version, trace id, parent id, flags; what follows is for later versions only (§3.2.4). */
const FORM = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/s;
const ZEROS = /^0+$/;
/** §3.2.2.1: this version is invalid. */
const NO_VERSION = 'ff';

/** @returns Undefined where it is not what the standard describes. */
export function parseTraceParent(text: string): TraceParent | undefined {
  const [, version = NO_VERSION, traceId = '', parentId = '', flags = '', more] = FORM.exec(text) ?? [];
  if (version === NO_VERSION || ZEROS.test(traceId) || ZEROS.test(parentId)) return undefined;
  if (version === '00' && more !== undefined) return undefined;
  return { traceId, parentId, isSampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

/** Of a header section's fields of that name: the one that it has, in version 00; undefined where there is none, more than one, or no valid one. */
export function traceParentOf(values: readonly string[]): string | undefined {
  const [value, ...others] = values;
  const parent = value === undefined || others.length > 0 ? undefined : parseTraceParent(value);
  return parent === undefined ? undefined : `00-${parent.traceId}-${parent.parentId}-0${parent.isSampled ? 1 : 0}`;
}

/** Of the trace that a message begins where its application named none: 32 hex digits. */
export const traceIdOf = (queueId: QueueId): string => digest(`trace ${queueId}`).slice(0, 32);

/** Of a span of a message: 16 hex digits. `name` tells the spans of one message apart. */
export const spanIdOf = (queueId: QueueId, name: string): string => digest(`span ${queueId} ${name}`).slice(0, 16);

const digest = (text: string): string => createHash('sha256').update(text).digest('hex');

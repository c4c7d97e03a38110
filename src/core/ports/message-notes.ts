/**
 * What is remembered of a message for whoever looks at the relay now, and is written down nowhere.
 *
 * A subject may be confidential. So it is no field of the log, from which files, metrics, spans, traces and alerts are made: it goes this way, and no other.
 *
 * @packageDocumentation
 */
import type { QueueId } from '../ids.ts';

/** Characters (UTF-16 code units) of a subject that is noted. */
export const LONGEST_SUBJECT = 256;

/** Implementation: observability/activity-desk.ts, in bounded memory. */
export interface MessageNotes {
  /**
   * A message with this id is on its way.
   *
   * @param read - Its subject as a text for people, of at most {@link LONGEST_SUBJECT} characters on one line; undefined where it has none. Called at once,
   *   or never where nobody wants to know.
   */
  noteSubject(queueId: QueueId, read: () => string | undefined): void;
}

/**
 * Where a process that refreshes is stopped, in the order in which it passes them.
 *
 * `during` a call means that the call has begun and nobody has waited for its end.
 *
 * @packageDocumentation
 */

/** What must be stored when the process is stopped there. */
type Expected =
  /** The newest refresh token that was handed out. */
  | 'newest'
  /** That, or the one it was traded for. */
  | 'newest-or-previous';

/** Points by name. What a kill leaves behind and what a power cut leaves differ only between the rename and the end of the directory's sync. */
export const ROTATION_POINTS = {
  'lock/before': 'newest',
  'lock/during': 'newest-or-previous', // The process may get further than the lock before it is dead.
  'lock/held': 'newest',
  'request/before': 'newest',
  'endpoint/asked': 'newest',
  'endpoint/rotated': 'newest-or-previous',
  'request/after': 'newest-or-previous',
  'file/open/before': 'newest-or-previous',
  'file/open/after': 'newest-or-previous',
  'file/write/during': 'newest-or-previous',
  'file/write/after': 'newest-or-previous',
  'file/sync/during': 'newest-or-previous',
  'file/sync/after': 'newest-or-previous',
  'file/close/after': 'newest-or-previous',
  'rename/before': 'newest-or-previous',
  'rename/during': 'newest-or-previous',
  'rename/after': 'newest-or-previous',
  'directory/open/after': 'newest-or-previous',
  'directory/sync/during': 'newest-or-previous',
  'directory/sync/after': 'newest',
  'directory/close/after': 'newest',
  saved: 'newest',
  'lock/released': 'newest',
  'handed-out': 'newest',
} as const satisfies Record<string, Expected>;

export type RotationPoint = keyof typeof ROTATION_POINTS;

export const ALL_POINTS = Object.keys(ROTATION_POINTS) as readonly RotationPoint[];

/** Those where a missing sync of the directory shows: the newest token has not reached the disk yet, and the rename of the one before is all there is. */
export const CONTROL_POINTS: readonly RotationPoint[] = ['request/after', 'file/open/after', 'file/write/after'];

/**
 * Where a process is stopped: a call on the disk, before or after it, or a step of its work. `*` stands for whatever work is going on.
 *
 * @packageDocumentation
 */

/** What the worker is about when it makes a call. */
export type Phase = 'start' | 'accept' | 'claim' | 'transmit' | 'settle' | 'report';

/** Points by name: `PHASE/CALL/AREA/MOMENT` for a call on the disk, a single word for a step of the work. */
export const SPOOL_POINTS = [
  'accept/write/segment/before',
  'accept/write/segment/after',
  'accept/datasync/segment/after',
  'accepted',
  'accept/write/content/after',
  'accept/datasync/content/after',
  'accept/rename/content/after',
  'accept/syncDirectory/content/after',
  '*/open/segment/after',
  '*/rename/segment/after',
  '*/syncDirectory/segment/after',
  'claimed',
  'transmit/write/segment/after',
  'begun',
  'dot',
  'settle/write/segment/before',
  'settle/write/segment/after',
  'settle/datasync/segment/after',
  'settled',
  'report/write/segment/before',
  'report/write/segment/after',
  'report/datasync/segment/after',
  '*/unlink/content/after',
  '*/truncate/segment/after',
  '*/unlink/segment/before',
  '*/unlink/segment/after',
  'start/read/segment/after',
  'start/datasync/segment/after',
] as const;

/** True where `reached` is one that `wanted` means. */
export function isPoint(wanted: string, reached: string): boolean {
  return wanted === reached || (wanted.startsWith('*/') && reached.slice(reached.indexOf('/')) === wanted.slice(1));
}

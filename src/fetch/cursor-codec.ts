/**
 * Cursors and their changes as lines of JSON.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import { type Cursor, type CursorChange, printBlocks } from '../core/fetch-cursor.ts';

const VERSION = 1;
const KINDS: ReadonlySet<string> = new Set<CursorChange['kind']>([
  'taken',
  'told',
  'passed',
  'held',
  'aside',
  'reached',
  'retry',
  'renumbered',
]);

export function encodeCursor({ uidValidity, held, aside, owed, prints, ...plain }: Cursor): string {
  return JSON.stringify({
    version: VERSION,
    ...plain,
    uidValidity: String(uidValidity),
    held: [...held],
    aside: [...aside],
    owed: [...owed],
    prints: prints.flat(),
  });
}

/** @throws Error where it is not what {@link encodeCursor} makes. */
export function decodeCursor(line: string): Cursor {
  const document: unknown = JSON.parse(line);
  if (!isObject(document) || document['version'] !== VERSION) throw new Error('not a cursor of this version');
  const { place, uidValidity, lastUid, held, aside, owed, prints, recheck, notBefore } = document;
  const isWhole = isUid(lastUid) && isPairs(held) && isPairs(aside) && Array.isArray(owed) && owed.every(isUid) && isTexts(prints);
  if (!isWhole || typeof place !== 'string' || typeof uidValidity !== 'string' || !/^\d{1,20}$/.test(uidValidity))
    throw new Error('not a cursor');
  if (notBefore !== undefined && typeof notBefore !== 'number') throw new Error('not a moment');
  return {
    place,
    uidValidity: BigInt(uidValidity),
    lastUid,
    held: new Map(held) as unknown as Cursor['held'],
    aside: new Map(aside) as unknown as Cursor['aside'],
    owed: new Set(owed),
    prints: printBlocks(prints),
    ...(recheck === undefined ? {} : { recheck: decodeRecheck(recheck) }),
    ...(notBefore === undefined ? {} : { notBefore: notBefore as EpochMs }),
  };
}

export const encodeChange = (change: CursorChange): string =>
  JSON.stringify(change.kind === 'renumbered' ? { ...change, uidValidity: String(change.uidValidity) } : change);

/** @throws Error where it is not what {@link encodeChange} makes. */
export function decodeChange(line: string): CursorChange {
  const document: unknown = JSON.parse(line);
  if (!isObject(document) || typeof document['kind'] !== 'string' || !KINDS.has(document['kind']))
    throw new Error('not a change of a cursor');
  const { kind, uid, uidValidity } = document;
  if (kind === 'renumbered') return { ...document, uidValidity: BigInt(String(uidValidity)) } as unknown as CursorChange;
  if (kind !== 'retry' && !isUid(uid)) throw new Error('a change without its UID');
  return document as unknown as CursorChange;
}

function decodeRecheck(value: unknown): NonNullable<Cursor['recheck']> {
  if (!isObject(value) || !isUid(value['upTo']) || !isTexts(value['known'])) throw new Error('not a recheck');
  return { upTo: value['upTo'], known: value['known'] };
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
const isUid = (value: unknown): value is number => Number.isSafeInteger(value) && Number(value) >= 0;
const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((item) => typeof item === 'string');
const isPairs = (value: unknown): value is [number, Record<string, unknown>][] =>
  Array.isArray(value) && value.every((pair) => Array.isArray(pair) && isUid(pair[0]) && isObject(pair[1]));

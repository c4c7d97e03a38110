/**
 * Where a fetch rule has got to in its mailbox, as a value, and how it changes.
 *
 * Pure. Every message up to `lastUid` is settled: taken by the sink, passed over, or gone; but for those in `held` and `aside`, which are not yet, and those
 * that have come back as `unsettled`. UIDs only mean something together with `uidValidity` (RFC 9051 §2.3.1.1); where that changes, messages that were taken
 * before are recognised by their prints.
 *
 * @packageDocumentation
 */
import type { EpochMs } from './clock.ts';

/** What a message is recognised by where its UID means nothing any more: a digest of header fields. 20 hexadecimal digits. */
export type Print = string;

/** A message that is offered to the sink again. */
export interface HeldMessage {
  /** Offers so far that were about this message alone: it could not be read, or was refused for good. */
  readonly tries: number;
}

/** A message that is offered no more until somebody says so. */
export interface AsideMessage {
  readonly at: EpochMs;
  /** Of the last problem. */
  readonly code: string;
  readonly cause: string;
}

/** A position in a mailbox. */
export interface Cursor {
  /** Account and mailbox. A rule that reads another one now begins anew. */
  readonly place: string;
  readonly uidValidity: bigint;
  readonly lastUid: number;
  readonly held: ReadonlyMap<number, HeldMessage>;
  readonly aside: ReadonlyMap<number, AsideMessage>;
  /** Taken by the sink, while the mailbox has not been told (`then:`). */
  readonly owed: ReadonlySet<number>;
  /** Of messages that the sink has taken, oldest first, in blocks, so that adding one copies little; bounded by {@link MOST_PRINTS}. */
  readonly prints: readonly (readonly Print[])[];
  /** After a change of UIDVALIDITY: messages up to `upTo` may be old ones, and `known` are the prints of those that were taken. One print stands for one message. */
  readonly recheck?: { readonly upTo: number; readonly known: readonly Print[] };
  /** Messages that arrived before were there when the rule began, and are not wanted. */
  readonly notBefore?: EpochMs;
}

/** One step. Each is durable before the next message is touched. */
export type CursorChange =
  /** The sink has it. `owed`: the mailbox is to be told yet. */
  | { readonly kind: 'taken'; readonly uid: number; readonly print: Print; readonly owed: boolean }
  /** The mailbox has been told. */
  | { readonly kind: 'told'; readonly uid: number }
  /** Not for this rule, or gone, or taken under another UID (`known`). */
  | { readonly kind: 'passed'; readonly uid: number; readonly known?: Print }
  | { readonly kind: 'held'; readonly uid: number; readonly tries: number }
  | ({ readonly kind: 'aside'; readonly uid: number } & AsideMessage)
  /** Nothing for this rule up to here. */
  | { readonly kind: 'reached'; readonly uid: number }
  /** Those set aside are offered again. */
  | { readonly kind: 'retry' }
  /** The mailbox has other UIDs now; it begins anew, and messages up to `upTo` may be old ones. */
  | { readonly kind: 'renumbered'; readonly uidValidity: bigint; readonly upTo: number };

/** Prints kept: 200,000 of them take some 20 MB. */
export const MOST_PRINTS = 200_000;
const BLOCK = 400;

/** Where a rule begins. */
export function startingCursor(place: string, uidValidity: bigint, lastUid: number, notBefore?: EpochMs): Cursor {
  const nothing = { held: new Map(), aside: new Map(), owed: new Set<number>(), prints: [] };
  return { place, uidValidity, lastUid, ...nothing, ...(notBefore === undefined ? {} : { notBefore }) };
}

/** The cursor after a change. */
export function applyChange(cursor: Cursor, change: CursorChange): Cursor {
  switch (change.kind) {
    case 'taken':
      return withPrint(settled(cursor, change.uid, change.owed), change.print);
    case 'told':
      return { ...cursor, owed: without(cursor.owed, change.uid) };
    case 'passed':
      return recognised(settled(cursor, change.uid, false), change.known);
    case 'held':
      return { ...moved(cursor, change.uid), held: new Map(cursor.held).set(change.uid, { tries: change.tries }) };
    case 'aside': {
      const { uid, at, code, cause } = change;
      const next = settled(cursor, uid, false);
      return { ...next, aside: new Map(next.aside).set(uid, { at, code, cause }) };
    }
    case 'reached':
      return moved(cursor, change.uid);
    case 'retry':
      return {
        ...cursor,
        aside: new Map(),
        held: new Map([...cursor.held, ...[...cursor.aside.keys()].map((uid) => [uid, { tries: 0 }] as const)]),
      };
    case 'renumbered':
      return renumbered(cursor, change.uidValidity, change.upTo);
    default:
      return change satisfies never;
  }
}

function renumbered(cursor: Cursor, uidValidity: bigint, upTo: number): Cursor {
  // A second change may come before the first has been worked through.
  const known = [...(cursor.recheck?.known ?? []), ...cursor.prints.flat()].slice(-MOST_PRINTS);
  return { ...startingCursor(cursor.place, uidValidity, 0, cursor.notBefore), recheck: { upTo, known } };
}

function settled(cursor: Cursor, uid: number, isOwed: boolean): Cursor {
  const next = moved(cursor, uid);
  const held = next.held.has(uid) ? withoutKey(next.held, uid) : next.held;
  const aside = next.aside.has(uid) ? withoutKey(next.aside, uid) : next.aside;
  return { ...next, held, aside, owed: isOwed ? new Set(next.owed).add(uid) : next.owed };
}

function moved(cursor: Cursor, uid: number): Cursor {
  if (uid <= cursor.lastUid) return cursor;
  return { ...cursor, lastUid: uid };
}

function withPrint(cursor: Cursor, print: Print): Cursor {
  const blocks = [...cursor.prints];
  const newest = blocks.at(-1);
  if (newest !== undefined && newest.length < BLOCK) blocks[blocks.length - 1] = [...newest, print];
  else blocks.push([print]);
  if (blocks.length > MOST_PRINTS / BLOCK) blocks.shift();
  return { ...cursor, prints: blocks };
}

/** Prints in blocks. */
export function printBlocks(prints: readonly Print[]): Print[][] {
  const blocks: Print[][] = [];
  for (let at = 0; at < prints.length; at += BLOCK) blocks.push(prints.slice(at, at + BLOCK));
  return blocks;
}

function recognised(cursor: Cursor, print: Print | undefined): Cursor {
  const { recheck } = cursor;
  if (print === undefined || recheck === undefined) return cursor;
  const at = recheck.known.indexOf(print);
  if (at === -1) return cursor;
  return withPrint({ ...cursor, recheck: { ...recheck, known: recheck.known.toSpliced(at, 1) } }, print);
}

function without(set: ReadonlySet<number>, uid: number): ReadonlySet<number> {
  const rest = new Set(set);
  rest.delete(uid);
  return rest;
}

function withoutKey<Value>(map: ReadonlyMap<number, Value>, uid: number): ReadonlyMap<number, Value> {
  const rest = new Map(map);
  rest.delete(uid);
  return rest;
}

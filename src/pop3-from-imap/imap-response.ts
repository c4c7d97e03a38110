/**
 * What an IMAP server's response says.
 *
 * Pure. A response comes as pieces (./imap-reader.ts): text, and the literals between. Values are parsed only where somebody wants them, so that an extension
 * that nobody asked for does no harm.
 *
 * Source: RFC 3501 §7 and §9, RFC 9051 §7 and §9. Deviation: an atom may hold any printable character but `( ) "` and space, since servers use more than the
 * grammar has.
 *
 * @packageDocumentation
 */

/** A literal. Without `octets` it was passed on while it came. */
export interface Literal {
  readonly size: number;
  readonly octets?: Buffer;
}

/** Text, one character for each octet, without line ends and the `{n}` of literals. */
export type Piece = string | Literal;

/** A string, quoted or literal, is octets; an atom or number is text; NIL is null. A literal that was passed on has a size alone. */
export type ImapValue = string | Buffer | null | Literal | readonly ImapValue[];

export type StatusWord = 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH';

/** `tag` is `*` for an untagged one; `code` what stands in brackets; `text` the words behind. */
export interface StatusResponse {
  readonly kind: 'status';
  readonly tag: string;
  readonly status: StatusWord;
  readonly code: string | undefined;
  readonly text: string;
}

/** An untagged response with data. `number` stands before the name: `* 12 EXISTS`. */
export interface DataResponse {
  readonly kind: 'data';
  readonly number: number | undefined;
  /** Upper case. */
  readonly name: string;
  readonly rest: readonly Piece[];
}

export type ImapResponse = StatusResponse | DataResponse | { readonly kind: 'continuation'; readonly text: string };

/** The octets are no IMAP response. */
export class ImapSyntaxError extends Error {
  override readonly name = 'ImapSyntaxError';
}

const DEEPEST = 32;

/** @throws ImapSyntaxError */
export function parseResponse(pieces: readonly Piece[]): ImapResponse {
  const [first = '', ...others] = pieces;
  if (typeof first !== 'string') throw new ImapSyntaxError('a response begins with a literal');
  if (/^\+(?: |$)/.test(first)) return { kind: 'continuation', text: first.slice(2) };
  const status = /^(\*|[^\s*+(){%"\\]+) (OK|NO|BAD|BYE|PREAUTH)(?: (?:\[([^\]]*)\] ?)?(.*))?$/is.exec(first);
  if (status !== null) {
    const [, tag = '', word = '', code, text = ''] = status;
    return { kind: 'status', tag, status: word.toUpperCase() as StatusWord, code, text };
  }
  const data = /^\* (?:(\d{1,10}) )?([A-Za-z][^\s()"]*)(?: |$)/.exec(first);
  if (data === null) throw new ImapSyntaxError('neither a status nor data');
  const [head, number, name = ''] = data;
  return {
    kind: 'data',
    number: number === undefined ? undefined : Number(number),
    name: name.toUpperCase(),
    rest: [first.slice(head.length), ...others],
  };
}

/**
 * True where the line so far cannot go on with a literal: the words of a status are for people, and may end in `{5}` (RFC 9051 §7.1).
 */
export const isOnlyText = (line: string): boolean => /^(?:\+(?: |$)|\S+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |$))/i.test(line);

/** All values. @throws ImapSyntaxError */
export function parseValues(pieces: readonly Piece[]): readonly ImapValue[] {
  const lists: ImapValue[][] = [[]];
  for (const piece of pieces) {
    if (typeof piece === 'string') parseText(piece, lists);
    else lists.at(-1)?.push(piece.octets ?? piece);
  }
  const [values, ...open] = lists;
  if (values === undefined || open.length > 0) throw new ImapSyntaxError('a list is not closed');
  return values;
}

/** The next token of a text. Brackets belong to an atom: `BODY[HEADER.FIELDS (DATE)]<0>`. */
const TOKEN = / |\(|\)|"(?:[^"\\]|\\.)*"|(?:[^\s()"[\]]|\[[^\]]*\]|\])+/gsy;

function parseText(text: string, lists: ImapValue[][]): void {
  let at = 0;
  while (at < text.length) {
    TOKEN.lastIndex = at;
    const token = TOKEN.exec(text)?.[0];
    if (token === undefined) throw new ImapSyntaxError('a value that is none');
    at += token.length;
    addToken(token, lists);
  }
}

function addToken(token: string, lists: ImapValue[][]): void {
  const current = lists.at(-1);
  if (token === '(') {
    const inner: ImapValue[] = [];
    current?.push(inner);
    if (lists.push(inner) > DEEPEST) throw new ImapSyntaxError('lists within lists without end');
  } else if (token === ')') {
    lists.pop();
    if (lists.length === 0) throw new ImapSyntaxError('a list is closed that was not open');
  } else if (token !== ' ') current?.push(valueOf(token));
}

function valueOf(token: string): ImapValue {
  if (token.startsWith('"')) return Buffer.from(token.slice(1, -1).replace(/\\(.)/gs, '$1'), 'latin1');
  return token.toUpperCase() === 'NIL' ? null : token;
}

/** Values of a FETCH by upper-case name: `UID`, `BODY[]`, `BODY[]<0>`. @throws ImapSyntaxError */
export function fetchItems(response: DataResponse): ReadonlyMap<string, ImapValue> {
  const [list] = parseValues(response.rest);
  if (!isList(list)) throw new ImapSyntaxError('a FETCH without its list');
  const items = new Map<string, ImapValue>();
  for (let index = 0; index + 1 < list.length; index += 2) {
    const name = list[index];
    if (typeof name !== 'string') throw new ImapSyntaxError('a FETCH item without a name');
    items.set(name.toUpperCase(), list[index + 1] ?? null);
  }
  return items;
}

export const isList = (value: ImapValue | undefined): value is readonly ImapValue[] => Array.isArray(value);

/** An unsigned number of 32 bits (RFC 9051 §9, `number`), or undefined. */
export function numberOf(value: ImapValue | undefined): number | undefined {
  if (typeof value !== 'string' || !/^\d{1,10}$/.test(value)) return undefined;
  const number = Number(value);
  return number <= 0xff_ff_ff_ff ? number : undefined;
}

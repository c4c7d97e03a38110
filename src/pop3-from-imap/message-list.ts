/**
 * The messages of INBOX, as POP3 numbers them.
 *
 * Messages that carry \Deleted are left out: some IMAP reader has done away with them, or we have, at a server that could not expunge them
 * (./maildrop.ts). Two numbers are kept for each message, 12 octets, so that the largest mailboxes of Exchange (a million messages) cost 12 MB.
 *
 * Source: RFC 1939 §5 and §7 (UIDL: 1 to 70 printable characters); RFC 9051 §2.3.1.1 (UIDVALIDITY and UID name a message for ever).
 *
 * @packageDocumentation
 */
import { type DataResponse, fetchItems, ImapSyntaxError, isList, numberOf } from './imap-response.ts';

/** More than that is not served. */
export const MOST_MESSAGES = 1_000_000;

/** A message as POP3 shows it. */
export interface ListedMessage {
  readonly uid: number;
  /** RFC822.SIZE: octets, as the server has them; Exchange estimates unless told otherwise (ImapEnableExactRFC822Size). */
  readonly size: number;
}

/** Ascending by UID. */
export class MessageList {
  readonly uidValidity: number;
  readonly #uids: Uint32Array;
  readonly #sizes: Float64Array;

  constructor(uidValidity: number, messages: readonly ListedMessage[]) {
    this.uidValidity = uidValidity;
    this.#uids = Uint32Array.from(messages, ({ uid }) => uid);
    this.#sizes = Float64Array.from(messages, ({ size }) => size);
  }

  get count(): number {
    return this.#uids.length;
  }

  /** @param number - From 1, as in POP3. Undefined where there is no such message. */
  get(number: number): ListedMessage | undefined {
    const uid = this.#uids[number - 1];
    return uid === undefined ? undefined : { uid, size: this.#sizes[number - 1] ?? 0 };
  }

  /** The same for ever, in every session and after every restart, as long as the server keeps UIDVALIDITY. */
  uniqueId({ uid }: ListedMessage): string {
    return `${this.uidValidity}.${uid}`;
  }
}

/** Collects what FETCH (UID FLAGS RFC822.SIZE) says, in whatever order and however often. */
export class MessageCollector {
  readonly #messages = new Map<number, number>();

  /** @throws ImapSyntaxError */
  add(response: DataResponse): void {
    if (response.name !== 'FETCH') return;
    const items = fetchItems(response);
    const uid = numberOf(items.get('UID'));
    const flags = items.get('FLAGS');
    const size = sizeOf(items.get('RFC822.SIZE'));
    // A change of flags that the server tells of by itself; the answer proper has all three.
    if (uid === undefined || uid === 0 || size === undefined || !isList(flags)) return;
    const isDeleted = flags.some((flag) => typeof flag === 'string' && flag.toUpperCase() === '\\DELETED');
    if (isDeleted) this.#messages.delete(uid);
    else this.#messages.set(uid, size);
    if (this.#messages.size > MOST_MESSAGES) throw new ImapSyntaxError('more messages than it has announced');
  }

  list(uidValidity: number): MessageList {
    const messages = [...this.#messages].map(([uid, size]) => ({ uid, size }));
    return new MessageList(
      uidValidity,
      messages.sort((one, other) => one.uid - other.uid),
    );
  }
}

/** RFC822.SIZE has 64 bits in RFC 9051. */
function sizeOf(value: unknown): number | undefined {
  return typeof value === 'string' && /^\d{1,15}$/.test(value) ? Number(value) : undefined;
}

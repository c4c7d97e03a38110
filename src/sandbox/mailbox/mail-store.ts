/**
 * Mailboxes and their folders, in memory and bounded.
 *
 * All mailboxes together keep 1,000 messages and 256 MB; beyond that the oldest messages vanish, whatever folder they are in, as if somebody
 * had expunged them. Content is never copied: a message that was submitted is the same Buffer that ./../received-messages.ts lists.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../core/clock.ts';

/** A message in a folder. */
export interface StoredMessage {
  /** RFC 3501 §2.3.1.1: ascending within the folder, never used again. */
  readonly uid: number;
  readonly octets: Buffer;
  readonly receivedAt: EpochMs;
  /** With the backslash of system flags: `\Seen`. */
  readonly flags: Set<string>;
}

/** The limits. */
export interface StoreCaps {
  readonly messages: number;
  readonly octets: number;
}

const DEFAULT_CAPS: StoreCaps = { messages: 1_000, octets: 256 * 1024 * 1024 };
const MOST_FOLDERS = 100;

/** Folders that every mailbox has, with their attribute of RFC 6154 §2. */
const FIRST_FOLDERS = new Map([
  ['INBOX', ''],
  ['Archive', '\\Archive'],
  ['Deleted Items', '\\Trash'],
  ['Drafts', '\\Drafts'],
  ['Junk Email', '\\Junk'],
  ['Sent Items', '\\Sent'],
]);

/** The attribute of a folder, or `''`. */
export const specialUseOf = (folder: string): string => FIRST_FOLDERS.get(folder) ?? '';

export class Folder {
  readonly name: string;
  readonly uidValidity: number;
  readonly #messages = new Map<number, StoredMessage>();
  readonly #listeners = new Set<() => void>();
  #uidNext = 1;

  constructor(name: string, uidValidity: number) {
    this.name = name;
    this.uidValidity = uidValidity;
  }

  get uidNext(): number {
    return this.#uidNext;
  }

  /** In the order of their UIDs. */
  list(): readonly StoredMessage[] {
    return [...this.#messages.values()];
  }

  has(message: StoredMessage): boolean {
    return this.#messages.get(message.uid) === message;
  }

  /** Call `listener` after each message that comes or goes. Returns the function that stops it. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** For {@link MailStore} only, which counts. */
  put(octets: Buffer, receivedAt: EpochMs, flags: Iterable<string>): StoredMessage {
    const message = { uid: this.#uidNext, octets, receivedAt, flags: new Set(flags) };
    this.#uidNext += 1;
    this.#messages.set(message.uid, message);
    this.#tell();
    return message;
  }

  /** For {@link MailStore} only. */
  take(message: StoredMessage): boolean {
    if (!this.has(message)) return false;
    this.#messages.delete(message.uid);
    this.#tell();
    return true;
  }

  #tell(): void {
    for (const listener of this.#listeners) listener();
  }
}

export class MailStore {
  readonly #caps: StoreCaps;
  readonly #mailboxes = new Map<string, Map<string, Folder>>();
  /** Oldest first: a Map keeps the order of insertion. */
  readonly #order = new Map<StoredMessage, Folder>();
  #uidValidity: number;
  #octets = 0;

  /** @param now - UIDVALIDITY starts at its second, so that no client takes a UID of an earlier run for one of this. */
  constructor(now: EpochMs, caps: StoreCaps = DEFAULT_CAPS) {
    this.#uidValidity = Math.floor(now / 1_000);
    this.#caps = caps;
  }

  /** In the order of their making, INBOX first. */
  folders(mailbox: string): readonly Folder[] {
    return [...this.#open(mailbox).values()];
  }

  /** INBOX in any case (RFC 3501 §5.1). */
  find(mailbox: string, name: string): Folder | undefined {
    return this.#open(mailbox).get(name.toUpperCase() === 'INBOX' ? 'INBOX' : name);
  }

  /** Undefined where there are too many folders or one of that name. */
  create(mailbox: string, name: string): Folder | undefined {
    const folders = this.#open(mailbox);
    if (folders.size >= MOST_FOLDERS || this.find(mailbox, name) !== undefined) return undefined;
    return this.#make(folders, name);
  }

  add(folder: Folder, octets: Buffer, receivedAt: EpochMs, flags: Iterable<string> = []): StoredMessage {
    const message = folder.put(octets, receivedAt, flags);
    this.#order.set(message, folder);
    this.#octets += octets.length;
    for (const [oldest, home] of this.#order) {
      if (this.#order.size <= this.#caps.messages && this.#octets <= this.#caps.octets) break;
      this.remove(home, oldest);
    }
    return message;
  }

  remove(folder: Folder, message: StoredMessage): void {
    if (!this.#order.delete(message)) return;
    this.#octets -= message.octets.length;
    folder.take(message);
  }

  #open(mailbox: string): Map<string, Folder> {
    const address = mailbox.toLowerCase();
    const known = this.#mailboxes.get(address);
    if (known !== undefined) return known;
    const folders = new Map<string, Folder>();
    for (const name of FIRST_FOLDERS.keys()) this.#make(folders, name);
    this.#mailboxes.set(address, folders);
    return folders;
  }

  #make(folders: Map<string, Folder>, name: string): Folder {
    const folder = new Folder(name, this.#uidValidity);
    this.#uidValidity += 1;
    folders.set(name, folder);
    return folder;
  }
}

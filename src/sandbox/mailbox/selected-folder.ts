/**
 * A folder as one IMAP session sees it: sequence numbers stay until the session is told otherwise (RFC 3501 §7.4.1).
 *
 * @packageDocumentation
 */
import type { Folder, StoredMessage } from './mail-store.ts';
import { parseNumberSet } from './number-set.ts';

/** A message with the number it has in this session. */
export interface NumberedMessage {
  readonly number: number;
  readonly message: StoredMessage;
}

export class SelectedFolder {
  readonly folder: Folder;
  readonly isReadOnly: boolean;
  readonly #view: StoredMessage[];
  #lastUid: number;

  constructor(folder: Folder, isReadOnly: boolean) {
    this.folder = folder;
    this.isReadOnly = isReadOnly;
    this.#view = [...folder.list()];
    this.#lastUid = folder.uidNext - 1;
  }

  get size(): number {
    return this.#view.length;
  }

  get largestUid(): number {
    return this.#view.at(-1)?.uid ?? 0;
  }

  all(): readonly NumberedMessage[] {
    return this.#view.map((message, index) => ({ number: index + 1, message }));
  }

  /** @throws ImapSyntaxError where the set is none. */
  pick(set: string, isByUid: boolean): readonly NumberedMessage[] {
    const isIn = parseNumberSet(set, isByUid ? this.largestUid : this.size);
    return this.all().filter(({ number, message }) => isIn(isByUid ? message.uid : number));
  }

  /** What has changed since the session was last told, as untagged responses. */
  changes(): readonly string[] {
    const lines: string[] = [];
    for (let index = 0; index < this.#view.length; ) {
      const message = this.#view[index];
      if (message === undefined || this.folder.has(message)) index += 1;
      else {
        this.#view.splice(index, 1);
        lines.push(`* ${index + 1} EXPUNGE`);
      }
    }
    const fresh = this.folder.list().filter(({ uid }) => uid > this.#lastUid);
    this.#view.push(...fresh);
    this.#lastUid = this.folder.uidNext - 1;
    return fresh.length === 0 ? lines : [...lines, `* ${this.#view.length} EXISTS`];
  }
}

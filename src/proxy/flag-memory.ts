/**
 * Which flags of which message an application has been told, as a digest of four octets a message.
 *
 * When a session goes on over another connection, a message whose flags are others than the application knows is told to it, and no other. What it never
 * asked for it need not know.
 *
 * @packageDocumentation
 */

/** Nothing was told. */
const UNTOLD = 0;
/** Something was told, and nobody here has read what. */
const UNREAD = 1;
/** 64 KB. An application that has seen the flags of more messages than this cannot be told what changed. */
const MOST = 16_384;

/** How a message's flags compare with what was told. */
export type FlagNews = 'untold' | 'same' | 'changed';

export class FlagMemory {
  /** By sequence number, less one. */
  #digests = new Uint32Array(0);
  /** Highest sequence number of which something was told. */
  #highest = 0;
  #lowest = Infinity;
  #isFull = false;

  /** More was told than is remembered. */
  get isFull(): boolean {
    return this.#isFull;
  }

  /** Sequence numbers between which something was told; undefined where nothing was. */
  get range(): readonly [lowest: number, highest: number] | undefined {
    return this.#highest < this.#lowest ? undefined : [this.#lowest, this.#highest];
  }

  /** @param flags - As listed, between the parentheses; undefined where they were told and could not be read. */
  told(sequence: number, flags: string | undefined): void {
    if (sequence > MOST) this.#isFull = true;
    if (this.#isFull || sequence < 1) return;
    if (sequence > this.#digests.length) {
      const grown = new Uint32Array(Math.min(MOST, Math.max(64, sequence, this.#digests.length * 2)));
      grown.set(this.#digests);
      this.#digests = grown;
    }
    this.#digests[sequence - 1] = flags === undefined ? UNREAD : digestOf(flags);
    this.#highest = Math.max(this.#highest, sequence);
    this.#lowest = Math.min(this.#lowest, sequence);
  }

  /** A message is gone, and those behind it have moved up (RFC 9051 §7.5.1). */
  expunged(sequence: number): void {
    if (sequence < 1 || sequence > this.#highest) return;
    this.#digests.copyWithin(sequence - 1, sequence);
    this.#highest -= 1;
    this.#digests[this.#highest] = UNTOLD;
    if (sequence < this.#lowest) this.#lowest -= 1;
  }

  compare(sequence: number, flags: string): FlagNews {
    const known = this.#digests[sequence - 1] ?? UNTOLD;
    if (known === UNTOLD) return 'untold';
    return known === digestOf(flags) ? 'same' : 'changed';
  }
}

/** FNV-1a over the flags in order. `\Recent` belongs to a connection, not to a message (RFC 3501 §2.3.2). */
function digestOf(flags: string): number {
  const names = flags
    .toLowerCase()
    .split(' ')
    .filter((flag) => flag !== '' && flag !== '\\recent');
  let digest = 0x811c9dc5;
  for (const character of names.toSorted().join(' ')) digest = Math.imul(digest ^ character.charCodeAt(0), 0x01000193);
  return Math.max(digest >>> 0, UNREAD + 1);
}

/**
 * Finds the end of the header section in content that arrives in chunks cut anywhere.
 *
 * The section ends at the first empty line. It also ends before the first line that cannot be part of it, since applications send
 * messages without a header section, or forget the empty line: what follows is body then, and whoever sends the message on must put the empty
 * line in, or a reader downstream might go on finding fields where we stopped. Two kinds of line decide more:
 *
 * - `From ` (or `>From `) as the very first line, followed by a field, is the separator of an mbox file that the application sent along.
 * - A NUL where a field name would stand makes the whole section unusable.
 *
 * A line that starts with white space continues the field before it; as the very first line it cannot, and is body.
 *
 * Pure; each octet is looked at a bounded number of times, whatever the cuts. The verdict does not depend on the cuts.
 *
 * Source: RFC 5322 §2.2 (field names are printable US-ASCII without colon), §2.2.3 (folding), §4.5 (white space before the colon is obsolete, not
 * wrong), §2.1.1 (998 octets a line); RFC 4155 (mbox).
 *
 * @packageDocumentation
 */
import type { Octets } from '../core/octets.ts';
import { CARRIAGE_RETURN, COLON, findLineEnd, isWhiteSpace, LINE_FEED, NUL, SPACE, skipLineEnd } from './line-ends.ts';

/** Why the header section ended. `not-a-field`: an empty line is missing. */
export type HeaderEnding = 'empty-line' | 'not-a-field' | 'end-of-content';

/** What the scanner found. */
export type HeaderVerdict =
  /** The section is the first `length` octets, with the empty line that ended it. */
  | { readonly kind: 'found'; readonly length: number; readonly ending: HeaderEnding; readonly hasMailboxLine: boolean }
  | { readonly kind: 'too-large' }
  | { readonly kind: 'nul' };

type LineKind = 'undecided' | 'empty' | 'field' | 'continuation' | 'not-a-field' | 'nul';

/** A field name, or an mbox separator, that is longer than a line may be is none (RFC 5322 §2.1.1). So a verdict never needs to look further. */
const LONGEST_LINE = 998;

/** Collects chunks until the end of the header section is known. Holds the limit, a line's start and one chunk at most. */
export class HeaderScanner {
  readonly #limit: number;
  #octets: Uint8Array = new Uint8Array(0);
  #length = 0;
  /** Start of the line being read. */
  #lineStart = 0;
  /** Known to belong to the section: only its end is looked for, from `#scanned` on. */
  #isLineOurs = false;
  #scanned = 0;
  #hasField = false;
  #hasMailboxLine = false;

  /** @param limit - Largest header section allowed, the empty line included. */
  constructor(limit: Octets) {
    this.#limit = limit;
  }

  /** All octets pushed so far: the header section and what came with it. */
  get collected(): Uint8Array {
    return this.#octets.subarray(0, this.#length);
  }

  /** @returns Undefined while more octets are needed. Not to be called again after a verdict. */
  push(chunk: Uint8Array): HeaderVerdict | undefined {
    this.#append(chunk);
    return this.#scan(false);
  }

  /** The content has come to its end. */
  finish(): HeaderVerdict {
    return this.#scan(true) ?? (this.#isOnlyMailboxLine() ? this.#foundNone() : this.#found(this.#length, 'end-of-content'));
  }

  /** The first chunk is used as it is; buffers of our own double, so that single octets cost no more than large chunks. */
  #append(chunk: Uint8Array): void {
    const length = this.#length + chunk.length;
    if (this.#length === 0) {
      this.#octets = chunk;
    } else {
      if (length > this.#octets.length) {
        const larger = new Uint8Array(Math.max(length, Math.min(this.#length * 2, this.#limit + LONGEST_LINE)));
        larger.set(this.collected);
        this.#octets = larger;
      }
      this.#octets.set(chunk, this.#length);
    }
    this.#length = length;
  }

  #scan(isComplete: boolean): HeaderVerdict | undefined {
    for (;;) {
      const verdict = this.#isLineOurs ? undefined : this.#startLine(isComplete);
      if (verdict !== undefined) return verdict;
      if (!this.#isLineOurs) break;
      const isNextLine = this.#endLine(isComplete);
      if (this.#isOnlyMailboxLine() && this.#scanned > LONGEST_LINE) return this.#foundNone();
      if (!isNextLine) break;
    }
    return this.#isSurelyTooLarge() ? { kind: 'too-large' } : undefined;
  }

  /** Decide what the line is. Takes it into the section, or gives the verdict; neither where more octets are needed. */
  #startLine(isComplete: boolean): HeaderVerdict | undefined {
    const start = this.#lineStart;
    if (start === this.#length) return undefined;
    const kind = this.#classify(isComplete);
    if (this.#isOnlyMailboxLine() && kind !== 'undecided' && kind !== 'field') return this.#foundNone();
    switch (kind) {
      case 'undecided':
        return undefined;
      case 'empty': {
        const end = skipLineEnd(this.#octets, start, this.#length, isComplete);
        return end === undefined ? undefined : this.#found(end, 'empty-line');
      }
      case 'nul':
        return start > this.#limit ? { kind: 'too-large' } : { kind: 'nul' };
      case 'not-a-field':
        if (start > 0 || !this.#isMailboxLine()) return this.#found(start, 'not-a-field');
        this.#hasMailboxLine = true;
        break;
      case 'field':
        this.#hasField = true;
        break;
      case 'continuation':
        break;
    }
    this.#isLineOurs = true;
    this.#scanned = start;
    return undefined;
  }

  /** @returns True where the line's end has been found and the next line begins. */
  #endLine(isComplete: boolean): boolean {
    const end = findLineEnd(this.#octets, this.#scanned, this.#length);
    this.#scanned = end;
    const next = end === this.#length ? undefined : skipLineEnd(this.#octets, end, this.#length, isComplete);
    if (next === undefined) return false;
    this.#lineStart = next;
    this.#isLineOurs = false;
    return true;
  }

  #classify(isComplete: boolean): LineKind {
    const octets = this.#octets;
    const start = this.#lineStart;
    const first = octets[start];
    if (first === CARRIAGE_RETURN || first === LINE_FEED) return 'empty';
    if (isWhiteSpace(first)) return this.#hasField ? 'continuation' : 'not-a-field';
    const to = Math.min(this.#length, start + LONGEST_LINE);
    let at = Math.max(start, this.#scanned); // where the last look at this line stopped
    if (at === start || !isWhiteSpace(octets[at - 1])) at = skipName(octets, at, to);
    while (at < to && isWhiteSpace(octets[at])) at += 1;
    this.#scanned = at;
    if (at === to) return to === this.#length && to < start + LONGEST_LINE && !isComplete ? 'undecided' : 'not-a-field';
    if (octets[at] === NUL) return 'nul';
    return octets[at] === COLON && at > start ? 'field' : 'not-a-field';
  }

  /** The first line, known to be no field, begins like the separator of an mbox file. */
  #isMailboxLine(): boolean {
    return /^>*From /.test(Buffer.from(this.#octets.subarray(0, LONGEST_LINE)).toString('latin1'));
  }

  /** True until a field has shown that the separator is one. */
  #isOnlyMailboxLine(): boolean {
    return this.#hasMailboxLine && !this.#hasField;
  }

  /** A text without header section that only begins with "From ". */
  #foundNone(): HeaderVerdict {
    this.#hasMailboxLine = false;
    return this.#found(0, 'not-a-field');
  }

  #found(length: number, ending: HeaderEnding): HeaderVerdict {
    if (length > this.#limit) return { kind: 'too-large' };
    return { kind: 'found', length, ending, hasMailboxLine: this.#hasMailboxLine };
  }

  /** The section cannot end within the limit any more, however the content goes on. */
  #isSurelyTooLarge(): boolean {
    return this.#hasField && (this.#isLineOurs ? this.#scanned : this.#lineStart) > this.#limit;
  }
}

/** Past the octets a field name may hold: 33–126 without the colon (RFC 5322 §2.2). */
function skipName(octets: Uint8Array, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const octet = octets[at] ?? NUL;
    if (octet <= SPACE || octet > 0x7e || octet === COLON) break;
    at += 1;
  }
  return at;
}

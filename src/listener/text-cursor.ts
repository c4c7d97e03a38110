/**
 * A place in a text that only moves forwards, so that whatever reads with it takes linear time by construction.
 *
 * @packageDocumentation
 */

export class TextCursor {
  readonly text: string;
  #at = 0;
  #steps = 0;

  constructor(text: string) {
    this.text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.text.length;
  }

  /** Characters looked at so far; tests hold this against the length of the text. */
  get steps(): number {
    return this.#steps;
  }

  /** The character here, `''` at the end. */
  peek(): string {
    this.#steps += 1;
    return this.text.charAt(this.#at);
  }

  /** Step over `character` if it stands here. */
  take(character: string): boolean {
    if (this.peek() !== character) return false;
    this.#at += 1;
    return true;
  }

  /** The character here, stepped over; `''` at the end. */
  next(): string {
    const character = this.peek();
    this.#at += 1;
    return character;
  }

  /** Everything from here up to the first character that `isWanted` refuses. */
  takeWhile(isWanted: (character: string) => boolean): string {
    const start = this.#at;
    while (!this.isAtEnd && isWanted(this.peek())) this.#at += 1;
    return this.text.slice(start, this.#at);
  }

  skipBlanks(): void {
    this.takeWhile((character) => character === ' ' || character === '\t');
  }

  /** Everything from here to the end. */
  takeRest(): string {
    const start = this.#at;
    this.#at = this.text.length;
    this.#steps += this.text.length - start;
    return this.text.slice(start);
  }
}

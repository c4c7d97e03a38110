/**
 * The words, comments and special characters of a structured header field.
 *
 * Pure; one pass, each character is looked at once or twice; nesting is counted, not recursed into.
 *
 * Source: RFC 5322 §3.2 (lexical tokens), §3.4.1 (domain literals); RFC 6532 §3.2 (characters beyond ASCII are ordinary ones).
 *
 * @packageDocumentation
 */

/** One token. Comments are dropped; they leave {@link AddressToken.isSpaced} as the white space around them makes it. */
export interface AddressToken {
  /** `special` is a single one of `<>@,;:.`, or a character that stands where it may not. */
  readonly kind: 'atom' | 'quoted' | 'literal' | 'special';
  /** The characters; of a quoted string its content, unescaped; of a literal the whole with its brackets. */
  readonly text: string;
  /** White space stands before it. */
  readonly isSpaced: boolean;
}

/** What {@link tokenizeAddresses} found. */
export interface AddressTokens {
  readonly tokens: readonly AddressToken[];
  /** A string, comment or literal has no end, or a control character stands somewhere. */
  readonly isMalformed: boolean;
}

const SPECIALS = new Set('()<>[]:;@\\,."');
const isSpace = (character: string): boolean => character === ' ' || character === '\t' || character === '\r' || character === '\n';
const isControl = (character: string): boolean => character < ' ' || character === '\u007f';

/** Cut the value of a field into tokens. */
export function tokenizeAddresses(value: string): AddressTokens {
  return new Tokenizer(value).run();
}

class Tokenizer {
  readonly #value: string;
  readonly #tokens: AddressToken[] = [];
  #at = 0;
  #isSpaced = false;
  #isMalformed = false;

  constructor(value: string) {
    this.#value = value;
  }

  run(): AddressTokens {
    while (this.#at < this.#value.length) this.#next();
    return { tokens: this.#tokens, isMalformed: this.#isMalformed };
  }

  get #character(): string {
    return this.#value.charAt(this.#at);
  }

  #next(): void {
    const character = this.#character;
    if (isSpace(character) || isControl(character)) {
      this.#isMalformed ||= !isSpace(character);
      this.#isSpaced = true;
      this.#at += 1;
    } else if (character === '(') this.#skipComment();
    else if (character === '"') this.#add('quoted', this.#bracketed('"'));
    else if (character === '[') this.#add('literal', `[${this.#bracketed(']').replace(/[ \t]+/g, '')}]`);
    else if (SPECIALS.has(character)) {
      this.#at += 1;
      this.#add('special', character);
    } else this.#add('atom', this.#atom());
  }

  #add(kind: AddressToken['kind'], text: string): void {
    this.#tokens.push({ kind, text, isSpaced: this.#isSpaced });
    this.#isSpaced = false;
  }

  #atom(): string {
    const start = this.#at;
    while (this.#at < this.#value.length) {
      const character = this.#character;
      if (SPECIALS.has(character) || character === ' ' || isControl(character)) break;
      this.#at += 1;
    }
    return this.#value.slice(start, this.#at);
  }

  /** Comments nest (RFC 5322 §3.2.2). */
  #skipComment(): void {
    let depth = 0;
    while (this.#at < this.#value.length) {
      const character = this.#character;
      this.#isMalformed ||= isControl(character) && !isSpace(character);
      this.#at += character === '\\' ? 2 : 1;
      if (character === '(') depth += 1;
      else if (character === ')') depth -= 1;
      if (depth === 0) return;
    }
    this.#isMalformed = true;
  }

  /** What stands between the character here and the next `close`; a backslash takes the next character as it is (§3.2.1). */
  #bracketed(close: '"' | ']'): string {
    const parts: string[] = [];
    let start = this.#at + 1;
    this.#at = start;
    while (this.#at < this.#value.length) {
      const character = this.#character;
      this.#isMalformed ||= isControl(character) && !isSpace(character);
      if (character === close) {
        parts.push(this.#value.slice(start, this.#at));
        this.#at += 1;
        return parts.join('');
      }
      if (character === '\\') {
        parts.push(this.#value.slice(start, this.#at));
        start = this.#at + 1;
        this.#at += 1;
      }
      this.#at += 1;
    }
    this.#isMalformed = true;
    parts.push(this.#value.slice(start));
    return parts.join('');
  }
}

/**
 * The arguments of LOGIN, in all the forms that applications give them.
 *
 * Pure. A word is an atom, a quoted string or a literal (RFC 9051 §4.3, `astring`). Where the grammar leaves no doubt what is meant, more is taken than it
 * allows: any printable octet in an atom, octets above 127, a lone backslash in a quoted string, several blanks.
 *
 * @packageDocumentation
 */

/** A literal that the line announces; its octets follow the line end. */
export interface AnnouncedLiteral {
  readonly size: number;
  /** `{n}`: the application waits for our consent. `{n+}` (RFC 7888): it does not. */
  readonly isSynchronising: boolean;
}

/** Words of one line, as octets in latin1, and the literal that comes next. */
export interface WordsOfLine {
  readonly words: readonly string[];
  readonly literal?: AnnouncedLiteral;
}

const LITERAL = /^\{(\d{1,10})(\+?)\}$/;

/** @param line - Without line end. @returns Undefined where it is not words. */
export function splitWords(line: string): WordsOfLine | undefined {
  const words: string[] = [];
  let at = 0;
  for (;;) {
    while (line[at] === ' ') at += 1;
    if (at >= line.length) return { words };
    const literal = announcedLiteral(line.slice(at));
    if (literal !== undefined) return { words, literal };
    const word = line[at] === '"' ? quotedAt(line, at) : atomAt(line, at);
    if (word === undefined || (word.end < line.length && line[word.end] !== ' ')) return undefined;
    words.push(word.text);
    at = word.end;
  }
}

/** The literal that a word of its own at the end of a line announces. */
function announcedLiteral(word: string): AnnouncedLiteral | undefined {
  const match = LITERAL.exec(word);
  return match === null ? undefined : { size: Number(match[1]), isSynchronising: match[2] === '' };
}

/** The literal that a line of any command announces. */
export function literalAtEnd(line: string): AnnouncedLiteral | undefined {
  const start = line.lastIndexOf('{');
  return start === -1 ? undefined : announcedLiteral(line.slice(start));
}

interface Word {
  readonly text: string;
  /** Behind the word. */
  readonly end: number;
}

function quotedAt(line: string, start: number): Word | undefined {
  let text = '';
  for (let at = start + 1; at < line.length; at += 1) {
    const next = line[at];
    if (next === '"') return { text, end: at + 1 };
    const escaped = line[at + 1];
    if (next === '\\' && (escaped === '"' || escaped === '\\')) {
      text += escaped;
      at += 1;
    } else text += next;
  }
  return undefined;
}

function atomAt(line: string, start: number): Word | undefined {
  const end = line.indexOf(' ', start);
  const text = line.slice(start, end === -1 ? line.length : end);
  return /[\u0000-\u001f\u007f]/.test(text) ? undefined : { text, end: start + text.length };
}

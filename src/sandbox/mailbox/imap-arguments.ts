/**
 * A command's arguments as a tree (RFC 3501 §9).
 *
 * Atoms and quoted strings become text, literals stay octets, parentheses become lists. `BODY[HEADER.FIELDS (DATE)]<0.9>` is one atom.
 *
 * @packageDocumentation
 */

/** One argument. */
export type Argument = string | Buffer | readonly Argument[];

/** The arguments do not follow the grammar, or ask for what is not there; its message goes behind BAD. */
export class ImapSyntaxError extends Error {
  override readonly name = 'ImapSyntaxError';
}

/** Stands in a command's text for the literal that was sent there. Cannot be in a line: NUL is not in the grammar. */
export const LITERAL_MARK = '\0';

const DEEPEST = 20;

/** @param text - With {@link LITERAL_MARK} for each of `literals`. @throws ImapSyntaxError */
export function parseArguments(text: string, literals: readonly Buffer[]): readonly Argument[] {
  const rest = [...literals];
  let at = 0;

  function quoted(): string {
    const match = /"((?:[^"\\]|\\["\\])*)"/y;
    match.lastIndex = at;
    const found = match.exec(text);
    if (found === null) throw new ImapSyntaxError('Command Argument Error. 10');
    at = match.lastIndex;
    return (found[1] ?? '').replace(/\\(.)/g, '$1');
  }

  function atom(): string {
    const match = /(?:[^\s()"[\]\0]|\[[^\]\0]*\]|\])+/y;
    match.lastIndex = at;
    const found = match.exec(text);
    if (found === null) throw new ImapSyntaxError('Command Argument Error. 11');
    at = match.lastIndex;
    return found[0];
  }

  function list(depth: number): Argument[] {
    if (depth > DEEPEST) throw new ImapSyntaxError('Command Argument Error. 12');
    const items: Argument[] = [];
    for (;;) {
      while (text[at] === ' ') at += 1;
      const next = text[at];
      if (next === undefined || next === ')') return items;
      if (next === '(') {
        at += 1;
        items.push(list(depth + 1));
        if (text[at] !== ')') throw new ImapSyntaxError('Command Argument Error. 13');
        at += 1;
      } else if (next === LITERAL_MARK) {
        at += 1;
        items.push(rest.shift() ?? Buffer.alloc(0));
      } else items.push(next === '"' ? quoted() : atom());
    }
  }

  const items = list(0);
  if (at < text.length) throw new ImapSyntaxError('Command Argument Error. 14');
  return items;
}

/** @throws ImapSyntaxError where it is missing or a list. */
export function textOf(argument: Argument | undefined): string {
  if (typeof argument === 'string') return argument;
  if (Buffer.isBuffer(argument)) return argument.toString('latin1');
  throw new ImapSyntaxError('Command Argument Error. 15');
}

/** The items of a list; anything else as a list of one. */
export const itemsOf = (argument: Argument | undefined): readonly Argument[] =>
  argument === undefined ? [] : typeof argument === 'string' || Buffer.isBuffer(argument) ? [argument] : argument;

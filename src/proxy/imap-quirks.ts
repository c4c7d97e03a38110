/**
 * What Exchange Online does otherwise than legacy readers expect, put right on the way. Each is a switch of the listener.
 *
 * Pure.
 *
 * Sources: RFC 9051 §6.4.4 (SEARCH, BADCHARSET), RFC 6154 §2 (attributes of LIST for special use), RFC 3501 §6.4.4.
 *
 * @packageDocumentation
 */

const CHARSET = /^(\S+ +(?:UID +)?SEARCH +(?:RETURN +\([^)]*\) +)?)CHARSET +(?:"UTF-8"|UTF-8) +/i;

/**
 * A search without `CHARSET UTF-8`, where it has nothing but ASCII: it means the same then, and a server that knows no UTF-8 takes it.
 *
 * @param line - First line of a SEARCH command, with its end, as octets in latin1.
 * @returns The same line where it has other text, or literals, which come later and may have any.
 */
export function withoutCharset(line: string): string {
  return /[^\t\r\n\x20-\x7e]/.test(line) || /\}\r?\n$/.test(line) ? line : line.replace(CHARSET, '$1');
}

/** By the whole name, in lower case. Exchange's own names in English, then those that mail programs make. */
const SPECIAL: ReadonlyMap<string, string> = new Map([
  ['drafts', '\\Drafts'],
  ['sent items', '\\Sent'],
  ['sent', '\\Sent'],
  ['sent messages', '\\Sent'],
  ['deleted items', '\\Trash'],
  ['deleted messages', '\\Trash'],
  ['trash', '\\Trash'],
  ['junk email', '\\Junk'],
  ['junk e-mail', '\\Junk'],
  ['junk', '\\Junk'],
  ['spam', '\\Junk'],
  ['archive', '\\Archive'],
]);

const LIST = /^(\* LIST \()([^()]*)\) (?:"(?:[^"\\]|\\.)"|NIL) (?:"([^"\\]*)"|([^\s"{]+))\r?\n$/i;

/**
 * A LIST response with the attribute of its mailbox's special use, where the name is well known and the server has not said.
 *
 * @param line - An untagged response, with its end.
 */
export function withSpecialUse(line: string): string {
  const [, start, attributes = '', quoted, atom = ''] = LIST.exec(line) ?? [];
  const use = SPECIAL.get((quoted ?? atom).toLowerCase());
  if (start === undefined || use === undefined) return line;
  if (/\\(?:All|Archive|Drafts|Flagged|Junk|Sent|Trash|NonExistent|NoSelect)\b/i.test(attributes)) return line;
  const all = attributes === '' ? use : `${attributes} ${use}`;
  return start + all + line.slice(start.length + attributes.length);
}

/**
 * The items of FETCH (RFC 3501 §6.4.5), one after another, as octets.
 *
 * @packageDocumentation
 */
import { parseSectionItem, sectionOctets } from './body-section.ts';
import { parseEntity, splitHeader } from './entity.ts';
import { type Argument, ImapSyntaxError, itemsOf, textOf } from './imap-arguments.ts';
import type { StoredMessage } from './mail-store.ts';
import { envelopeOf, structureOf } from './structure.ts';

const MACROS = new Map([
  ['ALL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE']],
  ['FAST', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE']],
  ['FULL', ['FLAGS', 'INTERNALDATE', 'RFC822.SIZE', 'ENVELOPE', 'BODY']],
]);
/** What RFC822 and its like are short for. */
const OLD_NAMES = new Map([
  ['RFC822', 'BODY[]'],
  ['RFC822.HEADER', 'BODY.PEEK[HEADER]'],
  ['RFC822.TEXT', 'BODY[TEXT]'],
]);
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** The names, macros replaced. */
export function fetchItems(argument: Argument | undefined): readonly string[] {
  const names = itemsOf(argument).map(textOf);
  if (names.length === 0) throw new ImapSyntaxError('Command Argument Error. 17');
  return names.flatMap((name) => MACROS.get(name.toUpperCase()) ?? [name]);
}

/** Does fetching it set `\Seen`? */
export function marksSeen(item: string): boolean {
  return parseSectionItem(OLD_NAMES.get(item.toUpperCase()) ?? item)?.isPeek === false;
}

export const flagList = (flags: Iterable<string>): string => `(${[...flags].join(' ')})`;

/** `"27-Nov-2026 10:00:00 +0000"`. */
export function internalDate(at: number): string {
  const date = new Date(at);
  const day = String(date.getUTCDate()).padStart(2, ' ');
  return `"${day}-${MONTHS[date.getUTCMonth()] ?? ''}-${date.getUTCFullYear()} ${date.toISOString().slice(11, 19)} +0000"`;
}

/** Name and value as on the wire. @throws ImapSyntaxError */
export function fetchItem(item: string, message: StoredMessage): readonly Buffer[] {
  const name = item.toUpperCase();
  const text = simpleItem(name, message);
  if (text !== undefined) return [Buffer.from(`${name} ${text}`, 'latin1')];
  const section = parseSectionItem(OLD_NAMES.get(name) ?? item);
  if (section === undefined) throw new ImapSyntaxError('Command Argument Error. 18');
  const octets = sectionOctets(message.octets, section);
  const start = section.partial === undefined ? '' : `<${section.partial.from}>`;
  const shown = OLD_NAMES.has(name) ? name : `BODY[${section.section}]${start}`;
  return [Buffer.from(`${shown} {${octets.length}}\r\n`, 'latin1'), octets];
}

function simpleItem(name: string, message: StoredMessage): string | undefined {
  switch (name) {
    case 'UID':
      return String(message.uid);
    case 'FLAGS':
      return flagList(message.flags);
    case 'INTERNALDATE':
      return internalDate(message.receivedAt);
    case 'RFC822.SIZE':
      return String(message.octets.length);
    case 'ENVELOPE':
      return envelopeOf(splitHeader(message.octets).header);
    case 'BODY':
    case 'BODYSTRUCTURE':
      return structureOf(parseEntity(message.octets));
    default:
      return undefined;
  }
}

/**
 * The octets that `BODY[section]<partial>` names (RFC 3501 §6.4.5).
 *
 * @packageDocumentation
 */
import { type Entity, nameOfField, parseEntity, rawFields } from './entity.ts';
import { ImapSyntaxError } from './imap-arguments.ts';

/** A fetch item that asks for octets. */
export interface SectionItem {
  /** `''`, `HEADER`, `1.2.MIME`; upper-case. */
  readonly section: string;
  readonly isPeek: boolean;
  readonly partial: { readonly from: number; readonly count: number } | undefined;
}

/** Undefined where the item is not of that kind. */
export function parseSectionItem(item: string): SectionItem | undefined {
  const match = /^BODY(\.PEEK)?\[([^\]]*)\](?:<(\d{1,10})\.(\d{1,10})>)?$/i.exec(item);
  if (match === null) return undefined;
  const [, peek, section = '', from, count] = match;
  const partial = from === undefined || count === undefined ? undefined : { from: Number(from), count: Number(count) };
  return { section: section.toUpperCase(), isPeek: peek !== undefined, partial };
}

/** @throws ImapSyntaxError where the section is none. */
export function sectionOctets(message: Buffer, { section, partial }: SectionItem): Buffer {
  const octets = whole(message, section);
  return partial === undefined ? octets : octets.subarray(partial.from, partial.from + partial.count);
}

function whole(message: Buffer, section: string): Buffer {
  if (section === '') return message;
  const [, numbers = '', word = ''] = /^((?:\d+(?:\.\d+)*)?)\.?(.*)$/s.exec(section) ?? [];
  const entity = numbers === '' ? parseEntity(message) : partOf(parseEntity(message), numbers);
  if (entity === undefined) return Buffer.alloc(0);
  if (numbers !== '' && word === '') return entity.body;
  if (numbers !== '' && word === 'MIME') return entity.header;
  // HEADER and TEXT of a part are those of the message it holds.
  const owner = numbers === '' ? entity : parseEntity(entity.body);
  if (word === 'HEADER') return owner.header;
  if (word === 'TEXT') return owner.body;
  const [, not, names] = /^HEADER\.FIELDS(\.NOT)? \(([^()]+)\)$/.exec(word) ?? [];
  if (names === undefined) throw new ImapSyntaxError('Command Argument Error. 16');
  const wanted = new Set(
    names
      .toLowerCase()
      .split(/ +/)
      .map((name) => name.replace(/^"(.*)"$/, '$1')),
  );
  const kept = rawFields(owner.header).filter((field) => wanted.has(nameOfField(field)) === (not === undefined));
  return Buffer.from(`${kept.join('')}\r\n`, 'latin1');
}

function partOf(entity: Entity, numbers: string): Entity | undefined {
  let found: Entity | undefined = entity;
  for (const number of numbers.split('.').map(Number)) {
    // A message that is no multipart has one part: its body.
    found = found.parts.length === 0 && number === 1 ? found : found.parts[number - 1];
    if (found === undefined) return undefined;
  }
  return found;
}

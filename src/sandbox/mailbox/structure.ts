/**
 * ENVELOPE and BODYSTRUCTURE of a message (RFC 3501 §7.4.2).
 *
 * Of the extension data of BODYSTRUCTURE nothing is sent, which the grammar allows; a message/rfc822 part is described as application/octet-stream.
 *
 * @packageDocumentation
 */
import { type Entity, fieldValue } from './entity.ts';

/** A string as the wire has it: NIL, quoted, or a literal where it must be. Latin-1. */
export function nstring(value: string | undefined): string {
  if (value === undefined) return 'NIL';
  return /[^\x20-\x7e]/.test(value) ? `{${value.length}}\r\n${value}` : `"${value.replace(/["\\]/g, '\\$&')}"`;
}

export function envelopeOf(header: Buffer): string {
  const field = (name: string): string | undefined => fieldValue(header, name);
  const from = addresses(field('from'));
  const people = ['sender', 'reply-to'].map((name) => (field(name) === undefined ? from : addresses(field(name))));
  const others = ['to', 'cc', 'bcc'].map((name) => addresses(field(name)));
  const texts = ['in-reply-to', 'message-id'].map((name) => nstring(field(name)));
  return `(${[nstring(field('date')), nstring(field('subject')), from, ...people, ...others, ...texts].join(' ')})`;
}

function addresses(value: string | undefined): string {
  const list = (value?.match(/(?:"(?:[^"\\]|\\.)*"|[^,"])+/g) ?? []).map((one) => one.trim()).filter((one) => one !== '');
  const shown = list.map((one) => {
    const [, name = '', inside] = /^(.*?)\s*<([^<>]*)>$/.exec(one) ?? [];
    const address = inside ?? one;
    const sign = address.lastIndexOf('@');
    const display = name.replace(/^"(.*)"$/s, '$1').replace(/\\(.)/g, '$1');
    return `(${nstring(display === '' ? undefined : display)} NIL ${nstring(sign === -1 ? address : address.slice(0, sign))} ${nstring(sign === -1 ? '' : address.slice(sign + 1))})`;
  });
  return shown.length === 0 ? 'NIL' : `(${shown.join('')})`;
}

export function structureOf(entity: Entity): string {
  if (entity.parts.length > 0) return `(${entity.parts.map(structureOf).join('')} ${nstring(entity.subtype)})`;
  const isPlain = !/^(?:message|multipart)$/i.test(entity.type);
  const [type, subtype] = isPlain ? [entity.type, entity.subtype] : ['application', 'octet-stream'];
  const parameters = [...entity.parameters].map(([name, value]) => `${nstring(name)} ${nstring(value)}`).join(' ');
  const fields = [
    nstring(type),
    nstring(subtype),
    parameters === '' ? 'NIL' : `(${parameters})`,
    nstring(fieldValue(entity.header, 'content-id')),
    nstring(fieldValue(entity.header, 'content-description')),
    nstring(fieldValue(entity.header, 'content-transfer-encoding') ?? '7bit'),
    String(entity.body.length),
    ...(type.toLowerCase() === 'text' ? [String(entity.body.toString('latin1').split('\n').length - 1)] : []),
  ];
  return `(${fields.join(' ')})`;
}

/**
 * What the public scanners for SMTP smuggling send: content with something in it that some server takes for the end of data, and behind it the commands of a
 * second message. RFC 5321 §4.1.1.4: only CRLF, a dot, CRLF ends content.
 *
 * @packageDocumentation
 */

/** What is taken for an end of data somewhere, with the row it belongs to. */
export const LOOKALIKES: readonly (readonly [row: 'F01' | 'F02' | 'F03' | 'F04', octets: string])[] = [
  ['F01', '\n.\n'],
  ['F02', '\n.\r\n'],
  ['F03', '\r.\r\n'],
  ['F03', '\r.\r'],
  ['F03', '\r.\n'],
  ['F03', '\n.\r'],
  ['F01', '\r\n.\n'],
  ['F03', '\r\n.\r'],
  ['F04', '\r\n.\r\r\n'],
  ['F04', '\r\r\n.\r\r\n'],
  ['F04', '\r\n\0.\r\n'],
  ['F04', '\r\n.\0\r\n'],
];

/** Envelope of the smuggled message. */
export interface Smuggled {
  readonly from: string;
  readonly to: string;
}

/** Lines of content: `first`, the octets, and a whole transaction as it would have to follow. No dot of its own ends it. */
export function smuggling(octets: string, { from, to }: Smuggled, first = 'first'): string {
  return `${first}${octets}MAIL FROM:<${from}>\r\nRCPT TO:<${to}>\r\nDATA\r\nFrom: ${from}\r\nSubject: smuggled\r\n\r\nsmuggled\r\n`;
}

/** A body as the upstream has to be sent it: every line end CRLF, leading dots doubled, the last line ended. */
export function inWireForm(body: string): string {
  const lines = body.split(/\r\n|\r|\n/);
  if (lines.at(-1) === '') lines.pop();
  return lines.map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`).join('');
}

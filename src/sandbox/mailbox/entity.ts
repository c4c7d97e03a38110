/**
 * A message or one of its parts: where its header ends, which fields it has, and the parts of a multipart (RFC 2046 §5.1.1).
 *
 * @packageDocumentation
 */

/** A header and its body; views on the message's octets. */
export interface Entity {
  /** With the empty line. */
  readonly header: Buffer;
  readonly body: Buffer;
  readonly type: string;
  readonly subtype: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** Empty but for a multipart. */
  readonly parts: readonly Entity[];
}

const DEEPEST = 10;
const MOST_PARTS = 200;

export function splitHeader(octets: Buffer): { readonly header: Buffer; readonly body: Buffer } {
  if (octets.subarray(0, 2).toString('latin1') === '\r\n') return { header: octets.subarray(0, 2), body: octets.subarray(2) };
  const end = octets.indexOf('\r\n\r\n');
  return end === -1
    ? { header: octets, body: octets.subarray(octets.length) }
    : { header: octets.subarray(0, end + 4), body: octets.subarray(end + 4) };
}

/** Each field as it stands, with its line end and folds. */
export const rawFields = (header: Buffer): readonly string[] =>
  header
    .toString('latin1')
    .replace(/\r\n$/, '')
    .split(/(?<=\r\n)(?![ \t])/)
    .filter((field) => field !== '' && field !== '\r\n');

export const nameOfField = (field: string): string =>
  field
    .slice(0, Math.max(field.indexOf(':'), 0))
    .trim()
    .toLowerCase();

/** The value of the first field of that name, unfolded, Latin-1; undefined where there is none. */
export function fieldValue(header: Buffer, name: string): string | undefined {
  const field = rawFields(header).find((candidate) => nameOfField(candidate) === name);
  return field
    ?.slice(field.indexOf(':') + 1)
    .replace(/\r\n(?=[ \t])/g, '')
    .trim();
}

export function parseEntity(octets: Buffer, depth = 0): Entity {
  const { header, body } = splitHeader(octets);
  const value = fieldValue(header, 'content-type') ?? '';
  const [, type = 'text', subtype = 'plain'] = /^([\w.+-]+)\/([\w.+-]+)/.exec(value) ?? [];
  const parameters = new Map<string, string>();
  for (const [, name = '', quoted, bare] of value.matchAll(/;\s*([\w*.-]+)\s*=\s*(?:"([^"]*)"|([^\s;"]+))/g)) {
    parameters.set(name.toLowerCase(), quoted ?? bare ?? '');
  }
  if (!value.includes('/')) parameters.set('charset', 'us-ascii');
  const boundary = parameters.get('boundary');
  const isMultipart = type.toLowerCase() === 'multipart' && boundary !== undefined && depth < DEEPEST;
  const parts = isMultipart ? splitParts(body, boundary).map((part) => parseEntity(part, depth + 1)) : [];
  return { header, body, type, subtype, parameters, parts };
}

function splitParts(body: Buffer, boundary: string): Buffer[] {
  const delimiter = Buffer.from(`--${boundary}`, 'latin1');
  const parts: Buffer[] = [];
  let start: number | undefined;
  for (let at = body.indexOf(delimiter); at !== -1 && parts.length < MOST_PARTS; at = body.indexOf(delimiter, at + delimiter.length)) {
    if (at !== 0 && body[at - 1] !== 0x0a) continue;
    if (start !== undefined) parts.push(body.subarray(start, Math.max(start, at - 2)));
    const after = at + delimiter.length;
    if (body.subarray(after, after + 2).toString('latin1') === '--') return parts;
    const lineEnd = body.indexOf('\r\n', after);
    if (lineEnd === -1) return parts;
    start = lineEnd + 2;
  }
  return parts;
}

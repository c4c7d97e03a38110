/**
 * Messages that have gone wrong on somebody's relay before: each octet of them has to arrive as it was sent.
 *
 * All are CRLF, as RFC 5321 §2.3.8 wants, and carry Date and Message-ID, so that nothing has to be added below their first field.
 *
 * @packageDocumentation
 */
import { createHash, randomBytes, randomUUID } from 'node:crypto';

export interface SampleMessage {
  /** Unique; the value of its first field. */
  readonly id: string;
  readonly kind: string;
  /** What is handed to the tool: header section, empty line, body. Dots not stuffed. */
  readonly content: Buffer;
  /** SHA-256 of what has to arrive: the content, ended by CRLF. */
  readonly digest: string;
  readonly isEightBit: boolean;
}

const MARK = 'X-Postern-Test: ';
const KILO = 1024;
const MEGA = 1024 * KILO;

const lines = (...parts: string[]): Buffer => Buffer.from(parts.map((line) => `${line}\r\n`).join(''), 'latin1');

/** Octets of all values but NUL, CR and LF, in lines of 900. */
function eightBitNoise(size: number): Buffer {
  const noise = randomBytes(size);
  for (let at = 0; at < size; at += 1) {
    const octet = noise[at] ?? 0;
    if (octet === 0 || octet === 10 || octet === 13) noise[at] = 0xa0 + octet;
  }
  for (let at = 900; at + 1 < size; at += 902) noise.write('\r\n', at, 'latin1');
  noise.write('\r\n', size - 2, 'latin1');
  return noise;
}

/** An attachment in base64, as most large messages are. */
function base64Body(size: number): Buffer {
  const text = randomBytes(Math.floor((size / 78) * 57)).toString('base64');
  return Buffer.from(text.replace(/.{1,76}/g, '$&\r\n'), 'latin1');
}

/** Bodies by kind; each is made anew. */
const BODIES: Readonly<Record<string, () => Buffer>> = {
  'a kilobyte of text': () =>
    lines(...Array.from({ length: 14 }, (_, index) => `Line ${index}: the quick brown fox jumps over the lazy dog, again.`)),
  'leading dots': () => lines('.', '..', '...', '.a', 'a.', '. ', '.\t', '', '.'),
  'Latin-1': () => lines('Gr\xfc\xdfe aus K\xf6ln', '\xa4\xff\xfe\x80\x81'),
  'UTF-8': () => Buffer.from('Grüße 例え 🚚\r\n'.repeat(20), 'utf8'),
  'noise of 8-bit octets': () => eightBitNoise(40 * KILO),
  'lines longer than 998': () => lines('x'.repeat(999), 'y'.repeat(2048), 'z'.repeat(20_000), '.'.repeat(5000)),
  'lines of just 998': () => lines(...Array.from({ length: 50 }, () => 'w'.repeat(998))),
  'From at line start': () => lines('From me to you', '>From here', 'from there', '', 'From there on'),
  'white space at line ends': () => lines('one  ', '\t', ' ', '', '   two\t\t', ' '),
  'many empty lines at the end': () => lines('text', '', '', '', '', '', ''),
  'no body': () => Buffer.alloc(0),
  'no line end at the end': () => Buffer.from('the last line is not ended', 'latin1'),
  'words of the protocol': () => lines('QUIT', 'RSET', 'MAIL FROM:<a@b.test>', 'DATA', '250 OK', '\\n', '%FROM_ADDRESS%'),
  'a quarter of a megabyte': () => base64Body(256 * KILO),
  'a megabyte of 8-bit octets': () => eightBitNoise(MEGA),
  'five megabytes': () => base64Body(5 * MEGA),
  'twenty megabytes': () => base64Body(20 * MEGA),
};

export const KINDS: readonly string[] = Object.keys(BODIES);

export function sampleMessage(kind: string, from: string, to: string): SampleMessage {
  const id = randomUUID();
  const body = BODIES[kind]?.();
  if (body === undefined) throw new Error(`no kind of message is called ${kind}`);
  const header = lines(
    `${MARK}${id}`,
    // Order, folding, case and white space of fields have to survive, too.
    'received: from elsewhere by an earlier hop; Mon, 23 Nov 2026 10:00:00 +0000',
    `From: "Billing, Dept." <${from}>`,
    `TO:   <${to}>,`,
    '\tundisclosed-recipients:;',
    `Subject: ${kind}`,
    '  and more of it',
    'Date: Mon, 23 Nov 2026 11:22:33 +0100',
    `Message-ID: <${id}@app.postern.test>`,
    `X-Long: ${'v'.repeat(900)}`,
    'X-Empty:',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=iso-8859-1',
    'Content-Transfer-Encoding: 8bit',
    '',
  );
  const content = Buffer.concat([header, body]);
  const isEnded = content.subarray(-2).toString('latin1') === '\r\n';
  return {
    id,
    kind,
    content,
    digest: sha256(isEnded ? content : Buffer.concat([content, Buffer.from('\r\n')])),
    isEightBit: body.some((octet) => octet > 127),
  };
}

/** A stored message without the fields that relays put in front. */
export interface Arrived {
  readonly id: string;
  readonly digest: string;
  /** The fields in front. */
  readonly trace: string;
}

export function arrived(stored: Buffer): Arrived {
  const start = stored.indexOf(MARK, 0, 'latin1');
  if (start < 0) throw new Error(`not a message of these tests: ${stored.toString('latin1', 0, 500)}`);
  const idAt = start + MARK.length;
  return {
    id: stored.toString('latin1', idAt, stored.indexOf('\r\n', idAt)),
    digest: sha256(stored.subarray(start)),
    trace: stored.toString('latin1', 0, start),
  };
}

function sha256(octets: Buffer): string {
  return createHash('sha256').update(octets).digest('hex');
}

/**
 * Sessions that were good once: what the dialogue files let a client say, with octets changed, lines moved and parts of others put in.
 *
 * @packageDocumentation
 */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Random } from '../../src/core/ports/random.ts';
import { outgoing } from '../support/dialog.ts';

const CLIENT_LINE = /^(C|C-raw|C-base64):? ?(.*)$/;

/** What the client says in each dialogue of a protocol (`test/dialog`). */
export function dialogueSeeds(protocol: 'smtp' | 'imap' | 'pop3'): readonly Buffer[] {
  const folder = fileURLToPath(new URL(`../dialog/${protocol}/`, import.meta.url));
  return readdirSync(folder)
    .filter((name) => name.endsWith('.dialog'))
    .map((name) => {
      const lines = readFileSync(`${folder}${name}`, 'utf8').split('\n');
      return Buffer.concat(
        lines.flatMap((line) => {
          const [, kind = '', text = ''] = CLIENT_LINE.exec(line) ?? [];
          return outgoing(kind, text) ?? [];
        }),
      );
    })
    .filter((octets) => octets.length > 0 && octets.length < 100_000);
}

/** Octets that have a meaning to some parser, or had one somewhere. */
const PIECES = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  '\t',
  ' ',
  '.',
  '\r\n.\r\n',
  '\n.\n',
  '<',
  '>',
  '@',
  ':',
  '"',
  '\\',
  '(',
  '{',
  '}',
  '{5}',
  '{99999999999}',
  '{3+}',
  '*',
  '=',
  '%',
  '\x16\x03\x01',
  '\xff',
  '\xc3\xa4',
  '\xe2\x80\xa8',
  '__proto__',
  '-1',
  '4294967296',
  'A'.repeat(600),
  'RSET\r\n',
  'AUTH PLAIN ',
  'a1 LOGIN ',
  'PASS ',
  'MAIL FROM:<x@y>\r\n',
  'NOOP\r\n',
].map((piece) => Buffer.from(piece, 'latin1'));

export class Mutator {
  readonly #random: Random;
  readonly #seeds: readonly Buffer[];

  constructor(random: Random, seeds: readonly Buffer[]) {
    if (seeds.length === 0) throw new RangeError('nothing to change');
    this.#random = random;
    this.#seeds = seeds;
  }

  /** A number from 0 up to, and without, `count`. */
  below(count: number): number {
    return Math.floor(this.#random.fraction() * count);
  }

  pick<Value>(values: readonly Value[]): Value {
    const value = values[this.below(values.length)];
    if (value === undefined) throw new RangeError('nothing to pick from');
    return value;
  }

  /** One of the seeds, changed up to eight times. */
  next(): Buffer {
    let octets = this.pick(this.#seeds);
    for (let left = this.below(9); left > 0; left -= 1) octets = this.#change(octets);
    return octets;
  }

  /** The octets in up to eight segments; now and then one in each. */
  segments(octets: Buffer): Buffer[] {
    if (this.below(40) === 0 && octets.length < 2_000) return Array.from(octets, (octet) => Buffer.of(octet));
    const places = Array.from({ length: this.below(8) }, () => this.below(octets.length + 1)).sort((one, other) => one - other);
    return [...places, octets.length].map((end, index) => octets.subarray(places[index - 1] ?? 0, end)).filter(({ length }) => length > 0);
  }

  #change(octets: Buffer): Buffer {
    const at = this.below(octets.length + 1);
    const length = this.below(24);
    const [head, part, tail] = [octets.subarray(0, at), octets.subarray(at, at + length), octets.subarray(at + length)];
    switch (this.below(8)) {
      case 0:
        return Buffer.concat([head, tail]);
      case 1:
        return Buffer.concat([head, this.pick(PIECES), part, tail]);
      case 2:
        return Buffer.concat([head, ...Array.from({ length: 1 + this.below(4) }, () => part), tail]);
      case 3: {
        const flipped = Buffer.from(octets);
        if (octets.length > 0) flipped[at % octets.length] = this.below(256);
        return flipped;
      }
      case 4:
        return Buffer.concat([head, Buffer.from(this.#random.octets(length)), tail]);
      case 5: {
        const other = this.pick(this.#seeds);
        return Buffer.concat([head, other.subarray(this.below(other.length))]);
      }
      case 6:
        return head;
      default: {
        const lines = octets.toString('latin1').split(/(?<=\n)/);
        const [line = ''] = lines.splice(this.below(lines.length), 1);
        lines.splice(this.below(lines.length + 1), 0, line);
        return Buffer.from(lines.join(''), 'latin1');
      }
    }
  }
}

/** Whatever a Subject field holds: a text of one line, bounded, that turns nothing around, and no error. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { LONGEST_SUBJECT } from '../../src/core/ports/message-notes.ts';
import { HeaderSection } from '../../src/message/header-section.ts';
import { readSubject } from '../../src/message/subject.ts';

const RUNS = { numRuns: 2000 };

const word = fc
  .tuple(
    fc.constantFrom('utf-8', 'ISO-8859-1', 'iso-2022-jp', 'utf-16le', 'gb18030', 'x-none', 'utf-7*de'),
    fc.constantFrom('b', 'Q'),
    fc.string(),
  )
  .map(([charset, encoding, text]) => `=?${charset}?${encoding}?${text}?=`);
const escaped = fc
  .uint8Array({ maxLength: 40 })
  .map((octets) => `=?utf-8?q?${[...octets].map((octet) => `=${octet.toString(16).padStart(2, '0')}`).join('')}?=`);
const piece = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\r\n ', ' ', '=?', '?=', '\u202e', '\u001b[0m'), word, escaped);
const value = fc.oneof(
  fc.uint8Array({ maxLength: 400 }),
  fc.array(piece, { maxLength: 60 }).map((pieces) => Buffer.from(pieces.join(''))),
);

const read = (octets: Uint8Array): string | undefined =>
  readSubject(new HeaderSection(Buffer.concat([Buffer.from('Subject:'), octets, Buffer.from('\r\n\r\n')]), 'empty-line', false));

describe('a subject', () => {
  it('is fit to be shown, whatever the field holds', () => {
    fc.assert(
      fc.property(value, (octets) => {
        const subject = read(octets);
        if (subject === undefined) return;
        expect(subject.length).toBeGreaterThan(0);
        expect(subject.length).toBeLessThanOrEqual(LONGEST_SUBJECT);
        expect(subject).not.toMatch(/[\p{Cc}\p{Bidi_Control}\p{Cs}\u2028\u2029]/u);
      }),
      RUNS,
    );
  });

  it('comes back from encoded words as it went in', () => {
    const text = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter((one) => /^\S.*\S$/u.test(one) && !/[\p{Cc}\p{Bidi_Control}\u00ad\u200b\u2028\u2029\u2060\ufeff]/u.test(one));
    fc.assert(
      fc.property(text, fc.integer({ min: 1, max: 45 }), (subject, size) => {
        const octets = Buffer.from(subject);
        const words = Array.from(
          { length: Math.ceil(octets.length / size) },
          (_, index) => `=?utf-8?B?${octets.subarray(index * size, (index + 1) * size).toString('base64')}?=`,
        );
        expect(read(Buffer.from(words.join('\r\n ')))).toBe(subject.slice(0, LONGEST_SUBJECT));
      }),
      RUNS,
    );
  });
});

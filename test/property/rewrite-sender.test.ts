/** Whatever From, Sender and the fields around them hold, rewriting changes who sends, keeps what was there, and adds nothing else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { octets } from '../../src/core/octets.ts';
import { parseAddressList } from '../../src/message/address-list.ts';
import { type HeaderSection, readHeaderSection } from '../../src/message/header-section.ts';
import { rewriteSender } from '../../src/message/rewrite-sender.ts';
import { toWireForm } from '../../src/message/wire-form.ts';
import { collect, octetsOf, streamOf, textOf } from '../support/octets.ts';

const RUNS = { numRuns: 1000 };
const MAILBOX = 'box@contoso.test';

async function sectionOf(text: string): Promise<HeaderSection | undefined> {
  const reading = await readHeaderSection(streamOf([octetsOf(text)]), octets(100_000));
  return reading.kind === 'refused' ? undefined : reading.headers;
}

const value = (): fc.Arbitrary<string> =>
  fc
    .array(
      fc.constantFrom(
        'a@b.test',
        '<a@b.test>',
        'Name',
        '"',
        '\\',
        '(',
        ')',
        ',',
        ':',
        ';',
        '<',
        '>',
        '@',
        '.',
        ' ',
        '\r\n ',
        '\n\t',
        '\r ',
        '=?utf-8?B?w7w=?=',
        '\xfc',
        '\x01',
        'Bcc: x@y',
        'x'.repeat(200),
      ),
      { maxLength: 8 },
    )
    .map((parts) => parts.join(''));

/** Header sections in which the fields that matter are frequent; now and then one that ends in the middle of a field. */
const section = (): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.array(
        fc.tuple(
          fc.constantFrom('From', 'FROM ', 'Sender', 'Reply-To', 'Subject', 'X-Original-From', 'To'),
          value(),
          fc.constantFrom('\r\n', '\n', '\r'),
        ),
        { minLength: 1, maxLength: 5 },
      ),
      fc.constantFrom('\r\n', '\n', '', 'no field\r\n'),
    )
    .map(([fields, end]) => `${fields.map(([name, text, lineEnd]) => `${name}:${text}${lineEnd}`).join('')}${end}`);

const foreign = () => fc.record({ isFromForeign: fc.boolean(), isSenderForeign: fc.boolean() });

interface Rewriting {
  readonly before: HeaderSection;
  readonly after: HeaderSection;
  readonly isFromForeign: boolean;
  readonly isSenderForeign: boolean;
}

function forAllRewritings(check: (rewriting: Rewriting) => void | Promise<void>): Promise<void> {
  return fc.assert(
    fc.asyncProperty(section(), foreign(), async (text, which) => {
      const before = await sectionOf(text);
      fc.pre(before !== undefined);
      await check({ before, after: rewriteSender(before, MAILBOX, which), ...which });
    }),
    RUNS,
  );
}

const namesOf = (headers: HeaderSection): string[] => [...headers.fields()].map(({ name }) => name);
const rawOf = (headers: HeaderSection, isKept: (name: string) => boolean): string[] =>
  [...headers.fields()].filter(({ name }) => isKept(name)).map(({ raw }) => textOf(raw));

describe('rewriting', () => {
  it('leaves one From, of the mailbox alone, as every reader sees it', () =>
    forAllRewritings(({ before, after, isFromForeign }) => {
      fc.pre(isFromForeign && before.has('From'));
      expect(after.count('From')).toBe(1);
      expect(parseAddressList(after.first('From') ?? '')).toEqual({ addresses: [MAILBOX], isMalformed: false });
    }));

  it('keeps each old value under its new name', () =>
    forAllRewritings(({ before, after, isFromForeign, isSenderForeign }) => {
      const kept = [...before.values('From'), ...before.values('X-Original-From')].sort();
      expect(after.values('X-Original-From').sort()).toEqual(isFromForeign ? kept : before.values('X-Original-From').sort());
      expect(after.values('X-Original-Sender')).toEqual(isSenderForeign ? before.values('Sender') : []);
    }));

  it('leaves a Reply-To, and makes one of nothing but the old From', () =>
    forAllRewritings(({ before, after }) => {
      const expected = before.has('Reply-To') || !after.has('Reply-To') ? before.values('Reply-To') : before.values('From');
      expect(after.values('Reply-To')).toEqual(expected);
    }));

  it('leaves every other octet as and where it was', () =>
    forAllRewritings(({ before, after, isFromForeign, isSenderForeign }) => {
      const isKept = (name: string): boolean =>
        !(isFromForeign && (name === 'from' || name === 'x-original-from' || name === 'reply-to')) &&
        !(isSenderForeign && name.endsWith('sender'));
      expect(rawOf(after, isKept)).toEqual(rawOf(before, isKept));
    }));

  it('of nothing changes nothing', () =>
    forAllRewritings(({ before, after, isFromForeign, isSenderForeign }) => {
      fc.pre(!isFromForeign && !isSenderForeign);
      expect(textOf(after.raw)).toBe(textOf(before.raw));
    }));

  it('makes a section whose fields read the same from its octets, in wire form, too', () =>
    forAllRewritings(async ({ after }) => {
      const wire = textOf(...(await collect(toWireForm(streamOf([after.raw, octetsOf(after.ending === 'empty-line' ? '' : '\r\n')])))));
      const again = await sectionOf(wire.replace(/^\.\./gm, '.'));
      expect(again === undefined ? [] : namesOf(again)).toEqual(namesOf(after));
    }));
});

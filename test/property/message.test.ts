/** What holds for content of any octets, cut anywhere. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { octets } from '../../src/core/octets.ts';
import { parseAddressList } from '../../src/message/address-list.ts';
import { readHeaderSection } from '../../src/message/header-section.ts';
import { fromWireForm, toWireForm } from '../../src/message/wire-form.ts';
import { collect, content, cut, cuts, octetsOf, streamOf, textOf } from '../support/octets.ts';

const RUNS = { numRuns: 1000 };

const wireFormOf = async (...chunks: Uint8Array[]): Promise<string> => textOf(...(await collect(toWireForm(streamOf(chunks)))));

/** The lines of content, by the one definition of a line end. */
const linesOf = (text: string): string[] => {
  const lines = text.split(/\r\n|\r|\n/);
  return lines.at(-1) === '' ? lines.slice(0, -1) : lines;
};

describe('wire form', () => {
  it('does not depend on where the content is cut', async () => {
    await fc.assert(
      fc.asyncProperty(content(), cuts(), async (whole, places) => {
        expect(await wireFormOf(...cut(whole, places))).toBe(await wireFormOf(whole));
      }),
      RUNS,
    );
  });

  it('holds the text of every line, in order, dots stuffed and CRLF at each end', async () => {
    await fc.assert(
      fc.asyncProperty(content(), async (whole) => {
        const expected = linesOf(textOf(whole)).map((line) => `${line.startsWith('.') ? '.' : ''}${line}\r\n`);
        expect(await wireFormOf(whole)).toBe(expected.join(''));
      }),
      RUNS,
    );
  });

  it('holds neither bare CR or LF nor an end of data', async () => {
    await fc.assert(
      fc.asyncProperty(fc.oneof(content(), fc.uint8Array({ maxLength: 200 })), cuts(), async (whole, places) => {
        const wire = await wireFormOf(...cut(whole, places));
        expect(wire.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
        expect(`\r\n${wire}`).not.toContain('\r\n.\r\n');
        expect(wire === '' || wire.endsWith('\r\n')).toBe(true);
      }),
      RUNS,
    );
  });

  it('of canonical content leads back to it', async () => {
    await fc.assert(
      fc.asyncProperty(content(), cuts(), async (whole, places) => {
        const canonical = linesOf(textOf(whole))
          .map((line) => `${line}\r\n`)
          .join('');
        const wire = octetsOf(await wireFormOf(octetsOf(canonical)));
        expect(textOf(...(await collect(fromWireForm(streamOf(cut(wire, places))))))).toBe(canonical);
      }),
      RUNS,
    );
  });

  it('does not depend on cuts near the size at which large chunks are looked at in parts', async () => {
    const piece = fc.constantFrom('\r', '\n', '.', 'a');
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { minLength: 1, maxLength: 8 }), fc.nat(8), fc.nat(8), async (parts, before, place) => {
        const tail = parts.join('');
        const whole = octetsOf('x'.repeat(65_536 - before) + tail);
        const halves = [whole.slice(0, 65_528 + place), whole.slice(65_528 + place)];
        expect((await wireFormOf(...halves)) === (await wireFormOf(whole))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });
});

describe('a header section', () => {
  it('and the rest are the content, and do not depend on where it is cut', async () => {
    await fc.assert(
      fc.asyncProperty(content(), cuts(), fc.constantFrom(8, 40, 1000), async (whole, places, limit) => {
        const read = async (chunks: Uint8Array[]) => {
          const reading = await readHeaderSection(streamOf(chunks), octets(limit));
          if (reading.kind === 'refused') return { reply: reading.reply, all: textOf(whole) };
          const { raw, ending, hasMailboxLine } = reading.headers;
          const rest = textOf(...(await collect(reading.rest)));
          return { raw: textOf(raw), all: textOf(raw) + rest, ending, hasMailboxLine };
        };
        const once = await read([whole]);
        expect(await read(cut(whole, places))).toEqual(once);
        expect(once.all).toBe(textOf(whole));
        expect(once.raw?.length ?? 0).toBeLessThanOrEqual(limit);
      }),
      RUNS,
    );
  });

  it('has the fields that its lines say', async () => {
    const name = fc.constantFrom('From', 'FROM', 'To', 'X-From', 'Received');
    const value = fc
      .array(fc.constantFrom('a', 'b@c', ' ', '\r\n ', '\n\t', '\r ', ':', 'From: x'), { maxLength: 6 })
      .map((parts) => parts.join(''));
    const lineEnd = fc.constantFrom('\r\n', '\n', '\r');
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(name, value), { maxLength: 10 }), lineEnd, async (fields, end) => {
        const text = `${fields.map(([name, value]) => `${name}: ${value}${end}`).join('')}${end}`;
        const reading = await readHeaderSection(streamOf([octetsOf(text)]), octets(10_000));
        const expected = fields.filter(([name]) => name.toLowerCase() === 'from').map(([, value]) => value.replace(/[\r\n]/g, '').trim());
        expect(reading.kind === 'read' && reading.headers.values('From')).toEqual(expected);
      }),
      RUNS,
    );
  });
});

describe('an address list', () => {
  const word = fc.constantFrom('a', 'Bc', 'x.y', "o'z", '1');
  const address = fc.tuple(word, word).map(([local, domain]) => `${local}@${domain}.example`);

  it('names what it was composed of, whatever the clothes', () => {
    const dress = fc.constantFrom<(address: string) => string>(
      (plain) => plain,
      (plain) => `<${plain}>`,
      (plain) => `Some. Name <${plain}>`,
      (plain) => `"evil@x.example, <y@z>" <${plain}> (c@d)`,
      (plain) => `(x (y) \\( <z@z>) ${plain.replace('@', ' @ (q) ')}`,
      (plain) => `Group: , <@r.example:${plain}>,;`,
      (plain) => plain.replace(/^(.*)@/, '"$1"@'),
    );
    fc.assert(
      fc.property(fc.array(fc.tuple(address, dress), { minLength: 1, maxLength: 6 }), (members) => {
        const list = parseAddressList(members.map(([plain, dress]) => dress(plain)).join(', '));
        expect(list).toEqual({ addresses: [...new Set(members.map(([plain]) => plain))], isMalformed: false });
      }),
      RUNS,
    );
  });

  it('never leaves an at sign out of a broken value', () => {
    const piece = fc.constantFrom('a@b', '@', 'c', '<', '>', '(', ')', '"', '\\', ',', ';', ':', '.', ' ', '[', ']', 'é');
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const value = pieces.join('');
        const { addresses, isMalformed } = parseAddressList(value);
        if (!isMalformed) return;
        // Each at sign with its neighbours, as far as no reader could see an end of the address in them.
        for (const [, local = '', domain = ''] of value.matchAll(/(?<=([^\s<>()",;:\\[\]@]*))@(?=([^\s<>()",;:\\[\]@]*))/g)) {
          expect(addresses).toContain(`${local}@${domain}`);
        }
        expect(addresses.length > 0 || value.trim() === '').toBe(true);
      }),
      RUNS,
    );
  });

  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 60 }), (value) => {
        const { addresses } = parseAddressList(value);
        expect(new Set(addresses).size).toBe(addresses.length);
      }),
      RUNS,
    );
  });
});

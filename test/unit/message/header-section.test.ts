import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { octets } from '../../../src/core/octets.ts';
import { describeReply } from '../../../src/core/reply.ts';
import { type HeaderReading, type HeaderSection, readHeaderSection } from '../../../src/message/header-section.ts';
import { collect, octetByOctet, octetsOf, streamOf, textOf } from '../../support/octets.ts';

const read = (content: string, limit = 100_000): Promise<HeaderReading> => readHeaderSection(streamOf([octetsOf(content)]), octets(limit));

async function headersOf(content: string, limit?: number): Promise<HeaderSection> {
  const reading = await read(content, limit);
  if (reading.kind === 'refused') throw new Error(describeReply(reading.reply));
  return reading.headers;
}

describe('reading a header section', () => {
  it.each([
    ['CRLF', 'A: 1\r\nB: 2\r\n\r\n', 'body\r\n', 'empty-line'],
    ['LF', 'A: 1\nB: 2\n\n', 'body\n', 'empty-line'],
    ['CR', 'A: 1\rB: 2\r\r', 'body\r', 'empty-line'],
    ['CRLF then LF', 'A: 1\r\n\n', 'body', 'empty-line'],
    ['LF then CRLF', 'A: 1\n\r\n', 'body', 'empty-line'],
    ['CR CR LF, which is two line ends', 'A: 1\r\r\n', 'B: 2\r\r\n', 'empty-line'],
    ['an empty body', 'A: 1\r\n\r\n', '', 'empty-line'],
    ['no fields but an empty line', '\r\n', 'body\r\n', 'empty-line'],
    ['only fields', 'A: 1\r\nB: 2\r\n', '', 'end-of-content'],
    ['a last field without line end', 'A: 1\r\nB: 2', '', 'end-of-content'],
    ['nothing', '', '', 'end-of-content'],
    ['a text', '', 'Hello world\r\n\r\nA: 1\r\n', 'not-a-field'],
    ['a text without line end', '', 'hello', 'not-a-field'],
    ['a missing empty line', 'A: 1\r\n', 'Hello, world\r\nbody', 'not-a-field'],
    ['a line that begins with white space and continues nothing', '', ' A: 1\r\n\r\n', 'not-a-field'],
    ['a line that begins with a colon', 'A: 1\r\n', ': 1\r\n\r\n', 'not-a-field'],
    ['an 8-bit field name', 'A: 1\r\n', 'H\xe9: 1\r\n\r\n', 'not-a-field'],
    ['a name with a space inside', 'A: 1\r\n', 'My Name: 1\r\n\r\n', 'not-a-field'],
    ['a name of 998 octets', '', `${'n'.repeat(998)}: 1\r\n`, 'not-a-field'],
    ['a name of 997 octets', `${'n'.repeat(997)}: 1\r\n`, '', 'end-of-content'],
    ['white space before the colon', 'A \t: 1\r\n\r\n', 'x', 'empty-line'],
    ['folding, also with a line of nothing but white space', 'A: 1\r\n\t2\r\n \r\n 3\r\n\r\n', 'x', 'empty-line'],
    ['an mbox separator', 'From a@b Mon Jan  1 10:00:00 2026\nA: 1\n\n', 'x', 'empty-line'],
    ['a quoted mbox separator', '>From a@b\nA: 1\n\n', 'x', 'empty-line'],
    ['a text that begins like an mbox separator', '', 'From here on it rains.\r\nAnd snows.\r\n', 'not-a-field'],
    ['a text that begins like one and has an empty line', '', 'From here on\r\n\r\nA: 1\r\n', 'not-a-field'],
    ['nothing but such a line', '', 'From here', 'not-a-field'],
    ['such a line that is too long', '', `From ${'x'.repeat(1000)}\r\nA: 1\r\n\r\n`, 'not-a-field'],
    ['an mbox separator and a name that are long together', `From ${'x'.repeat(600)}\r\n${'n'.repeat(600)}: 1\r\n\r\n`, 'x', 'empty-line'],
    ['such a line further down', 'A: 1\r\n', 'From a@b\r\nB: 2\r\n\r\n', 'not-a-field'],
    ['NUL in the body', 'A: 1\r\n\r\n', '\0', 'empty-line'],
  ])('with %s', async (_, raw, rest, ending) => {
    for (const chunks of [[octetsOf(raw + rest)], octetByOctet(raw + rest)]) {
      const reading = await readHeaderSection(streamOf(chunks), octets(100_000));
      expect(reading.kind === 'read' && reading.headers.ending).toBe(ending);
      expect(reading.kind === 'read' && textOf(reading.headers.raw)).toBe(raw);
      expect(textOf(...(await collect(reading.rest)))).toBe(rest);
    }
  });

  it.each(['A: \0\r\n\r\n', 'A: 1\r\n\0: 2\r\n\r\n', 'A\0: 1\r\n\r\n', 'A: 1\r\n b\0\r\n\r\n', '\0'])(
    'refuses NUL in %j',
    async (content) => {
      const reading = await read(content);
      expect(reading.kind === 'refused' && describeReply(reading.reply)).toMatch(/^554 5\.6\.0 /);
    },
  );

  it.each([1, 7, 1000])('refuses one octet over the limit, in chunks of %i', async (size) => {
    const content = octetsOf(`A: ${'x'.repeat(91)}\r\n\r\n${'body'.repeat(1000)}`);
    const outcome = async (limit: number): Promise<string> => {
      const chunks = Array.from({ length: Math.ceil(content.length / size) }, (_, index) =>
        content.subarray(index * size, (index + 1) * size),
      );
      const reading = await readHeaderSection(streamOf(chunks), octets(limit));
      return reading.kind === 'read' ? 'read' : describeReply(reading.reply);
    };
    expect(await outcome(98)).toBe('read');
    expect(await outcome(97)).toMatch(/^552 5\.3\.4 /);
  });

  it('takes no more from the source than it needs to refuse', async () => {
    let taken = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      yield octetsOf('Subject: ');
      for (;;) {
        taken += 100;
        yield octetsOf('x'.repeat(100));
      }
    }
    const reading = await readHeaderSection(endless(), octets(10_000));
    expect(reading.kind).toBe('refused');
    expect(taken).toBeLessThan(10_200);
  });

  it('decides on a first line without end as soon as it is too long for a field name', async () => {
    let taken = 0;
    async function* endless(): AsyncGenerator<Uint8Array> {
      for (;;) {
        taken += 100;
        yield octetsOf('x'.repeat(100));
      }
    }
    const reading = await readHeaderSection(endless(), octets(10_000));
    expect(reading.kind === 'read' && reading.headers.ending).toBe('not-a-field');
    expect(taken).toBeLessThan(1100);
  });

  it('goes on with the rest where an earlier reader stopped, and leaves the source open', async () => {
    let isClosed = false;
    async function* source(): AsyncGenerator<Uint8Array> {
      try {
        for (const text of ['A: 1\r\n\r\none', 'two', 'three']) yield octetsOf(text);
      } finally {
        isClosed = true;
      }
    }
    const reading = await readHeaderSection(source(), octets(100));
    for await (const chunk of reading.rest) {
      expect(textOf(chunk)).toBe('one');
      break;
    }
    expect(isClosed).toBe(false);
    expect(textOf(...(await collect(reading.rest)))).toBe('twothree');
  });

  it('passes on the failure of the source', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield octetsOf('A: 1\r\n');
      throw new Error('peer gone');
    }
    await expect(readHeaderSection(failing(), octets(100))).rejects.toThrow('peer gone');
  });

  it('keeps the section when the source uses its chunk again', async () => {
    const chunk = octetsOf('A: 1\r\n\r\n');
    const reading = await readHeaderSection(streamOf([chunk]), octets(100));
    chunk.fill(0);
    expect(reading.kind === 'read' && reading.headers.first('a')).toBe('1');
  });
});

describe('asking for fields', () => {
  it('finds them by name in any case, in order', async () => {
    const headers = await headersOf('received: 1\r\nSubject: s\r\nRECEIVED:2\r\nReceived : 3 \r\nX-Received: 4\r\n\r\nReceived: 5\r\n');
    expect(headers.values('Received')).toEqual(['1', '2', '3']);
    expect(headers.count('reCeived')).toBe(3);
    expect(headers.first('Received')).toBe('1');
    expect(headers.has('subject')).toBe(true);
    expect(headers.has('To')).toBe(false);
    expect(headers.first('To')).toBeUndefined();
    expect(headers.values('To')).toEqual([]);
  });

  it('unfolds values, whatever the line ends', async () => {
    const headers = await headersOf('To: a@b,\r\n c@d,\n\te@f,\r g@h \r\nCc:\r\n x\r\nBcc:\r\n\r\n');
    expect(headers.first('To')).toBe('a@b, c@d,\te@f, g@h');
    expect(headers.first('Cc')).toBe('x');
    expect(headers.first('Bcc')).toBe('');
  });

  it('decodes UTF-8 and survives what is not', async () => {
    expect((await headersOf('S: \xc3\xa9\r\n\r\n')).first('S')).toBe('é');
    const headers = await headersOf('T: 1\r\nS: B\xfcro\r\n <a@b>\r\nS: 2\r\n\r\n');
    expect(headers.first('S')).toBe('B\ufffdro <a@b>');
    expect(textOf(headers.firstRaw('s') ?? new Uint8Array())).toBe(' B\xfcro\r\n <a@b>');
    expect(headers.firstRaw('U')).toBeUndefined();
  });

  it('does not take an mbox separator for a field', async () => {
    const headers = await headersOf('From a@b: c\nFrom: d@e\n\n');
    expect(headers.hasMailboxLine).toBe(true);
    expect(headers.values('From')).toEqual(['d@e']);
    const blank = await headersOf('From \v: c\nFrom: d@e\n\n');
    expect(blank.hasMailboxLine).toBe(true);
    expect(blank.values('From')).toEqual(['d@e']);
    expect([...blank.fields()].filter(({ name }) => name === 'from')).toHaveLength(1);
    expect((await headersOf('From: a@b\n\n')).hasMailboxLine).toBe(false);
    expect((await headersOf('From here on\n')).hasMailboxLine).toBe(false);
  });

  it('finds nothing where there is nothing', async () => {
    for (const content of ['', '\r\n', 'text without fields']) expect((await headersOf(content)).has('From')).toBe(false);
  });

  it('F18 holds 20,000 fields', async () => {
    const lines = Array.from({ length: 20_000 }, (_, index) => `X-${index}: ${index}\r\n`).join('');
    const headers = await headersOf(`${lines}\r\n`, 1_000_000);
    expect(headers.first('x-19999')).toBe('19999');
  });
});

describe('looking up a field', () => {
  it('finds what going through all fields finds', async () => {
    const names = ['Date', 'From', 'X-1', 'Fro', 'From-'];
    const part = fc.constantFrom(...names, 'from', 'fROM', 'X\r1', ' ', '\t', ':', 'a', '\r\n', '\n', '\r', '\xa0', '>From ');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { maxLength: 30 }), fc.constantFrom(...names), async (parts, name) => {
        const section = await headersOf(parts.join(''));
        const fields = [...section.fields()].filter((field) => field.name === name.toLowerCase());
        expect(section.count(name)).toBe(fields.length);
        expect(section.has(name)).toBe(fields.length > 0);
        expect(section.values(name)).toEqual(
          fields.map(({ value }) =>
            Buffer.from(value)
              .toString('utf8')
              .replace(/[\r\n]+/g, '')
              .trim(),
          ),
        );
        expect(section.first(name)).toBe(section.values(name)[0]);
        expect(section.firstRaw(name)).toEqual(fields[0]?.value);
      }),
    );
  });
});

import { Readable } from 'node:stream';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seconds } from '../../src/core/clock.ts';
import { readResponse } from '../../src/pop3-from-imap/imap-reader.ts';
import { fetchItems, ImapSyntaxError } from '../../src/pop3-from-imap/imap-response.ts';
import { OctetReader, StreamFault } from '../../src/pop3-from-imap/octet-reader.ts';
import { uidSets } from '../../src/pop3-from-imap/uid-set.ts';
import { FakeClock } from '../support/fake-clock.ts';

const cut = (octets: Buffer, sizes: readonly number[]): Buffer[] => {
  const chunks: Buffer[] = [];
  for (let at = 0, index = 0; at < octets.length; index += 1) {
    const size = sizes[index % sizes.length] ?? 1;
    chunks.push(octets.subarray(at, at + size));
    at += size;
  }
  return chunks;
};
const read = (octets: Buffer, sizes: readonly number[]): OctetReader =>
  new OctetReader(Readable.from(cut(octets, sizes), { objectMode: false }), Buffer.alloc(0), new FakeClock(), seconds(1));
const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });

describe('IMAP responses', () => {
  it('carry any content through a literal, however they are cut, kept or passed on', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ maxLength: 60 }),
        fc.nat(0xff_ff_ff_ff),
        sizes,
        fc.boolean(),
        async (content, uid, chunks, isPassed) => {
          const body = Buffer.from(content);
          const wire = Buffer.concat([
            Buffer.from(`* 3 FETCH (UID ${uid} BODY[] {${body.length}}\r\n`),
            body,
            Buffer.from(' FLAGS (\\Seen))\r\n* 4 EXISTS\r\n'),
          ]);
          const reader = read(wire, chunks);
          const passed: Buffer[] = [];
          const response = await readResponse(reader, () => (isPassed ? async (octets) => void passed.push(octets) : undefined));
          if (response.kind !== 'data') throw new Error('no data');
          const items = fetchItems(response);
          expect(items.get('UID')).toBe(`${uid}`);
          expect(items.get('FLAGS')).toEqual(['\\Seen']);
          expect(isPassed ? Buffer.concat(passed) : items.get('BODY[]')).toEqual(body);
          expect(await readResponse(reader, () => undefined)).toMatchObject({ kind: 'data', number: 4, name: 'EXISTS' });
        },
      ),
    );
  });

  it('I04 that are none fail in one of the known ways', async () => {
    const hostile = fc.oneof(
      fc.string({ unit: 'binary-ascii', maxLength: 80 }),
      fc.stringMatching(/^\* 1 FETCH \([UID ()"\\[\]{}0-9]{0,60}$/),
    );
    await fc.assert(
      fc.asyncProperty(hostile, sizes, async (text, chunks) => {
        const reader = read(Buffer.from(`${text}\r\n`, 'latin1'), chunks);
        try {
          const response = await readResponse(reader, () => undefined);
          if (response.kind === 'data' && response.name === 'FETCH') fetchItems(response);
          expect(['status', 'data', 'continuation']).toContain(response.kind);
        } catch (error) {
          expect(error instanceof ImapSyntaxError || error instanceof StreamFault, String(error)).toBe(true);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('name exactly the messages meant in sets of bounded length', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.integer({ min: 1, max: 30_000 }), { maxLength: 3_000 }), (numbers) => {
        const uids = numbers.sort((one, other) => one - other);
        const sets = uidSets(uids);
        const named = sets.flatMap((set) =>
          set.split(',').flatMap((run) => {
            const [first = 0, last = first] = run.split(':').map(Number);
            return Array.from({ length: last - first + 1 }, (_, index) => first + index);
          }),
        );
        expect(named).toEqual(uids);
        expect(Math.max(0, ...sets.map(({ length }) => length))).toBeLessThanOrEqual(4_030);
      }),
    );
  });
});

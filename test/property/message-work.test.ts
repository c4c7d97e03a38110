/** The work of reading hostile headers grows with their length, no faster: counted, not timed. Nothing of src/ may be loaded before counting begins. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Octets } from '../../src/core/octets.ts';
import { octetByOctet, octetsOf, streamOf } from '../support/octets.ts';
import { countSteps, type StepCounter } from '../support/step-count.ts';

const SIZE = 6000;

interface Modules {
  readonly readHeaderSection: typeof import('../../src/message/header-section.ts').readHeaderSection;
  readonly parseAddressList: typeof import('../../src/message/address-list.ts').parseAddressList;
}

let counter: StepCounter<Modules>;
beforeAll(async () => {
  counter = await countSteps<Modules>(
    async () => ({ ...(await import('../../src/message/header-section.ts')), ...(await import('../../src/message/address-list.ts')) }),
    (url) => url.includes('/src/message/'),
  );
});
afterAll(() => counter.stop());

/** Steps for twice the size, over steps for the size. */
async function growth(work: (modules: Modules, size: number) => Promise<void> | void): Promise<number> {
  const once = await counter.steps((modules) => work(modules, SIZE));
  const twice = await counter.steps((modules) => work(modules, 2 * SIZE));
  return twice / once;
}

it('sees work that grows faster', async () => {
  const quadratic = await growth(({ parseAddressList }, size) => {
    for (let length = 0; length < size; length += 1000) parseAddressList('a'.repeat(length));
  });
  expect(quadratic).toBeGreaterThan(3.5);
});

describe('R06 reading a header section', () => {
  it.each<[string, (size: number) => string]>([
    ['one long value', (size) => `A: ${'x'.repeat(size)}\r\n\r\n`],
    ['many short fields', (size) => `${'A:\r\n'.repeat(size / 4)}\r\n`],
    ['long names', (size) => `${`${'n'.repeat(990)}: 1\n`.repeat(size / 1000)}\n`],
    ['white space before the colon', (size) => `${`A${' '.repeat(990)}: 1\n`.repeat(size / 1000)}\n`],
    ['one field folded over and over', (size) => `A: 1\r\n${' x\r\n'.repeat(size / 4)}\r\n`],
    ['nothing but CR', (size) => `A: 1\r${' \r'.repeat(size / 2)}`],
    ['white space inside a value', (size) => `A: x${' '.repeat(size)}x\r\n\r\n`],
  ])('is linear for %s, octet by octet and whole', async (_, make) => {
    for (const isWhole of [true, false]) {
      const ratio = await growth(async ({ readHeaderSection }, size) => {
        const chunks = isWhole ? [octetsOf(make(size))] : octetByOctet(make(size));
        const reading = await readHeaderSection(streamOf(chunks), (4 * SIZE) as Octets);
        expect(reading.kind === 'read' && reading.headers.values('A')).toBeTruthy();
      });
      expect(ratio).toBeGreaterThan(1);
      expect(ratio).toBeLessThan(2.01);
    }
  });
});

describe('R06 reading an address list', () => {
  const units = [
    '<',
    '(',
    ')',
    '"',
    '\\',
    '[',
    '@',
    ',',
    ':',
    ';',
    '.',
    ' ',
    'a@',
    '@a',
    'a@b,',
    '<a@b>',
    '<@a:',
    '<@a,',
    '"a" ',
    '(a',
    'g:;',
    'a.',
    '"\\',
    'a b ',
  ];
  it.each(units)('is linear for %j again and again', async (unit) => {
    for (const [start, end] of [
      ['', ''],
      ['a@b, <', '>'],
      ['"', ''],
      ['(', ')'],
    ] as const) {
      const ratio = await growth(({ parseAddressList }, size) => void parseAddressList(start + unit.repeat(size / unit.length) + end));
      expect(ratio).toBeLessThan(2.01);
    }
  });
});

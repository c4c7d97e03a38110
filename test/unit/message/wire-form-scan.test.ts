import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { MOST_SCANNED, openWireFormScan, type WireFormScan } from '../../../src/message/wire-form-scan.ts';
import { octetsOf } from '../../support/octets.ts';

const [LF, CR, DOT, OTHER] = [0x0a, 0x0d, 0x2e, 0x78];

function opened(): WireFormScan {
  const scan = openWireFormScan();
  if (scan === undefined) throw new Error('every processor that runs the tests has what it takes');
  return scan;
}
const scan = opened();

/** The rule, octet by octet. */
function isInPlace(part: Uint8Array, before: number): boolean {
  let last = before;
  for (const octet of part) {
    if ((octet === LF) !== (last === CR) || (octet === DOT && last === LF)) return false;
    last = octet;
  }
  return true;
}

const before = fc.constantFrom(LF, CR, OTHER);

describe('the scan for wire form', () => {
  it('sees what octet by octet is seen, in any mixture of line ends and dots', () => {
    const octet = fc.oneof(
      { weight: 3, arbitrary: fc.constantFrom(LF, CR, DOT) },
      { weight: 1, arbitrary: fc.integer({ min: 0, max: 255 }) },
    );
    const mixture = fc.array(octet, { minLength: 1, maxLength: 300 }).map((octets) => Uint8Array.from(octets));
    fc.assert(
      fc.property(mixture, before, (octets, first) => {
        expect(scan(octets, first)).toBe(isInPlace(octets, first));
      }),
    );
  });

  it('sees it in lines that are in wire form but for one octet, wherever that is', () => {
    const lines = fc.array(fc.constantFrom('', 'a', 'a.', 'an ordinary line of text', 'x'.repeat(76), '\0\t\xe9'), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(lines, fc.nat(), fc.constantFrom(LF, CR, DOT), (texts, at, octet) => {
        const whole = octetsOf(texts.map((text) => `${text}\r\n`).join(''));
        expect(scan(whole, LF)).toBe(true);
        const changed = Uint8Array.from(whole);
        changed[at % changed.length] = octet;
        expect(scan(changed, LF)).toBe(isInPlace(changed, LF));
      }),
    );
  });

  it('sees a single octet out of place at each end of its blocks, and nothing that an earlier part left behind', () => {
    const good = new Uint8Array(MOST_SCANNED).fill(OTHER);
    for (const at of [0, 15, 16, 127, 128, 129, MOST_SCANNED - 17, MOST_SCANNED - 1]) {
      const bad = Uint8Array.from(good);
      bad[at] = LF;
      expect(scan(bad, OTHER)).toBe(false);
      expect(scan(good, OTHER)).toBe(true);
      expect(scan(bad.subarray(0, at), OTHER)).toBe(true);
    }
  });

  it('lets a CR at the end be, since its LF may be next', () => {
    for (const length of [1, 16, 127, 128, MOST_SCANNED]) {
      const part = new Uint8Array(length).fill(OTHER);
      part[length - 1] = CR;
      expect(scan(part, OTHER)).toBe(true);
    }
    expect(scan(Uint8Array.of(CR, CR), OTHER)).toBe(false);
  });

  it('is not to be had where the module is refused', () => {
    const refuse = (): never => {
      throw new Error('no SIMD');
    };
    const engine = { Module: refuse, Instance: refuse } as unknown as Parameters<typeof openWireFormScan>[0];
    expect(openWireFormScan(engine)).toBeUndefined();
  });
});

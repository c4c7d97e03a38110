/** Tokens of email-oauth2-proxy: its own vector opens, and nothing else does. */
import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { deriveFernetKey, isFernetToken, MOST_ITERATIONS, openFernet } from '../../../src/platform/fernet.ts';
import { sealFernet } from '../../support/fernet.ts';

const SALT = Buffer.from('MDEyMzQ1Njc4OWFiY2RlZg==', 'base64');
const TOKEN = 'gAAAAABrBE_GWpf1HioIUdbvf9QVVorPjmC-9M3Ai1LTQX2o1wiAGIIktPGsNiROYroIgXyM_rom7b5wP3RE-Wo6AJ1TFi27-7-IpFjrgrmujhNk8y_ZtLw=';

describe('a Fernet token', () => {
  it('of email-oauth2-proxy opens with its password and with no other', async () => {
    const key = await deriveFernetKey('pässword "1"', SALT, 1_200_000);
    expect(openFernet(TOKEN, key)).toBe('0.AXoA-refresh-tøken');
    expect(openFernet(TOKEN, await deriveFernetKey('password "1"', SALT, 1_200_000))).toBeUndefined();
  });

  it('round-trips any text, and one changed octet closes it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme' }), fc.nat(), fc.integer({ min: 1, max: 255 }), (text, place, change) => {
        const key = randomBytes(32);
        const token = sealFernet(text, key);
        expect(openFernet(token, key)).toBe(text);
        const octets = Buffer.from(token, 'base64url');
        const at = place % octets.length;
        octets[at] = (octets[at] ?? 0) ^ change;
        expect(openFernet(octets.toString('base64url'), key)).toBeUndefined();
      }),
    );
  });

  it('is never something malformed', () => {
    const key = randomBytes(32);
    const good = sealFernet('x', key);
    for (const token of [
      '',
      '=',
      'gAAA',
      good.slice(0, -8),
      `${good}AAAA`,
      ` ${good}`,
      `${good}\n`,
      good.replace('g', '+'),
      'A'.repeat(200_000),
    ]) {
      expect(isFernetToken(token)).toBe(false);
      expect(openFernet(token, key)).toBeUndefined();
    }
    fc.assert(fc.property(fc.string(), (token) => openFernet(token, key) === undefined));
  });

  it('refuses work without end', async () => {
    for (const iterations of [0, -1, 1.5, MOST_ITERATIONS + 1, 2 ** 40, Number.NaN]) {
      await expect(deriveFernetKey('x', SALT, iterations)).rejects.toThrow(RangeError);
    }
  });
});

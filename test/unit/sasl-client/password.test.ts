import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SaslStringError } from '../../../src/sasl/bearer.ts';
import { encodeLogin, encodePlain } from '../../../src/sasl/password.ts';
import { startSaslExchange } from '../../../src/sasl/server.ts';

describe('PLAIN', () => {
  it('is the example of RFC 4616 §4', () => {
    expect(Buffer.from(encodePlain('tim', 'tanstaaftanstaaf'), 'base64').toString()).toBe('\0tim\0tanstaaftanstaaf');
  });

  it('reaches a server as it was typed, or is not sent', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), fc.string({ unit: 'grapheme', maxLength: 40 }), (user, password) => {
        try {
          const step = startSaslExchange('PLAIN', encodePlain(user, password));
          expect(step).toEqual({ kind: 'credentials', username: user, password });
        } catch (error) {
          if (!(error instanceof SaslStringError)) throw error;
          expect(user === '' || password === '' || /[\u0000-\u001f\u007f-\u009f]/.test(user + password)).toBe(true);
        }
      }),
    );
  });
});

describe('LOGIN', () => {
  it('is two lines of base64', () => {
    expect(encodeLogin('jörg@example.com', 'pässword')).toEqual(
      ['jörg@example.com', 'pässword'].map((text) => Buffer.from(text).toString('base64')),
    );
  });
});

describe.each([
  ['PLAIN', encodePlain],
  ['LOGIN', encodeLogin],
] as const)('%s', (_name, encode) => {
  it.each(['', 'a\0b', 'a\r', 'a\nb', '\u001b', '\u007f', 'x'.repeat(1025)])('refuses the password %j', (password) => {
    expect(() => encode('user@example.com', password)).toThrow(
      expect.objectContaining({ name: 'SaslStringError', part: 'password' }) as Error,
    );
  });

  it('refuses a user with a control character, and shows nothing', () => {
    expect(() => encode('a\0b', 'secret~password')).toThrow(/^the SASL user has a control character$/);
    expect(() => encode('user@example.com', 'secret\0password')).toThrow(/^the password has a control character$/);
  });
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeBearerFailure, SaslStringError } from '../../../src/sasl/bearer.ts';
import { encodeOauthbearer, OAUTHBEARER_FAILURE_ANSWER } from '../../../src/sasl/oauthbearer.ts';
import { encodeXoauth2, XOAUTH2_FAILURE_ANSWER } from '../../../src/sasl/xoauth2.ts';

const decoded = (base64: string): string => Buffer.from(base64, 'base64').toString();

/** Undefined where the string is refused; any other error is thrown. */
function attempt(encode: () => string): string | undefined {
  try {
    return encode();
  } catch (error) {
    if (error instanceof SaslStringError) return undefined;
    throw error;
  }
}

describe('XOAUTH2', () => {
  it('is the example of the documentation', () => {
    expect(encodeXoauth2('someuser@example.com', 'ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg')).toBe(
      'dXNlcj1zb21ldXNlckBleGFtcGxlLmNvbQFhdXRoPUJlYXJlciB5YTI5LnZGOWRmdDRxbVRjMk52YjNSbGNrQmhkSFJoZG1semRHRXVZMjl0Q2cBAQ==',
    );
    expect(XOAUTH2_FAILURE_ANSWER).toBe('');
  });

  it('takes a user that is not ASCII as UTF-8', () => {
    expect(decoded(encodeXoauth2('jörg@example.com', 't'))).toBe('user=jörg@example.com\x01auth=Bearer t\x01\x01');
  });
});

describe('OAUTHBEARER', () => {
  it('is the example of RFC 7628 §4.1', () => {
    expect(encodeOauthbearer('user@example.com', 'vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==', 'server.example.com', 143)).toBe(
      'bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyIHZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB',
    );
    expect(decoded(OAUTHBEARER_FAILURE_ANSWER)).toBe('\x01');
  });

  it('escapes what would end the name', () => {
    expect(decoded(encodeOauthbearer('a,b=c@x', 't', 'h', 587))).toBe('n,a=a=2Cb=3Dc@x,\x01host=h\x01port=587\x01auth=Bearer t\x01\x01');
  });
});

describe('strings that must not be sent', () => {
  it.each(['a\r\nb', 'a\nb', 'a\0b', 'a\x01b', 'a b', '', 'ä', 'a'.repeat(16_385)])('refuses the token %j', (token) => {
    expect(() => encodeXoauth2('user@example.com', token)).toThrow(SaslStringError);
    expect(() => encodeOauthbearer('user@example.com', token, 'h', 1)).toThrow(SaslStringError);
  });

  it.each(['a@b\x01auth=Bearer EVIL\x01\x01', 'a\r\n', '\0', '', '\u0085', 'a'.repeat(321)])('refuses the user %j', (user) => {
    expect(() => encodeXoauth2(user, 'token')).toThrow(SaslStringError);
    expect(() => encodeOauthbearer(user, 'token', 'h', 1)).toThrow(SaslStringError);
  });

  it('does not show what it refuses', () => {
    expect(() => encodeXoauth2('user@example.com', 'secret token')).toThrow(/^the access token has a character that no token has$/);
  });

  it('always has one user and one token in the string, whatever they are', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string({ unit: 'binary' }), (user, token) => {
        const string = attempt(() => encodeXoauth2(user, token));
        const whole = [`user=${Buffer.from(user).toString()}`, `auth=Bearer ${token}`, '', ''];
        expect(string === undefined ? whole : decoded(string).split('\x01')).toEqual(whole);
      }),
    );
  });
});

describe('a failure challenge', () => {
  it('is read as Google and RFC 7628 write it', () => {
    expect(
      decodeBearerFailure('eyJzdGF0dXMiOiI0MDEiLCJzY2hlbWVzIjoiYmVhcmVyIG1hYyIsInNjb3BlIjoiaHR0cHM6Ly9tYWlsLmdvb2dsZS5jb20vIn0K'),
    ).toEqual({
      status: '401',
      schemes: 'bearer mac',
      scope: 'https://mail.google.com/',
    });
  });

  it.each([
    ['nothing', ''],
    ['no base64', '!!!'],
    ['no JSON', Buffer.from('{"status":').toString('base64')],
    ['a list', Buffer.from('[1]').toString('base64')],
    ['null', Buffer.from('null').toString('base64')],
    ['too much', 'A'.repeat(12_292)],
  ])('that is %s says nothing', (_what, challenge) => {
    expect(decodeBearerFailure(challenge)).toBeUndefined();
  });

  it('keeps no field of a wrong type, and cuts long ones', () => {
    const challenge = Buffer.from(JSON.stringify({ status: 400, scope: { a: 1 }, schemes: 'x'.repeat(500) })).toString('base64');
    expect(decodeBearerFailure(challenge)).toEqual({ status: '400', schemes: 'x'.repeat(200) });
  });
});

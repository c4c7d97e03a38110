import { describe, expect, it } from 'vitest';
import { bindAddress, parseRedirectUri, redirectUriAt } from '../../../../src/token/sign-in/redirect-uri.ts';

describe('a redirect URI', () => {
  it.each([
    ['http://localhost/oauth/callback', 'http://localhost:8400/oauth/callback', '127.0.0.1'],
    ['http://localhost:8400', 'http://localhost:8400', '127.0.0.1'],
    ['http://localhost/', 'http://localhost:8400/', '127.0.0.1'],
    ['http://127.0.0.1:8400/cb', 'http://127.0.0.1:8400/cb', '127.0.0.1'],
    ['http://[::1]/cb', 'http://[::1]:8400/cb', '::1'],
    ['HTTP://LOCALHOST/cb', 'http://localhost:8400/cb', '127.0.0.1'],
  ])('on loopback gets a port and keeps its path: %s', (text, sent, bound) => {
    const redirect = parseRedirectUri(text);
    if (redirect?.kind !== 'loopback') throw new Error(`${text} is on loopback`);
    expect(redirectUriAt(redirect, 8400)).toBe(sent);
    expect(bindAddress(redirect)).toBe(bound);
  });

  it('keeps the port that it names, and asks for any where it names none', () => {
    expect(parseRedirectUri('http://localhost:80/cb')).toMatchObject({ port: 80 });
    expect(parseRedirectUri('http://localhost/cb')).toMatchObject({ port: 0 });
  });

  it.each([
    'https://localhost/cb',
    'http://localhost.evil.test/cb',
    'http://user@localhost/cb',
    'http://127.0.0.2/cb',
    'http://0.0.0.0/cb',
    'http://localhost/cb?x=1',
    'https://login.microsoftonline.com/common/oauth2/nativeclient',
    'urn:ietf:wg:oauth:2.0:oob',
  ])('elsewhere is not listened to: %s', (text) => {
    expect(parseRedirectUri(text)).toEqual({ kind: 'elsewhere', uri: text });
  });

  it.each(['', 'localhost', '/oauth/callback', 'http://localhost/cb#fragment', 'http://local host/', 'http://localhost/a b'])(
    'is not %j',
    (text) => {
      expect(parseRedirectUri(text)).toBeUndefined();
    },
  );
});

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type EpochMs, hours, seconds } from '../../../src/core/clock.ts';
import type { TokenAnswer } from '../../../src/token/token-answer.ts';
import { readRetryAfter, readTokenResponse, type TokenHttpResponse } from '../../../src/token/token-response.ts';

const NOW = Date.UTC(2026, 10, 23) as EpochMs;

function read(body: unknown, changes: Partial<TokenHttpResponse> = {}, secrets: readonly string[] = []): TokenAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return readTokenResponse({ status: 200, contentType: 'application/json', host: 'login.lab.test', body: text, ...changes }, NOW, secrets);
}

const good = { access_token: 'abc.DEF-123_~+/=', token_type: 'Bearer', expires_in: 3599 };

describe('tokens', () => {
  it('are read', () => {
    expect(read({ ...good, refresh_token: '0.AAA' })).toEqual({
      kind: 'granted',
      accessToken: 'abc.DEF-123_~+/=',
      expiresIn: seconds(3599),
      refreshToken: '0.AAA',
    });
  });

  it.each<[string, unknown, number]>([
    ['a number', 3600, 3600],
    ['a numeric string, as from managed identities', '3600', 3600],
    ['a fraction', 12.5, 12.5],
    ['missing', undefined, 3599],
    ['null', null, 3599],
    ['text', 'soon', 3599],
    ['an empty string', '', 3599],
    ['an object', {}, 3599],
    ['1e12', 1e12, hours(48) / 1000],
    ['"1e999"', '1e999', hours(48) / 1000],
  ])('expires_in %s', (_what, value, expected) => {
    expect(read({ ...good, expires_in: value })).toMatchObject({ kind: 'granted', expiresIn: expected * 1000 });
  });

  it.each<[string, Record<string, unknown>, number]>([
    ['a moment in place of a duration', { expires_on: NOW / 1000 + 1234 }, 1234],
    ['a moment as a string, as from App Service', { expires_on: String(NOW / 1000 + 1234) }, 1234],
    ['both: the duration wins', { expires_on: NOW / 1000 + 1234, expires_in: '60' }, 60],
    ['a moment that is a date', { expires_on: '11/24/2026 00:00:00 +00:00' }, 3599],
  ])('%s', (_what, life, expected) => {
    const { expires_in: _none, ...rest } = good;
    expect(read({ ...rest, ...life })).toMatchObject({ kind: 'granted', expiresIn: expected * 1000 });
  });

  it('with a moment in the past are dead on arrival', () => {
    const { expires_in: _none, ...rest } = good;
    expect(read({ ...rest, expires_on: NOW / 1000 - 1 })).toMatchObject({ kind: 'nonsense' });
  });

  it.each([0, -1, '0', '-3600', -1e12])('K02 expires_in %j: the token is dead on arrival', (value) => {
    expect(read({ ...good, expires_in: value, refresh_token: 'rotated' })).toMatchObject({ kind: 'nonsense', refreshToken: 'rotated' });
  });

  it.each<[string, unknown]>([
    ['missing', undefined],
    ['empty', ''],
    ['a number', 7],
    ['with CR', 'abc\rdef'],
    ['with LF', 'abc\ndef'],
    ['with NUL', 'abc\0def'],
    ['with ^A', 'abc\x01def'],
    ['with a space', 'abc def'],
    ['with DEL', 'abc\x7fdef'],
    ['with a letter beyond ASCII', 'abcé'],
    ['ending in LF', 'abc\n'],
    ['of 20 KB', 'a'.repeat(20 * 1024)],
    ['of 16 KB and one', 'a'.repeat(16 * 1024 + 1)],
  ])('K07 access_token %s is refused, and the refresh token that came with it kept', (_what, value) => {
    const answer = read({ ...good, access_token: value, refresh_token: 'rotated' });
    expect(answer).toMatchObject({ kind: 'nonsense', refreshToken: 'rotated' });
    expect(JSON.stringify(answer)).not.toMatch(/abc|aaaa/);
  });

  it('access_token of 16 KB is taken', () => {
    expect(read({ ...good, access_token: 'a'.repeat(16 * 1024) }).kind).toBe('granted');
  });

  it('of another type than Bearer are of no use', () => {
    expect(read({ ...good, token_type: 'mac' }).kind).toBe('nonsense');
    expect(read({ ...good, token_type: 'bearer' }).kind).toBe('granted');
    expect(read({ ...good, token_type: undefined }).kind).toBe('granted');
  });

  it.each([[7], [''], [null], [['x']], ['r'.repeat(70_000)]])('refresh_token %j counts as missing', (value) => {
    expect(read({ ...good, refresh_token: value })).not.toHaveProperty('refreshToken');
  });
});

describe('other answers', () => {
  it.each<[string, string, number, TokenAnswer['kind']]>([
    ['HTML with 200', '<html>Sign in to the hotel network</html>', 200, 'nonsense'],
    ['cut JSON', '{"access_token":"abc', 200, 'nonsense'],
    ['nothing', '', 200, 'nonsense'],
    ['a JSON list', '[1]', 200, 'nonsense'],
    ['JSON null', 'null', 200, 'nonsense'],
    ['HTML with 404', '<html>', 404, 'nonsense'],
    ['HTML with 403', '<html>', 403, 'nonsense'],
    ['a redirect', '', 302, 'nonsense'],
    ['JSON without error, with 400', '{"message":"no"}', 400, 'nonsense'],
    ['tokens with 400', JSON.stringify(good), 400, 'nonsense'],
    ['an OAuth error with 400', '{"error":"invalid_grant"}', 400, 'refused'],
    ['an OAuth error with 401', '{"error":"invalid_client"}', 401, 'refused'],
    ['an OAuth error with 200', '{"error":"invalid_grant"}', 200, 'refused'],
    ['an OAuth error with 500', '{"error":"invalid_grant"}', 500, 'busy'],
    ['500', 'oops', 500, 'busy'],
    ['503', '', 503, 'busy'],
    ['429', '', 429, 'busy'],
    ['408', '', 408, 'busy'],
    ['a loop with 429', '{"error":"invalid_grant","error_codes":[50196]}', 429, 'refused'],
  ])('K02 %s', (_what, body, status, kind) => {
    const answer = read(body, { status, retryAfter: '120' });
    expect(answer.kind).toBe(kind);
    expect(answer).toHaveProperty('retryAfter', seconds(120));
    expect({ cause: 'login.lab.test answered ', ...answer }.cause).toMatch(/^login\.lab\.test answered /);
  });

  it('a refusal keeps what the log needs', () => {
    const body = {
      error: 'invalid_grant',
      suberror: 'bad_token',
      error_codes: [50173],
      error_description: 'AADSTS50173: revoked.\r\nTrace ID: 1',
      trace_id: 'trace',
      correlation_id: 'correlation',
    };
    expect(read(body, { status: 400 })).toEqual({
      kind: 'refused',
      httpStatus: 400,
      error: 'invalid_grant',
      suberror: 'bad_token',
      errorCodes: [50173],
      description: 'AADSTS50173: revoked. Trace ID: 1',
      traceId: 'trace',
      correlationId: 'correlation',
    });
  });

  it('finds the number in the description where there is no list', () => {
    expect(read({ error: 'invalid_client', error_description: 'AADSTS7000222: expired' }, { status: 401 })).toMatchObject({
      errorCodes: [7000222],
    });
  });

  it.each<[string, (secret: string) => string]>([
    ['in base64 of a whole form', (secret) => Buffer.from(`client_id=x&client_secret=${secret}`).toString('base64')],
    ['in hex', (secret) => Buffer.from(secret).toString('hex')],
    ['cut off', (secret) => secret.slice(0, 40)],
  ])('removes secrets that the endpoint echoes %s, from its fields and from its content type', (_how, quote) => {
    const secret = 'kZ8Q~a.8Xb_dwP3nVtY5rLmC7hJ1sGq0uEfN2oAi9T';
    const refused = read({ error: 'invalid_client', error_description: `bad: ${quote(secret)}` }, { status: 401 }, [secret]);
    const nonsense = read('<html>', { contentType: `text/html; x=${quote(secret)}` }, [secret]);
    for (const answer of [refused, nonsense]) {
      expect(JSON.stringify(answer)).toContain('[secret]');
      expect(JSON.stringify(answer)).not.toContain(quote(secret).slice(-24));
    }
  });

  it('removes secrets that the endpoint echoes, in clear or encoded', () => {
    const secret = 'S3cr&t value+/é';
    const echo = `bad: ${secret} ${encodeURIComponent(secret)} ${new URLSearchParams({ s: secret }).toString().slice(2)}`;
    const text = JSON.stringify(read({ error: secret, error_description: echo, trace_id: secret }, { status: 400 }, [secret]));
    expect(text).not.toContain('S3cr');
    expect(text).toContain('[secret]');
  });

  it('whatever comes, the answer is one of ours and has no line break or control character', () => {
    const json = fc.record(
      {
        access_token: fc.anything(),
        refresh_token: fc.anything(),
        expires_in: fc.anything(),
        error: fc.anything(),
        error_codes: fc.anything(),
        error_description: fc.anything(),
        suberror: fc.string(),
      },
      { requiredKeys: [] },
    );
    const body = fc.oneof(
      fc.string(),
      json.map((value) => JSON.stringify(value, (_key, part: unknown) => (typeof part === 'bigint' ? String(part) : part)) ?? ''),
    );
    fc.assert(
      fc.property(body, fc.integer({ min: 100, max: 599 }), fc.option(fc.string(), { nil: undefined }), (text, status, retryAfter) => {
        const answer = read(text, { status, retryAfter });
        expect(['granted', 'refused', 'busy', 'nonsense']).toContain(answer.kind);
        const shown = Object.values({ ...answer, refreshToken: '' }).filter((value) => typeof value === 'string');
        expect(shown.join('')).not.toMatch(/[\0-\x1f\x7f]/);
        expect({ expiresIn: 1, ...answer }.expiresIn).toBeGreaterThan(0);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('Retry-After', () => {
  it.each<[string | undefined, number | undefined]>([
    [undefined, undefined],
    ['30', 30],
    [' 30 ', 30],
    ['0', 0],
    ['86400', 3600],
    ['9'.repeat(400), 3600],
    ['-5', 0],
    ['soon', undefined],
    ['', undefined],
    ['Mon, 23 Nov 2026 00:01:40 GMT', 100],
    ['Sun, 22 Nov 2026 00:00:00 GMT', 0],
    ['Mon, 23 Nov 2036 00:00:00 GMT', 3600],
  ])('%j', (value, expected) => {
    expect(readRetryAfter(value, NOW)).toBe(expected === undefined ? undefined : expected * 1000);
  });
});

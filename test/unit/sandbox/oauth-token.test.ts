import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { days, minutes, seconds } from '../../../src/core/clock.ts';
import { defaultFaults, setFaults } from '../../../src/sandbox/faults.ts';
import { claimsOf, post, refresh, secretOf } from './oauth-client.ts';
import { openSandbox, type TestSandbox } from './wire.ts';

const SMTP_SEND = 'https://outlook.office.com/SMTP.Send';
const MAILBOX = 'relay@sandbox.test';

let box: TestSandbox;
beforeAll(async () => {
  box = await openSandbox();
});
afterEach(() => setFaults(box.sandbox.faults, defaultFaults()));
afterAll(() => box.sandbox.close());

describe('refresh_token', () => {
  it('answers with an access token for Exchange and a new refresh token', async () => {
    const { sandbox, clock } = box;
    const first = sandbox.mint.refreshToken(MAILBOX);
    const before = sandbox.statistics.token.requests.refresh_token;
    const { status, json, headers } = await refresh(sandbox, first, { scope: `${SMTP_SEND} offline_access` });
    expect(status).toBe(200);
    expect(headers.get('cache-control')).toBe('no-store');
    expect(json).toMatchObject({ token_type: 'Bearer', scope: SMTP_SEND });
    expect(json['expires_in']).toBe(json['ext_expires_in']);
    expect(json['expires_in']).toBeGreaterThanOrEqual(3_600);
    expect(json['expires_in']).toBeLessThanOrEqual(5_400);
    const now = Math.floor(clock.now() / 1_000);
    expect(claimsOf(json['access_token'])).toMatchObject({
      aud: 'https://outlook.office.com',
      scp: 'SMTP.Send',
      upn: MAILBOX,
      appid: sandbox.clientId,
      tid: sandbox.tenantId,
      iat: now,
      exp: now + Number(json['expires_in']),
    });
    expect(json['refresh_token']).not.toBe(first);
    expect(sandbox.statistics.token.requests.refresh_token).toBe(before + 1);
    // Padded to the length of a real one: it overruns a command line of 512 octets.
    expect(String(json['access_token']).length).toBeGreaterThan(1_800);
    expect(String(json['access_token']).length).toBeLessThanOrEqual(1_900);
  });

  it('takes the scopes of the sign-in where none are named', async () => {
    const { json } = await refresh(box.sandbox, box.sandbox.mint.refreshToken(MAILBOX));
    expect(claimsOf(json['access_token'])['scp']).toBe('SMTP.Send IMAP.AccessAsUser.All POP.AccessAsUser.All');
  });

  it('leaves the old token valid, as Entra does', async () => {
    const first = box.sandbox.mint.refreshToken(MAILBOX);
    expect((await refresh(box.sandbox, first)).status).toBe(200);
    const again = await refresh(box.sandbox, first);
    expect(again.status).toBe(200);
    expect((await refresh(box.sandbox, String(again.json['refresh_token']))).status).toBe(200);
  });

  it('revokes the whole line when reuse is detected', async () => {
    box.sandbox.faults.token.reuseDetection = true;
    const first = box.sandbox.mint.refreshToken(MAILBOX);
    const second = String((await refresh(box.sandbox, first)).json['refresh_token']);
    const unrelated = box.sandbox.mint.refreshToken(MAILBOX);
    expect((await refresh(box.sandbox, first)).json).toMatchObject({ error: 'invalid_grant', error_codes: [70000] });
    expect((await refresh(box.sandbox, second)).json).toMatchObject({ error: 'invalid_grant', error_codes: [70000] });
    expect((await refresh(box.sandbox, unrelated)).status).toBe(200);
  });

  it.each([
    ['same', true],
    ['omit', false],
  ] as const)('can be switched not to rotate: %s', async (mode, isReturned) => {
    box.sandbox.faults.token.refreshTokens = mode;
    const first = box.sandbox.mint.refreshToken(MAILBOX);
    const { json } = await refresh(box.sandbox, first);
    expect(json['refresh_token']).toBe(isReturned ? first : undefined);
    expect((await refresh(box.sandbox, first)).status).toBe(200);
  });

  it('dies after 90 days without use, counted from the last use', async () => {
    const token = box.sandbox.mint.refreshToken(MAILBOX);
    await box.clock.advance(days(89));
    box.sandbox.faults.token.refreshTokens = 'same';
    expect((await refresh(box.sandbox, token)).status).toBe(200);
    await box.clock.advance(days(89));
    expect((await refresh(box.sandbox, token)).status).toBe(200);
    await box.clock.advance(days(91));
    expect((await refresh(box.sandbox, token)).json).toMatchObject({ error: 'invalid_grant', error_codes: [700082] });
  });

  it('ends when revoked', async () => {
    const token = box.sandbox.mint.refreshToken('billing@sandbox.test');
    const other = box.sandbox.mint.refreshToken(MAILBOX);
    box.sandbox.mint.revokeRefreshTokens('billing@sandbox.test');
    expect((await refresh(box.sandbox, token)).json).toMatchObject({ error_codes: [70000] });
    expect((await refresh(box.sandbox, other)).status).toBe(200);
  });
});

describe('client_credentials', () => {
  const ask = (scope: string) => post(box.sandbox.tokenUrl, { grant_type: 'client_credentials', scope, ...secretOf(box.sandbox) });

  it('answers with roles and neither scope nor refresh token', async () => {
    const { status, json } = await ask('https://outlook.office365.com/.default');
    expect(status).toBe(200);
    expect(Object.keys(json).sort()).toEqual(['access_token', 'expires_in', 'ext_expires_in', 'token_type']);
    const claims = claimsOf(json['access_token']);
    expect(claims).toMatchObject({
      aud: 'https://outlook.office365.com',
      roles: ['SMTP.SendAsApp', 'IMAP.AccessAsApp', 'POP.AccessAsApp'],
    });
    expect(claims).not.toHaveProperty('upn');
  });

  it.each([SMTP_SEND, 'https://outlook.office365.com/.default https://graph.microsoft.com/.default'])(
    'refuses the scope %s',
    async (scope) => {
      expect((await ask(scope)).json).toMatchObject({ error: 'invalid_scope', error_codes: [70011] });
    },
  );

  it('takes a bare .default for that of Graph', async () => {
    expect(claimsOf((await ask('.default')).json['access_token'])['aud']).toBe('https://graph.microsoft.com');
  });
});

describe('refusals', () => {
  it('are shaped as at Entra', async () => {
    const correlation = '01234567-89ab-cdef-0123-456789abcdef';
    const { sandbox } = box;
    const form = { grant_type: 'refresh_token', refresh_token: 'x', client_id: sandbox.clientId, client_secret: 'wrong' };
    const { status, json, headers } = await post(sandbox.tokenUrl, form, { 'client-request-id': correlation });
    expect(status).toBe(401);
    expect(headers.get('content-type')).toBe('application/json; charset=utf-8');
    expect(json['error_description']).toMatch(
      /^AADSTS7000215: .+ Trace ID: [0-9a-f-]{36} Correlation ID: 01234567-89ab-cdef-0123-456789abcdef Timestamp: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ$/,
    );
    expect(json).toMatchObject({ error: 'invalid_client', error_codes: [7000215], correlation_id: correlation });
    expect(json['error_uri']).toBe(`${sandbox.httpUrl}/error?code=7000215`);
    expect(json['trace_id']).toBe(headers.get('x-ms-request-id'));
    expect(json).not.toHaveProperty('suberror');
  });

  const without = (name: string) => (fields: Record<string, string>) =>
    Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
  const cases: [string, (fields: Record<string, string>) => Record<string, string>, string, number][] = [
    ['unknown client', (fields) => ({ ...fields, client_id: 'nobody' }), 'unauthorized_client', 700016],
    ['no client', without('client_id'), 'invalid_request', 900144],
    ['no secret', without('client_secret'), 'invalid_client', 7000218],
    [
      'an assertion without its type',
      (fields) => ({ ...without('client_secret')(fields), client_assertion: 'x' }),
      'invalid_request',
      900144,
    ],
    ['no grant type', without('grant_type'), 'invalid_request', 900144],
    ['unknown grant type', (fields) => ({ ...fields, grant_type: 'password' }), 'unsupported_grant_type', 70003],
    ['no refresh token', without('refresh_token'), 'invalid_request', 900144],
    ['malformed refresh token', (fields) => ({ ...fields, refresh_token: 'abc' }), 'invalid_request', 9002313],
    ['unknown refresh token', (fields) => ({ ...fields, refresh_token: `1.sandbox.${'a'.repeat(256)}` }), 'invalid_grant', 70000],
    ['several resources', (fields) => ({ ...fields, scope: `${SMTP_SEND} https://graph.microsoft.com/Mail.Send` }), 'invalid_scope', 28002],
    ['bare beside full scope', (fields) => ({ ...fields, scope: `${SMTP_SEND} User.Read` }), 'invalid_scope', 28002],
    ['a misspelt scope', (fields) => ({ ...fields, scope: 'https://outlook.office.com/IMAP.AccessAsUser.A' }), 'invalid_scope', 70011],
    ['a garbled scope', (fields) => ({ ...fields, scope: 'IMAP.AccessAsUser.A;;' }), 'invalid_scope', 70011],
    ['an unknown resource', (fields) => ({ ...fields, scope: 'https://mail.example.com/SMTP.Send' }), 'invalid_resource', 500011],
    [
      '.default beside a name',
      (fields) => ({ ...fields, scope: `https://outlook.office.com/.default ${SMTP_SEND}` }),
      'invalid_scope',
      70011,
    ],
  ];
  it.each(cases)('%s', async (_what, change, error, number) => {
    const { sandbox } = box;
    const fields = { grant_type: 'refresh_token', refresh_token: sandbox.mint.refreshToken(MAILBOX), ...secretOf(sandbox) };
    const { json } = await post(sandbox.tokenUrl, change(fields));
    expect(json).toMatchObject({ error, error_codes: [number] });
    expect(json['error_description']).toMatch(new RegExp(`^AADSTS${number}: `));
  });

  it('know the tenant', async () => {
    const { sandbox } = box;
    const fields = { grant_type: 'refresh_token', refresh_token: sandbox.mint.refreshToken(MAILBOX), ...secretOf(sandbox) };
    const at = (tenant: string) => post(`${sandbox.httpUrl}/${tenant}/oauth2/v2.0/token`, fields);
    expect((await at('elsewhere.test')).json).toMatchObject({ error: 'invalid_request', error_codes: [90002] });
    expect((await at('common')).json).toMatchObject({ error_codes: [50194] });
    expect((await at(sandbox.tenantId)).status).toBe(200);
    expect((await at('sandbox')).status).toBe(200);
  });

  it('know that a token belongs to one application', async () => {
    const { sandbox } = box;
    const token = sandbox.mint.refreshToken(MAILBOX, { clientId: sandbox.publicClientId });
    expect((await refresh(sandbox, token)).json).toMatchObject({ error_codes: [70000] });
    const fields = { grant_type: 'refresh_token', refresh_token: token, client_id: sandbox.publicClientId };
    expect((await post(sandbox.tokenUrl, { ...fields, client_secret: 'x' })).json).toMatchObject({
      error: 'invalid_client',
      error_codes: [700025],
    });
    expect((await post(sandbox.tokenUrl, fields)).status).toBe(200);
  });

  it('take a secret in HTTP Basic, form-encoded (RFC 6749 §2.3.1)', async () => {
    const { sandbox } = box;
    const encode = (text: string): string => encodeURIComponent(text).replaceAll('~', '%7E');
    const basic = Buffer.from(`${encode(sandbox.clientId)}:${encode(sandbox.clientSecret)}`).toString('base64');
    const fields = { grant_type: 'refresh_token', refresh_token: sandbox.mint.refreshToken(MAILBOX) };
    expect((await post(sandbox.tokenUrl, fields, { authorization: `Basic ${basic}` })).status).toBe(200);
    const wrong = Buffer.from(`${sandbox.clientId}:wrong`).toString('base64');
    expect((await post(sandbox.tokenUrl, fields, { authorization: `Basic ${wrong}` })).json).toMatchObject({ error_codes: [7000215] });
  });

  it('count', async () => {
    const before = structuredClone(box.sandbox.statistics.token);
    await refresh(box.sandbox, 'malformed');
    await refresh(box.sandbox, box.sandbox.mint.refreshToken(MAILBOX));
    expect(box.sandbox.statistics.token).toMatchObject({ issued: before.issued + 1, refused: before.refused + 1 });
  });
});

describe('bare scopes', () => {
  it('give a token for Graph', async () => {
    const { json } = await refresh(box.sandbox, box.sandbox.mint.refreshToken(MAILBOX), { scope: 'SMTP.Send offline_access' });
    expect(claimsOf(json['access_token'])).toMatchObject({ aud: 'https://graph.microsoft.com', scp: 'SMTP.Send' });
  });
});

describe('fault switches of the token endpoint', () => {
  const ask = () => refresh(box.sandbox, box.sandbox.mint.refreshToken(MAILBOX));
  const next = pushFault;

  it('any AADSTS number, as often as asked', async () => {
    next({ kind: 'aadsts', number: 50076, times: 2 });
    for (let count = 0; count < 2; count += 1) {
      expect((await ask()).json).toMatchObject({ error: 'interaction_required', suberror: 'basic_action', error_codes: [50076] });
    }
    expect((await ask()).status).toBe(200);
    next({ kind: 'aadsts', number: 90033 });
    expect(await ask()).toMatchObject({ status: 503, json: { error: 'temporarily_unavailable' } });
    next({ kind: 'aadsts', number: 123456, error: 'invalid_grant', suberror: 'bad_token' });
    expect((await ask()).json).toMatchObject({ error: 'invalid_grant', suberror: 'bad_token', error_codes: [123456] });
  });

  it('429 with Retry-After', async () => {
    next({ kind: 'too-many-requests', retryAfter: '120' });
    const { status, headers } = await ask();
    expect(status).toBe(429);
    expect(headers.get('retry-after')).toBe('120');
  });

  it.each([500, 503])('%d', async (status) => {
    next({ kind: 'status', status });
    expect((await ask()).status).toBe(status);
  });

  it('a page with 200', async () => {
    next({ kind: 'html' });
    const { status, headers, text } = await ask();
    expect(status).toBe(200);
    expect(headers.get('content-type')).toMatch(/^text\/html/);
    expect(text).toContain('<!doctype html>');
  });

  it('cut JSON', async () => {
    next({ kind: 'cut-json' });
    const { status, text } = await ask();
    expect(status).toBe(200);
    expect(text).toContain('access_token');
    expect(() => JSON.parse(text) as unknown).toThrow(SyntaxError);
  });

  it('a field that is missing', async () => {
    next({ kind: 'missing-access-token' });
    expect((await ask()).json).not.toHaveProperty('access_token');
    next({ kind: 'missing-refresh-token' });
    const { json } = await ask();
    expect(json).toHaveProperty('access_token');
    expect(json).not.toHaveProperty('refresh_token');
  });

  it.each(['3599', 0, -1])('expires_in %j', async (value) => {
    next({ kind: 'expires-in', value });
    expect((await ask()).json['expires_in']).toBe(value);
  });

  it('a lifetime of access tokens', async () => {
    box.sandbox.faults.token.accessTokenLifetimeSeconds = 7;
    expect((await ask()).json['expires_in']).toBe(7);
  });

  it('a delay', async () => {
    next({ kind: 'delay', milliseconds: 60_000 });
    let isAnswered = false;
    const pending = ask().then((answer) => {
      isAnswered = true;
      return answer;
    });
    while (box.clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    await box.clock.advance(seconds(59));
    expect(isAnswered).toBe(false);
    await box.clock.advance(seconds(1));
    expect((await pending).status).toBe(200);
  });

  it('no answer', async () => {
    next({ kind: 'hang' });
    const before = box.sandbox.statistics.token.requests.refresh_token;
    const controller = new AbortController();
    const fields = { grant_type: 'refresh_token' };
    const pending = fetch(box.sandbox.tokenUrl, { method: 'POST', body: new URLSearchParams(fields), signal: controller.signal });
    while (box.sandbox.statistics.token.requests.refresh_token === before) await new Promise((resolve) => setImmediate(resolve));
    controller.abort();
    await expect(pending).rejects.toThrow('aborted');
  });

  it('a reset connection, before or after the grant was used', async () => {
    box.sandbox.faults.token.reuseDetection = true;
    const token = box.sandbox.mint.refreshToken(MAILBOX);
    next({ kind: 'reset' });
    await expect(refresh(box.sandbox, token)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    next({ kind: 'reset', isProcessed: true });
    await expect(refresh(box.sandbox, token)).rejects.toMatchObject({ cause: { code: 'ECONNRESET' } });
    // The rotation happened although its answer was lost.
    expect((await refresh(box.sandbox, token)).json).toMatchObject({ error_codes: [70000] });
  });

  it('the length of access tokens', async () => {
    box.sandbox.faults.token.accessTokenOctets = 5_000;
    const { length } = String((await ask()).json['access_token']);
    expect(length).toBeGreaterThan(4_900);
    expect(length).toBeLessThanOrEqual(5_000);
  });

  function pushFault(fault: (typeof box.sandbox.faults.token.next)[number]): void {
    box.sandbox.faults.token.next.push(fault);
  }
});

describe('authorization codes and device codes end', () => {
  it('after their time', async () => {
    const { sandbox } = box;
    const device = await post(sandbox.deviceUrl, { client_id: sandbox.publicClientId, scope: SMTP_SEND });
    await box.clock.advance(minutes(15));
    const poll = await post(sandbox.tokenUrl, {
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      client_id: sandbox.publicClientId,
      device_code: String(device.json['device_code']),
    });
    expect(poll.json).toMatchObject({ error: 'expired_token', error_codes: [70019] });
  });
});

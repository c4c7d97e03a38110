import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { minutes, seconds } from '../../../src/core/clock.ts';
import { isRegisteredRedirect } from '../../../src/sandbox/oauth/redirect-uri.ts';
import { claimsOf, post, secretOf, type TokenAnswer } from './oauth-client.ts';
import { openSandbox, type TestSandbox } from './wire.ts';

const SCOPE = 'https://outlook.office.com/SMTP.Send offline_access';
const REDIRECT = 'http://localhost:45123/callback';
const VERIFIER = 'a'.repeat(43);
const CHALLENGE = createHash('sha256').update(VERIFIER).digest('base64url');
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';

let box: TestSandbox;
beforeAll(async () => {
  box = await openSandbox();
});
afterAll(() => box.sandbox.close());

function authorizeUrl(change: Readonly<Record<string, string | undefined>> = {}): string {
  const url = new URL(box.sandbox.authorizeUrl);
  const query: Record<string, string | undefined> = {
    client_id: box.sandbox.publicClientId,
    response_type: 'code',
    redirect_uri: REDIRECT,
    scope: SCOPE,
    state: 'st&te',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
    ...change,
  };
  for (const [name, value] of Object.entries(query)) if (value !== undefined) url.searchParams.set(name, value);
  return url.href;
}

/** Answer the sign-in page; the address it leads to. */
async function decide(
  action: string,
  change: Readonly<Record<string, string | undefined>> = {},
  mailbox = 'billing@sandbox.test',
): Promise<URL> {
  const { status, headers } = await post(authorizeUrl(change), { action, mailbox });
  expect(status).toBe(302);
  return new URL(headers.get('location') ?? '');
}

function redeem(code: string, change: Readonly<Record<string, string>> = {}): Promise<TokenAnswer> {
  const fields = { grant_type: 'authorization_code', code, redirect_uri: REDIRECT, client_id: box.sandbox.publicClientId };
  return post(box.sandbox.tokenUrl, { ...fields, code_verifier: VERIFIER, ...change });
}

async function newCode(change: Readonly<Record<string, string | undefined>> = {}): Promise<string> {
  return (await decide('accept', change)).searchParams.get('code') ?? '';
}

describe('code with PKCE', () => {
  it('leads from the page through the redirect to tokens of the mailbox that was picked', async () => {
    const shown = await fetch(authorizeUrl({ login_hint: 'billing@sandbox.test' }));
    const text = await shown.text();
    expect(shown.status).toBe(200);
    expect(text).toContain('value="billing@sandbox.test" checked> Sign in as billing@sandbox.test');
    const action = /action="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&') ?? '';
    const decided = await post(new URL(action, box.sandbox.httpUrl).href, { action: 'accept', mailbox: 'billing@sandbox.test' });
    const target = new URL(decided.headers.get('location') ?? '');
    expect(target.origin + target.pathname).toBe(REDIRECT);
    expect(target.searchParams.get('state')).toBe('st&te');
    const { status, json } = await redeem(target.searchParams.get('code') ?? '');
    expect(status).toBe(200);
    expect(claimsOf(json['access_token'])).toMatchObject({ upn: 'billing@sandbox.test', scp: 'SMTP.Send' });
    expect(json['refresh_token']).toMatch(/^1\.sandbox\./);
  });

  it('allows the form of its page to lead to the redirect URI and nowhere else', async () => {
    const policy = (await fetch(authorizeUrl())).headers.get('content-security-policy') ?? '';
    expect(policy).toContain("form-action 'self' http://localhost:45123");
    expect(policy).toContain("default-src 'none'");
    expect(policy).toContain("frame-ancestors 'none'");
    expect(policy).not.toContain('script');
  });

  it('gives no refresh token without offline_access', async () => {
    const code = await newCode({ scope: 'https://outlook.office.com/SMTP.Send' });
    expect((await redeem(code)).json).not.toHaveProperty('refresh_token');
  });

  it('may ask for several resources at once and redeems for one', async () => {
    const code = await newCode({ scope: `${SCOPE} https://graph.microsoft.com/Mail.Send` });
    expect((await redeem(code)).json).toMatchObject({ error_codes: [28002] });
    const again = await newCode({ scope: `${SCOPE} https://graph.microsoft.com/Mail.Send` });
    const { json } = await redeem(again, { scope: 'https://graph.microsoft.com/Mail.Send' });
    expect(claimsOf(json['access_token'])['aud']).toBe('https://graph.microsoft.com');
  });

  it('refuses a wrong verifier, a missing one, and one that nobody asked for', async () => {
    expect((await redeem(await newCode(), { code_verifier: 'b'.repeat(43) })).json).toMatchObject({
      error: 'invalid_grant',
      error_codes: [501481],
    });
    const fields = {
      grant_type: 'authorization_code',
      code: await newCode(),
      redirect_uri: REDIRECT,
      client_id: box.sandbox.publicClientId,
    };
    expect((await post(box.sandbox.tokenUrl, fields)).json).toMatchObject({ error_codes: [501481] });
    const plain = await newCode({ code_challenge: undefined, code_challenge_method: undefined });
    expect((await redeem(plain)).json).toMatchObject({ error_codes: [501481] });
  });

  it('redeems a code once, in time, for its own application and redirect URI', async () => {
    const code = await newCode();
    expect((await redeem(code)).status).toBe(200);
    expect((await redeem(code)).json).toMatchObject({ error: 'invalid_grant', error_codes: [54005] });
    expect((await redeem('nonsense')).json).toMatchObject({ error_codes: [9002313] });
    expect((await redeem(await newCode(), { redirect_uri: 'http://localhost/callback' })).json).toMatchObject({ error_codes: [50011] });
    expect((await redeem(await newCode(), secretOf(box.sandbox))).json).toMatchObject({ error_codes: [70000] });
    const late = await newCode();
    await box.clock.advance(minutes(10));
    expect((await redeem(late)).json).toMatchObject({ error: 'invalid_grant', error_codes: [70008] });
  });

  it('passes a refused consent and a bad request back with the state', async () => {
    const refused = await decide('refuse');
    expect(refused.searchParams.get('error')).toBe('access_denied');
    expect(refused.searchParams.get('error_description')).toMatch(/^AADSTS65004: /);
    expect(refused.searchParams.get('state')).toBe('st&te');
    expect((await decide('accept', { scope: 'IMAP.AccessAsUser.A;;' })).searchParams.get('error')).toBe('invalid_scope');
    expect((await decide('accept', { response_type: 'token' })).searchParams.get('error')).toBe('unsupported_response_type');
    expect((await decide('accept', { code_challenge_method: 'plain' })).searchParams.get('error')).toBe('invalid_request');
    expect((await decide('accept', {}, 'nobody@sandbox.test')).searchParams.get('error')).toBe('invalid_grant');
  });

  it.each([
    ['unknown application', { client_id: '<b>' }, 'AADSTS700016'],
    ['redirect URI that is not registered', { redirect_uri: 'https://evil.test/callback' }, 'AADSTS50011'],
    ['no redirect URI', { redirect_uri: undefined }, 'AADSTS900144'],
  ])('never redirects for %s', async (_what, change, number) => {
    for (const method of ['GET', 'POST']) {
      const response = await fetch(authorizeUrl(change), { method, redirect: 'manual' });
      expect(response.status).toBe(400);
      expect(response.headers.get('location')).toBeNull();
      expect(await response.text()).toContain(number);
    }
  });

  it('escapes what it shows', async () => {
    const scope = 'https://outlook.office.com/SMTP.Send "><script>alert(1)</script>';
    const response = await fetch(authorizeUrl({ scope, state: '"><script>' }), { redirect: 'manual' });
    expect(await response.text()).not.toContain('<script');
    const device = await (await fetch(`${box.sandbox.httpUrl}/devicelogin?user_code=%22%3E%3Cscript%3E`)).text();
    expect(device).toContain('value="&quot;&gt;&lt;script&gt;"');
  });
});

describe('redirect URIs', () => {
  const registered = ['http://localhost/callback', 'http://127.0.0.1/manifest', 'https://app.test/cb'];
  it.each([
    ['http://localhost/callback', true],
    ['http://localhost:8080/callback', true],
    ['http://localhost:8080/callback/', false],
    ['http://localhost:8080/Callback', false],
    ['http://localhost:8080/', false],
    ['https://localhost:8080/callback', false],
    ['http://127.0.0.1:8080/callback', false],
    ['http://127.0.0.1:8080/manifest', true],
    ['http://[::1]:8080/callback', false],
    ['http://localhost.evil.test/callback', false],
    ['http://user@localhost/callback', false],
    ['http://localhost:8080/callback?x=1', false],
    ['https://app.test/cb', true],
    ['https://app.test:8443/cb', false],
  ])('%s: %s', (uri, isAllowed) => {
    expect(isRegisteredRedirect(uri, registered)).toBe(isAllowed);
  });
});

describe('device flow', () => {
  async function start(): Promise<{ userCode: string; deviceCode: string }> {
    const { json } = await post(box.sandbox.deviceUrl, { client_id: box.sandbox.publicClientId, scope: SCOPE });
    return { userCode: String(json['user_code']), deviceCode: String(json['device_code']) };
  }
  const poll = (deviceCode: string): Promise<TokenAnswer> =>
    post(box.sandbox.tokenUrl, { grant_type: DEVICE_GRANT, client_id: box.sandbox.publicClientId, device_code: deviceCode });
  const enter = (userCode: string, action = 'accept', mailbox = 'relay@sandbox.test') =>
    post(`${box.sandbox.httpUrl}/devicelogin`, { user_code: userCode, action, mailbox });

  it('tells the person where to go, without a complete address', async () => {
    const { json } = await post(box.sandbox.deviceUrl, { client_id: box.sandbox.publicClientId, scope: SCOPE });
    expect(json).toMatchObject({ verification_uri: `${box.sandbox.httpUrl}/devicelogin`, expires_in: 900, interval: 5 });
    expect(json['user_code']).toMatch(/^[B-DF-HJ-NP-TV-Z]{9}$/);
    expect(json['message']).toContain(json['user_code']);
    expect(json).not.toHaveProperty('verification_uri_complete');
  });

  it('is pending until the person accepts, then answers once', async () => {
    const { userCode, deviceCode } = await start();
    expect((await poll(deviceCode)).json).toMatchObject({ error: 'authorization_pending', error_codes: [70016] });
    expect((await enter(`${userCode.slice(0, 4).toLowerCase()}-${userCode.slice(4)} `)).text).toContain('signed in as relay@sandbox.test');
    await box.clock.advance(seconds(5));
    const { status, json } = await poll(deviceCode);
    expect(status).toBe(200);
    expect(claimsOf(json['access_token'])['upn']).toBe('relay@sandbox.test');
    expect(json).toHaveProperty('refresh_token');
    await box.clock.advance(seconds(5));
    expect((await poll(deviceCode)).json).toMatchObject({ error: 'bad_verification_code', error_codes: [70018] });
  });

  it('slows a hasty client down by five seconds each time', async () => {
    const { deviceCode } = await start();
    await poll(deviceCode);
    await box.clock.advance(seconds(4));
    expect((await poll(deviceCode)).json['error']).toBe('slow_down');
    await box.clock.advance(seconds(9));
    expect((await poll(deviceCode)).json['error']).toBe('slow_down');
    await box.clock.advance(seconds(15));
    expect((await poll(deviceCode)).json['error']).toBe('authorization_pending');
  });

  it('tells the device that the person refused', async () => {
    const { userCode, deviceCode } = await start();
    await enter(userCode, 'refuse');
    expect((await poll(deviceCode)).json).toMatchObject({ error: 'authorization_declined' });
  });

  it('does not take a wrong code, a wrong mailbox, an unknown device code or an unknown application', async () => {
    const { userCode } = await start();
    expect(await enter('NNNNNNNNN')).toMatchObject({ status: 400 });
    expect(await enter(userCode, 'accept', 'nobody@sandbox.test')).toMatchObject({ status: 400 });
    expect((await poll('nonsense')).json).toMatchObject({ error: 'bad_verification_code' });
    expect((await post(box.sandbox.deviceUrl, { client_id: 'nobody', scope: SCOPE })).json).toMatchObject({ error_codes: [700016] });
  });

  it('polls at the interval that is switched', async () => {
    box.sandbox.faults.token.devicePollSeconds = 1;
    const { deviceCode } = await start();
    await poll(deviceCode);
    await box.clock.advance(seconds(1));
    expect((await poll(deviceCode)).json['error']).toBe('authorization_pending');
    box.sandbox.faults.token.devicePollSeconds = 5;
  });
});

describe('discovery', () => {
  it('names the endpoints', async () => {
    const response = await fetch(`${box.sandbox.httpUrl}/sandbox.test/v2.0/.well-known/openid-configuration`);
    expect(await response.json()).toMatchObject({
      authorization_endpoint: box.sandbox.authorizeUrl,
      token_endpoint: box.sandbox.tokenUrl,
      device_authorization_endpoint: box.sandbox.deviceUrl,
    });
  });

  it('explains an error number', async () => {
    const text = await (await fetch(`${box.sandbox.httpUrl}/error?code=700082`)).text();
    expect(text).toContain('AADSTS700082: ');
  });
});

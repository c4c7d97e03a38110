/** The identity service of an Azure machine, played by a real HTTP server. */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { ManagedIdentityAuth } from '../../../src/core/account.ts';
import { seconds } from '../../../src/core/clock.ts';
import type { Dial } from '../../../src/platform/dial.ts';
import { DialError } from '../../../src/platform/dial-error.ts';
import { ManagedIdentityEndpoint } from '../../../src/token/managed-identity-endpoint.ts';
import type { TokenAnswer } from '../../../src/token/token-answer.ts';
import { verdictOn } from '../../../src/token/verdict.ts';
import { testAccount } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const clock = new FakeClock();
const servers: Server[] = [];
const endpoints: ManagedIdentityEndpoint[] = [];
afterEach(async () => {
  for (const endpoint of endpoints.splice(0)) await endpoint.close();
  for (const server of servers.splice(0)) server.close();
});

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

async function serve(respond: (response: ServerResponse) => void): Promise<{ url: string; seen: Seen[] }> {
  const seen: Seen[] = [];
  const server = createServer(({ method, url, headers }, response) => {
    seen.push({ method, url, headers });
    respond(response);
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/metadata/identity/oauth2/token`, seen };
}

const json =
  (status: number, value: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));

function ask(env: Record<string, string>, changes: Partial<ManagedIdentityAuth> = {}, dial?: Dial): Promise<TokenAnswer> {
  const endpoint = new ManagedIdentityEndpoint({ clock, env, ...(dial === undefined ? {} : { dial }) });
  endpoints.push(endpoint);
  return endpoint.request({ account: testAccount({ auth: { grant: 'client_credentials', managedIdentity: true, ...changes } }) });
}

/** As the service documents it: numbers are strings. */
const TOKEN = {
  access_token: 'eyJ0.managed.identity',
  client_id: 'c',
  expires_in: '86399',
  expires_on: '1795564799',
  ext_expires_in: '86399',
  not_before: '1795478100',
  resource: 'https://outlook.office365.com',
  token_type: 'Bearer',
};

describe('the metadata service', () => {
  it('is asked for the resource of the application scope, with the header that it wants', async () => {
    const { url, seen } = await serve(json(200, TOKEN));
    expect(await ask({ IDENTITY_ENDPOINT: url })).toEqual({
      kind: 'granted',
      accessToken: 'eyJ0.managed.identity',
      expiresIn: seconds(86_399),
    });
    const asked = new URL(seen[0]?.url ?? '', url);
    expect(seen[0]?.method).toBe('GET');
    expect(Object.fromEntries(asked.searchParams)).toEqual({ 'api-version': '2018-02-01', resource: 'https://outlook.office365.com' });
    expect(seen[0]?.headers['metadata']).toBe('true');
  });

  it('is asked for a user-assigned identity, and for scopes of the account', async () => {
    const { url, seen } = await serve(json(200, TOKEN));
    await ask({ IDENTITY_ENDPOINT: url }, { clientId: 'user-assigned', scopes: ['https://outlook.office365.us/.default'] });
    const asked = new URL(seen[0]?.url ?? '', url).searchParams;
    expect(asked.get('client_id')).toBe('user-assigned');
    expect(asked.get('resource')).toBe('https://outlook.office365.us');
  });

  it('is at the link-local address where the environment says nothing', async () => {
    const dialled: string[] = [];
    const dial: Dial = ({ host, port, tls }) => {
      dialled.push(`${host}:${port} ${tls}`);
      return Promise.reject(new DialError('timeout', `${host}:${port}: no connection`));
    };
    const answer = await ask({}, {}, dial);
    expect(dialled).toEqual(['169.254.169.254:80 none']);
    expect(answer).toMatchObject({ kind: 'unreachable', remedy: expect.stringContaining('works on Azure virtual machines') as string });
  });

  it.each<[number, unknown, string, string]>([
    [400, { error: 'invalid_request', error_description: 'Identity not found' }, 'misconfigured', 'TOKEN_MISCONFIGURED'],
    [401, { error: 'unknown_source' }, 'misconfigured', 'TOKEN_MISCONFIGURED'],
    [403, 'Forbidden by network policy', 'misconfigured', 'TOKEN_MISCONFIGURED'],
    [404, 'not found', 'busy', 'TOKEN_ENDPOINT_BUSY'],
    [410, {}, 'busy', 'TOKEN_ENDPOINT_BUSY'],
    [429, { error: 'too_many_requests' }, 'busy', 'TOKEN_ENDPOINT_BUSY'],
    [500, { error: 'unknown' }, 'busy', 'TOKEN_ENDPOINT_BUSY'],
    [504, '', 'busy', 'TOKEN_ENDPOINT_BUSY'],
    [302, '', 'busy', 'TOKEN_ENDPOINT_NONSENSE'],
  ])('answering HTTP %i', async (status, body, kind, code) => {
    const { url } = await serve(json(status, body));
    const answer = await ask({ IDENTITY_ENDPOINT: url });
    if (answer.kind === 'granted') throw new Error('no token was expected');
    expect(verdictOn(answer)).toMatchObject({ kind, problem: { code } });
  });

  it('that is being renewed is left alone for 70 s', async () => {
    const { url } = await serve(json(410, {}));
    expect(await ask({ IDENTITY_ENDPOINT: url })).toMatchObject({ kind: 'busy', retryAfter: seconds(70) });
  });

  it('says where to assign an identity', async () => {
    const { url } = await serve(json(400, { error: 'invalid_request', error_description: 'Identity not found' }));
    expect(await ask({ IDENTITY_ENDPOINT: url })).toMatchObject({
      problem: { remedy: expect.stringContaining('Identity: switch the system-assigned') as string },
    });
  });

  it('that passes on a refusal of Entra is understood by the number', async () => {
    const body = { error: 'invalid_resource', error_description: 'AADSTS500011: The resource principal was not found.' };
    const { url } = await serve(json(400, body));
    const answer = await ask({ IDENTITY_ENDPOINT: url });
    if (answer.kind === 'granted') throw new Error('no token was expected');
    expect(verdictOn(answer).problem).toMatchObject({ code: 'TOKEN_POLICY', cause: expect.stringContaining('AADSTS500011') as string });
  });

  it('that does not answer is given up after ten seconds', async () => {
    let asked: () => void = () => {};
    const reached = new Promise<void>((resolve) => {
      asked = resolve;
    });
    const { url } = await serve(() => asked());
    const answer = ask({ IDENTITY_ENDPOINT: url });
    await reached;
    await clock.advance(seconds(11));
    expect(await answer).toMatchObject({ kind: 'unreachable', cause: expect.stringContaining('10 s') as string });
  });
});

describe('App Service', () => {
  const HEADER = 'identity~header~secret';

  it('names its address and a header, and says when the token ends', async () => {
    const { expires_in: _none, ...rest } = TOKEN;
    const ends = Math.floor(clock.now() / 1000) + 1234;
    const { url, seen } = await serve(json(200, { ...rest, expires_on: String(ends) }));
    const answer = await ask({ IDENTITY_ENDPOINT: url, IDENTITY_HEADER: HEADER }, { clientId: 'user-assigned' });
    expect(answer).toMatchObject({ kind: 'granted' });
    if (answer.kind === 'granted') expect(Math.round(answer.expiresIn / 1000)).toBeGreaterThanOrEqual(1233);
    if (answer.kind === 'granted') expect(Math.round(answer.expiresIn / 1000)).toBeLessThanOrEqual(1234);
    const asked = new URL(seen[0]?.url ?? '', url).searchParams;
    expect(asked.get('api-version')).toBe('2019-08-01');
    expect(asked.get('client_id')).toBe('user-assigned');
    expect(seen[0]?.headers['x-identity-header']).toBe(HEADER);
    expect(seen[0]?.headers['metadata']).toBeUndefined();
  });

  it('does not get its header into a cause, whatever it echoes', async () => {
    const { url } = await serve(json(400, { error: 'odd', error_description: `AADSTS70011: ${HEADER} is wrong` }));
    const answer = await ask({ IDENTITY_ENDPOINT: url, IDENTITY_HEADER: HEADER });
    expect(answer.kind).toBe('refused');
    expect(JSON.stringify(answer)).not.toContain(HEADER);
  });
});

describe('an address elsewhere', () => {
  it.each([
    'http://10.0.0.1/token',
    'http://metadata.lab.test/token',
    'http://169.254.169.254.lab.test/token',
    'ftp://127.0.0.1/token',
    'http://user:password@169.254.169.254/token',
    'nonsense',
  ])('is not asked: %s', async (url) => {
    const dial: Dial = () => Promise.reject(new Error('must not happen'));
    const answer = await ask({ IDENTITY_ENDPOINT: url, IDENTITY_HEADER: 'header' }, {}, dial);
    expect(answer).toMatchObject({ kind: 'problem', problem: { code: 'TOKEN_MISCONFIGURED' } });
    expect(JSON.stringify(answer)).not.toContain('password');
  });
});

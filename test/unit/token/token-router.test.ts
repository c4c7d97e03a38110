/** Each grant goes its way, and the manager copes with what comes back from there. */
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import type { AuthSettings } from '../../../src/core/account.ts';
import { hours, minutes, seconds } from '../../../src/core/clock.ts';
import { problem } from '../../../src/core/problem.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { HttpTokenEndpoint } from '../../../src/token/token-endpoint.ts';
import { TokenRouter } from '../../../src/token/token-router.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { refusedWith } from '../../support/scripted-token-endpoint.ts';
import { rsaKey } from '../../support/signing.ts';
import { ManagerStage } from './manager-stage.ts';

const servers: Server[] = [];
const routers: TokenRouter[] = [];
afterEach(async () => {
  for (const router of routers.splice(0)) await router.close();
  for (const server of servers.splice(0)) server.close();
});

async function serve(status: number, answer: object): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests.push(`${request.method} ${new URL(request.url ?? '', 'http://x').pathname}`);
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests };
}

const TOKEN = { access_token: 'access', token_type: 'Bearer', expires_in: 3600 };
const key = rsaKey();
const COMMAND: AuthSettings = {
  grant: 'command',
  command: ['echo', 'printed'],
  directory: tmpdir(),
  timeout: seconds(10),
  passEnvironment: [],
};

describe('a request', () => {
  it.each<[string, AuthSettings, string[]]>([
    ['refresh_token', { grant: 'refresh_token', clientId: 'c' }, ['POST /token']],
    ['client_credentials', { grant: 'client_credentials', clientId: 'c', clientSecret: 's' }, ['POST /token']],
    ['service_account', { grant: 'service_account', clientEmail: 'a@b.test', privateKey: key.privateKey }, ['POST /token']],
    ['a managed identity', { grant: 'client_credentials', managedIdentity: true }, ['GET /identity']],
    ['command', COMMAND, []],
  ])('of %s', async (_grant, auth, expected) => {
    const { url, requests } = await serve(200, TOKEN);
    const router = new TokenRouter({ clock: systemClock, env: { PATH: process.env['PATH'], IDENTITY_ENDPOINT: `${url}/identity` } });
    routers.push(router);
    const account = testAccount({ auth, provider: testProvider({ tokenUrl: `${url}/token` }) });
    const answer = await router.request({ account, refreshToken: 'newest' });
    expect(answer).toMatchObject({ kind: 'granted', accessToken: auth.grant === 'command' ? 'printed' : 'access' });
    expect(requests).toEqual(expected);
  });

  it('of an account with a password is a defect', async () => {
    const router = new TokenRouter({ clock: systemClock });
    routers.push(router);
    await expect(router.request({ account: testAccount({ auth: { grant: 'basic', password: 'p' } }) })).rejects.toThrow('no token');
  });
});

describe('a refusal', () => {
  it('says whether somebody could sign in again', async () => {
    const { url } = await serve(400, { error: 'invalid_grant' });
    const endpoint = new HttpTokenEndpoint({ clock: systemClock });
    const ask = (auth: AuthSettings) =>
      endpoint.request({ account: testAccount({ auth, provider: testProvider({ tokenUrl: `${url}/token` }) }), refreshToken: 'newest' });
    expect(await ask({ grant: 'refresh_token', clientId: 'c' })).not.toHaveProperty('grant');
    expect(await ask({ grant: 'client_credentials', clientId: 'c', clientSecret: 's' })).toMatchObject({ grant: 'client_credentials' });
    const account = { grant: 'service_account', clientEmail: 'a@b.test', privateKey: key.privateKey } as const;
    expect(await ask(account)).toMatchObject({ grant: 'service_account' });
    await endpoint.close();
  });
});

describe('the manager', () => {
  it('has no tokens for an account with a password, and does not ask for any', async () => {
    const stage = new ManagerStage({ accounts: [testAccount({ auth: { grant: 'basic', password: 'p' } })] });
    stage.manager.start();
    await stage.clock.advance(hours(2));
    expect(stage.requests).toBe(0);
    expect(stage.state).toBeUndefined();
    stage.manager.updateAccounts([testAccount()]);
    expect((await stage.token()).value).toBe('access-1');
    stage.manager.updateAccounts([testAccount({ auth: { grant: 'basic', password: 'p' } })]);
    expect(stage.state).toBeUndefined();
  });

  it('tries again soon after a problem that passes, and late after one that does not', async () => {
    const auth: AuthSettings = { grant: 'client_credentials', clientId: 'c', federatedTokenFile: '/token' };
    const stage = new ManagerStage({ accounts: [testAccount({ auth })] });
    stage.manager.start();
    stage.endpoint.always({ kind: 'problem', problem: problem('TOKEN_CREDENTIAL_UNREADABLE') });
    await stage.clock.advance(minutes(10));
    expect(stage.state).toBe('backing-off');
    const passing = stage.requests;
    expect(passing).toBeGreaterThan(5);
    stage.endpoint.always({ kind: 'problem', problem: problem('TOKEN_CREDENTIAL_EXPIRED') });
    await stage.clock.advance(minutes(10));
    expect(stage.state).toBe('misconfigured');
    const lasting = stage.requests;
    await stage.clock.advance(minutes(50));
    expect(stage.requests).toBe(lasting);
    await stage.clock.advance(minutes(30));
    expect(stage.requests).toBe(lasting + 1);
  });

  it('takes the word of a command that somebody has to sign in', async () => {
    const stage = new ManagerStage({ accounts: [testAccount({ auth: COMMAND })] });
    stage.endpoint.always({ kind: 'problem', problem: problem('TOKEN_REAUTH_REQUIRED') });
    expect((await stage.problem()).code).toBe('TOKEN_REAUTH_REQUIRED');
    expect(stage.state).toBe('reauth-required');
  });

  it('never calls for a sign-in where nobody signs in', async () => {
    const stage = new ManagerStage({
      accounts: [testAccount({ auth: { grant: 'client_credentials', clientId: 'c', clientSecret: 's' } })],
    });
    stage.endpoint.always({ ...refusedWith('invalid_grant'), grant: 'client_credentials' });
    expect((await stage.problem()).code).toBe('TOKEN_MISCONFIGURED');
    expect(stage.state).toBe('misconfigured');
  });

  it('asks anew at once where a certificate or command changed, and keeps the token meanwhile', async () => {
    const identity = { grant: 'client_credentials', clientId: 'c' } as const;
    const stage = new ManagerStage({ accounts: [testAccount({ auth: { ...identity, certificate: { cert: 'one', key: 'one' } } })] });
    stage.manager.start();
    expect((await stage.token()).value).toBe('access-1');
    stage.manager.updateAccounts([testAccount({ auth: { ...identity, certificate: { cert: 'two', key: 'two' } } })]);
    expect((await stage.token()).value).toBe('access-1');
    await stage.clock.advance(seconds(1));
    expect((await stage.token()).value).toBe('access-2');
    stage.manager.updateAccounts([testAccount({ auth: { ...identity, clientId: 'other', clientSecret: 's' } })]);
    expect((await stage.token()).value).toBe('access-3');
    expect(stage.requests).toBe(3);
  });
});

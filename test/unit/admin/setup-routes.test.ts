/** Setting up over HTTP: what comes in is checked before anything is done with it. */
import { afterEach, describe, expect, it } from 'vitest';
import { setupRoutes } from '../../../src/admin/setup-routes.ts';
import type { Setup } from '../../../src/core/ports/setup.ts';
import { type AdminStage, ask, closeAdminStages, openAdminStage } from '../../support/admin-stage.ts';

afterEach(closeAdminStages);

/** Notes what it is asked for, and does it. */
async function stage(): Promise<{ readonly site: AdminStage; readonly calls: unknown[][] }> {
  const calls: unknown[][] = [];
  const edit = { file: '/etc/postern.yaml', isWritten: false, diff: [] };
  const note =
    <Answer>(name: string, answer: Answer) =>
    (...values: unknown[]): Promise<Answer> => {
      calls.push([name, ...values]);
      return Promise.resolve(answer);
    };
  const setup: Partial<Setup> = {
    addAccount: note('addAccount', edit),
    addClient: note('addClient', edit),
    editAccount: note('editAccount', edit),
    sendTest: note('sendTest', { from: 'a@x.test', to: 'b@x.test', messageId: '<1@x.test>' }),
    signIn: () => undefined,
  };
  const site = await openAdminStage({ secret: 'none', routes: setupRoutes(setup as Setup) });
  return { site, calls };
}

const JSON_BODY = { 'content-type': 'application/json' };
const ACCOUNT = { name: 'billing', provider: 'lab', mailbox: 'a@x.test', grant: 'refresh_token', clientId: 'id' };

describe('the routes', () => {
  it.each([
    ['accounts/billing/test-message', { to: 'x@y.test\r\nRCPT TO:<z@y.test>' }],
    ['accounts/billing/test-message', { to: 'x@y.test>' }],
    ['accounts/billing/test-message', { to: 'a@x.test,b@x.test' }],
    ['accounts/billing/test-message', {}],
    ['setup/accounts', { ...ACCOUNT, grant: 'password' }],
    ['setup/accounts', { ...ACCOUNT, unknown: 1 }],
    ['setup/accounts', { ...ACCOUNT, clientSecret: '' }],
    ['setup/clients', { name: 'erp', account: 'billing' }],
    ['setup/clients', { name: 'erp', account: 'billing', networks: [] }],
    ['setup/accounts/billing', {}],
    ['setup/accounts/billing', { isTrial: true }],
    ['setup/accounts/billing', { name: 'other' }],
    ['setup/accounts/billing', { mailbox: '' }],
    ['setup/accounts/billing', { grant: 'basic' }],
    ['accounts/billing/sign-in', { way: 'telepathy' }],
  ])('%s refuses %o and does nothing', async (path, body) => {
    const { site, calls } = await stage();
    const answer = await ask(site, 'POST', `/api/v1/${path}`, JSON_BODY, JSON.stringify(body));
    expect(answer).toMatchObject({ status: 400, document: { code: 'API_REQUEST_INVALID' } });
    expect(calls).toEqual([]);
  });

  it('pass on what is good; whoever does not say that it is a trial means it', async () => {
    const { site, calls } = await stage();
    const post = (path: string, body: object) => ask(site, 'POST', `/api/v1/${path}`, JSON_BODY, JSON.stringify(body));
    expect((await post('setup/accounts', ACCOUNT)).status).toBe(200);
    expect((await post('setup/accounts', { ...ACCOUNT, isTrial: true })).status).toBe(200);
    expect((await post('setup/accounts/billing', { mailbox: 'b@x.test', isTrial: true })).status).toBe(200);
    expect((await post('accounts/billing/test-message', { to: 'b@x.test' })).status).toBe(200);
    expect(calls).toEqual([
      ['addAccount', ACCOUNT, false],
      ['addAccount', ACCOUNT, true],
      ['editAccount', 'billing', { mailbox: 'b@x.test' }, true],
      ['sendTest', 'billing', 'b@x.test'],
    ]);
  });

  it('know nothing of a sign-in of long ago', async () => {
    const { site } = await stage();
    expect((await ask(site, 'GET', '/api/v1/sign-ins/0123')).status).toBe(404);
  });

  it('are not for pages of others', async () => {
    const { site, calls } = await stage();
    const headers = { ...JSON_BODY, 'sec-fetch-site': 'cross-site', origin: 'https://evil.test' };
    expect((await ask(site, 'POST', '/api/v1/setup/accounts', headers, JSON.stringify(ACCOUNT))).status).toBe(403);
    const sameOrigin = { ...JSON_BODY, 'sec-fetch-site': 'same-origin' };
    expect((await ask(site, 'POST', '/api/v1/setup/accounts', sameOrigin, JSON.stringify(ACCOUNT))).status).toBe(403);
    expect(calls).toEqual([]);
  });
});

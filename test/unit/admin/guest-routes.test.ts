/** Links and guests over HTTP: who is let at what. */
import { afterEach, describe, expect, it } from 'vitest';
import { guestRoutes } from '../../../src/admin/guest-routes.ts';
import { linkRoutes } from '../../../src/admin/link-routes.ts';
import { setupRoutes } from '../../../src/admin/setup-routes.ts';
import type { Setup, SignInView } from '../../../src/core/ports/setup.ts';
import { SignInDesk } from '../../../src/admin/sign-in-desk.ts';
import { minutes } from '../../../src/core/clock.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { ADMIN_PASSWORD, type AdminStage, type Answer, ask, closeAdminStages, openAdminStage } from '../../support/admin-stage.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { MemoryLog } from '../../support/memory-log.ts';

afterEach(closeAdminStages);

const JSON_BODY = { 'content-type': 'application/json' };
const OPERATOR = { ...JSON_BODY, authorization: `Basic ${Buffer.from(`admin:${ADMIN_PASSWORD}`).toString('base64')}` };
const LINK = '/api/v1/accounts/billing/sign-in-link';
const GUEST = '/api/v1/guest';
const OTHERS = ['/api/v1/status', '/api/v1/accounts', '/api/v1/sign-ins/one', '/metrics', LINK];

interface Site {
  readonly site: AdminStage;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly started: string[];
}

async function stage(): Promise<Site> {
  const started: string[] = [];
  const clock = new FakeClock();
  const log = new MemoryLog();
  const view: SignInView = { id: 'one', account: 'billing', way: 'device', state: 'waiting', url: 'https://login.test/', userCode: 'ABCD' };
  const setup: Partial<Setup> = {
    offer: () => Promise.resolve({ user: 'a@x.test', ways: ['paste', 'device'] }),
    startSignIn: (account, way) => {
      started.push(`${account} ${way}`);
      return Promise.resolve(view);
    },
    endSignIn: () => Promise.resolve(),
    signIn: () => view,
    paste: () => view,
  };
  const desk = new SignInDesk({ setup: setup as Setup, clock, log, redactor: new Scrubber() });
  const routes = [...setupRoutes(setup as Setup), ...linkRoutes(desk), ...guestRoutes(desk, clock)];
  return { site: await openAdminStage({ routes }), clock, log, started };
}

const post = (site: AdminStage, path: string, body: object, headers: Record<string, string> = {}): Promise<Answer> =>
  ask(site, 'POST', path, { ...JSON_BODY, ...headers }, JSON.stringify(body));

async function makeLink(site: AdminStage): Promise<string> {
  const { status, document } = await post(site, LINK, {}, OPERATOR);
  expect(status).toBe(200);
  return String(document['secret']);
}

const tokenOf = ({ document }: Answer): Record<string, string> => ({ 'x-guest-token': String(document['token']) });

describe('a guest over HTTP', () => {
  it('opens a link without the password, begins, and reads how it goes', async () => {
    const { site, started } = await stage();
    const secret = await makeLink(site);
    const opened = await post(site, GUEST, { secret });
    expect(opened).toMatchObject({ status: 200, document: { user: 'a@x.test', ways: ['device', 'paste'] } });
    expect(opened.headers['referrer-policy']).toBe('no-referrer');
    expect(opened.headers['set-cookie']).toBeUndefined();
    const token = tokenOf(opened);
    const begun = await post(site, `${GUEST}/sign-in`, { way: 'device' }, token);
    expect(begun.document).toMatchObject({ signIn: { state: 'waiting', userCode: 'ABCD' } });
    expect(begun.text).not.toMatch(/"id"|"account"/);
    expect((await ask(site, 'GET', GUEST, token)).status).toBe(200);
    expect((await post(site, `${GUEST}/address`, { address: 'http://localhost/' }, token)).status).toBe(200);
    expect(started).toEqual(['billing device']);
  });

  it('is a guest and no operator: neither secret nor token opens anything else', async () => {
    const { site } = await stage();
    const secret = await makeLink(site);
    const { document } = await post(site, GUEST, { secret });
    for (const one of [secret, String(document['token'])]) {
      for (const headers of [{ authorization: `Bearer ${one}` }, { cookie: `postern_session=${one}` }, { 'x-guest-token': one }]) {
        const answers = [
          ...(await Promise.all(OTHERS.map((path) => ask(site, 'GET', path, headers)))),
          await post(site, '/api/v1/accounts/billing/sign-in', { way: 'device' }, headers),
          await post(site, LINK, {}, headers),
        ];
        // 401, and 429 after so many of them.
        expect(answers.map(({ document: answer }) => answer['code'])).toEqual(answers.map(() => 'API_UNAUTHORIZED'));
      }
    }
  });

  it.each(['browser', 'telepathy', ''])('cannot choose %j', async (way) => {
    const { site, started } = await stage();
    const token = tokenOf(await post(site, GUEST, { secret: await makeLink(site) }));
    expect(await post(site, `${GUEST}/sign-in`, { way }, token)).toMatchObject({ status: 400 });
    expect(started).toEqual([]);
  });

  it.each([
    ['nothing', {}],
    ['a number', { secret: 1 }],
    ['something long', { secret: 'A'.repeat(129) }],
    ['something more', { secret: 'A', account: 'billing' }],
  ])('who brings %s has made a mistake, and used nothing up', async (_what, body) => {
    const { site } = await stage();
    const secret = await makeLink(site);
    expect((await post(site, GUEST, body)).status).toBe(400);
    expect((await post(site, GUEST, { secret })).status).toBe(200);
  });

  it('reads clearly that a link was used, and it is in the log who came, but never the secret', async () => {
    const { site, log } = await stage();
    const secret = await makeLink(site);
    const first = await post(site, GUEST, { secret });
    expect(await post(site, GUEST, { secret })).toMatchObject({
      status: 403,
      document: { code: 'SIGN_IN_LINK_INVALID', detail: expect.stringContaining('it was used already, at ') },
    });
    expect(log.of('sign-in-link-refused')).toMatchObject([{ account: 'billing', peer: '127.0.0.1' }]);
    const said = JSON.stringify([log.lines, site.log.lines]);
    for (const hidden of [secret, String(first.document['token'])]) expect(said).not.toContain(hidden);
  });

  it('who guesses is slowed down', async () => {
    const { site, clock } = await stage();
    const secret = await makeLink(site);
    for (let n = 0; n < 10; n += 1) expect((await post(site, GUEST, { secret: `guess-${n}` })).status).toBe(403);
    const late = await post(site, GUEST, { secret });
    expect([late.status, late.headers['retry-after']]).toEqual([429, '30']);
    await clock.advance(minutes(1));
    expect((await post(site, GUEST, { secret })).status).toBe(200);
  });

  it('is refused under a foreign name, and where a page of another site asks', async () => {
    const { site, started } = await stage();
    const secret = await makeLink(site);
    expect((await post(site, GUEST, { secret }, { host: 'evil.test' })).status).toBe(421);
    for (const headers of [{ origin: 'https://evil.test' }, { 'sec-fetch-site': 'cross-site' }, { 'sec-fetch-site': 'same-site' }]) {
      expect((await post(site, GUEST, { secret }, headers)).status).toBe(403);
    }
    const opened = await post(site, GUEST, { secret }); // Nothing was used up.
    expect(opened.status).toBe(200);
    const foreign = { ...tokenOf(opened), origin: 'https://evil.test', 'sec-fetch-site': 'cross-site' };
    expect((await post(site, `${GUEST}/sign-in`, { way: 'device' }, foreign)).status).toBe(403);
    // A form cannot set the header.
    expect((await post(site, `${GUEST}/sign-in`, { way: 'device' }, { 'sec-fetch-site': 'same-origin' })).status).toBe(403);
    expect(started).toEqual([]);
  });
});

describe('a link over HTTP', () => {
  it('is made by operators only, and by no page of another site', async () => {
    const { site } = await stage();
    expect((await post(site, LINK, {})).status).toBe(401);
    expect((await ask(site, 'DELETE', LINK)).status).toBe(401);
    expect((await post(site, LINK, {}, { ...OPERATOR, 'sec-fetch-site': 'cross-site' })).status).toBe(403);
    expect((await post(site, LINK, {}, { ...OPERATOR, 'sec-fetch-site': 'same-origin' })).status).toBe(403); // Without X-CSRF-Token.
  });

  it('is told of without its secret, and withdrawn', async () => {
    const { site } = await stage();
    expect((await ask(site, 'GET', LINK, OPERATOR)).document).toEqual({});
    const secret = await makeLink(site);
    const told = await ask(site, 'GET', LINK, OPERATOR);
    expect(told.document).toMatchObject({ link: { account: 'billing', state: 'unopened' } });
    expect(told.text).not.toContain(secret);
    expect((await ask(site, 'DELETE', LINK, OPERATOR)).status).toBe(200);
    expect((await ask(site, 'DELETE', LINK, OPERATOR)).status).toBe(404);
    expect((await post(site, GUEST, { secret })).document).toMatchObject({ code: 'SIGN_IN_LINK_INVALID' });
  });
});

/** The admin port: who is let in, what is answered, and what hostile requests get. */
import { readFileSync } from 'node:fs';
import { request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { renderApiDescription } from '../../../scripts/api-description.ts';
import type { Route } from '../../../src/admin/api.ts';
import { describeApi } from '../../../src/admin/openapi.ts';
import { queueRoutes } from '../../../src/admin/queue-routes.ts';
import { hours, minutes } from '../../../src/core/clock.ts';
import { hashPassword } from '../../../src/platform/password.ts';
import { ADMIN_PASSWORD, type AdminStage, type Answer, ask, closeAdminStages, openAdminStage, talk } from '../../support/admin-stage.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { accept, at, id, newMessage } from '../../support/spool-messages.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

afterEach(closeAdminStages);

const BEARER = { authorization: `Bearer ${Buffer.from(ADMIN_PASSWORD).toString('latin1')}` };
const basic = (user: string, password: string) => ({ authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` });
const GOOD = basic('admin', ADMIN_PASSWORD);
const JSON_TYPE = { 'content-type': 'application/json' };
const PROBLEM_KEYS = ['type', 'title', 'status', 'detail', 'code', 'heals', 'remedy'];

const everyPath = [
  ['GET', '/metrics'],
  ['GET', '/api/v1/status'],
  ['GET', '/api/v1/accounts'],
  ['GET', '/api/v1/accounts/billing'],
  ['POST', '/api/v1/accounts/billing/refresh'],
  ['GET', '/api/v1/clients'],
  ['GET', '/api/v1/queue'],
  ['GET', `/api/v1/queue/${id(1)}`],
  ['GET', `/api/v1/queue/${id(1)}/content`],
  ['POST', '/api/v1/queue/drop'],
  ['GET', '/api/v1/openapi.json'],
  ['DELETE', '/api/v1/session'],
  ['GET', '/nowhere'],
] as const;

describe('without the password', () => {
  it.each(everyPath)('%s %s is refused, with a problem document', async (method, path) => {
    const stage = await openAdminStage();
    const answer = await ask(stage, method, path);
    expect(answer.status).toBe(401);
    expect(answer.headers['content-type']).toBe('application/problem+json');
    expect(Object.keys(answer.document)).toEqual(PROBLEM_KEYS);
    expect(answer.document).toMatchObject({ code: 'API_UNAUTHORIZED', type: 'urn:postern:problem:API_UNAUTHORIZED', status: 401 });
    expect(answer.headers['www-authenticate']).toBe('Bearer realm="Postern"');
  });

  it.each([
    ['/healthz', { status: 'ok' }],
    ['/readyz', { status: 'ready', reasons: [] }],
  ])('%s answers all the same, under any name', async (path, document) => {
    const stage = await openAdminStage();
    expect(await ask(stage, 'GET', path, { host: 'evil.example' })).toMatchObject({ status: 200, document });
  });

  it.each([
    ['a wrong one', basic('admin', 'wrong')],
    ['none', basic('admin', '')],
    ['the user name alone', { authorization: `Basic ${Buffer.from('admin').toString('base64')}` }],
    ['another scheme', { authorization: `Digest ${ADMIN_PASSWORD}` }],
    ['nonsense', { authorization: 'Basic %%%' }],
    ['a bearer with a blank', { authorization: 'Bearer  ' }],
    ['a cookie of nobody', { cookie: 'postern_session=AAAA' }],
    ['two cookies', { cookie: 'postern_session=AAAA; postern_session=BBBB' }],
  ])('%s does not help', async (_, headers) => {
    expect((await ask(await openAdminStage(), 'GET', '/api/v1/status', headers)).status).toBe(401);
  });
});

describe('with the password', () => {
  it.each([
    ['Basic, any user name', basic('prometheus', ADMIN_PASSWORD)],
    ['Basic without a user name', basic('', ADMIN_PASSWORD)],
  ])('%s opens the API and the metrics', async (_, headers) => {
    const stage = await openAdminStage();
    expect(await ask(stage, 'GET', '/api/v1/status', headers)).toMatchObject({ status: 200, document: { version: '1.2.3' } });
    expect(await ask(stage, 'GET', '/metrics', headers)).toMatchObject({ status: 200, text: 'postern_build_info 1\n' });
  });

  it('a Bearer opens it as well', async () => {
    const stage = await openAdminStage({ secret: { kind: 'password', password: 'a-plain-token' } });
    expect((await ask(stage, 'GET', '/api/v1/clients', { authorization: 'Bearer a-plain-token' })).status).toBe(200);
    expect((await ask(stage, 'GET', '/api/v1/clients', BEARER)).status).toBe(401);
  });

  it('a hash will do in the configuration', async () => {
    const stage = await openAdminStage({ secret: { kind: 'hash', hash: await hashPassword(ADMIN_PASSWORD) } });
    expect((await ask(stage, 'GET', '/api/v1/status', GOOD)).status).toBe(200);
    expect((await ask(stage, 'GET', '/api/v1/status', basic('admin', 'wrong'))).status).toBe(401);
    expect((await ask(stage, 'GET', '/api/v1/status', GOOD)).status).toBe(200);
  });

  it('W08 wrong ones are slowed down, also when they come at once, and said in the log without the password', async () => {
    const clock = new FakeClock();
    const stage = await openAdminStage({ clock });
    const tries = await Promise.all(
      Array.from({ length: 20 }, (_, index) => ask(stage, 'GET', '/metrics', basic('admin', `guess-${index}`))),
    );
    expect(tries.filter(({ status }) => status === 401)).toHaveLength(10);
    const late = tries.filter(({ status }) => status === 429);
    expect(late).toHaveLength(10);
    expect(Number(late[0]?.headers['retry-after'])).toBeGreaterThan(20);
    expect((await ask(stage, 'GET', '/metrics', GOOD)).status).toBe(429);
    await clock.advance(minutes(1));
    expect((await ask(stage, 'GET', '/metrics', GOOD)).status).toBe(200);
    expect(stage.log.of('admin-login-refused')).toHaveLength(10);
    expect(JSON.stringify(stage.log.lines)).not.toContain('guess-');
  });

  it('health stays open to a peer that is slowed down', async () => {
    const stage = await openAdminStage({ clock: new FakeClock() });
    for (let index = 0; index < 12; index += 1) await ask(stage, 'GET', '/metrics', basic('admin', 'wrong'));
    expect((await ask(stage, 'GET', '/readyz')).status).toBe(200);
  });
});

describe('a page', () => {
  const own = ({ port }: AdminStage) => ({ origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' });

  async function signIn(stage: AdminStage): Promise<{ cookie: string; token: string; answer: Answer }> {
    const body = JSON.stringify({ password: ADMIN_PASSWORD });
    const answer = await ask(stage, 'POST', '/api/v1/session', { ...JSON_TYPE, ...own(stage) }, body);
    const [cookie = ''] = (answer.headers['set-cookie']?.[0] ?? '').split(';');
    return { cookie, token: String(answer.document['csrfToken']), answer };
  }

  it('W08 signs in, and gets a cookie that no script can read and no other site sends', async () => {
    const { cookie, answer } = await signIn(await openAdminStage());
    expect(answer).toMatchObject({ status: 200, document: { isSignedIn: true, asksForPassword: true } });
    expect(cookie).toMatch(/^postern_session=[A-Za-z0-9_-]{43}$/);
    expect(answer.headers['set-cookie']?.[0]).toMatch(/; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/);
  });

  it('does not sign in with another password', async () => {
    const stage = await openAdminStage();
    const answer = await ask(stage, 'POST', '/api/v1/session', { ...JSON_TYPE, ...own(stage) }, '{"password":"wrong"}');
    expect([answer.status, answer.headers['set-cookie']]).toEqual([401, undefined]);
  });

  it('W02 changes something only with the token of its session', async () => {
    const stage = await openAdminStage();
    const { cookie, token } = await signIn(stage);
    const other = await signIn(stage);
    const hold = (headers: Record<string, string>): Promise<Answer> =>
      ask(stage, 'POST', '/api/v1/queue/hold', { ...JSON_TYPE, ...headers }, `{"ids":["${id(1)}"]}`);
    expect((await hold({ cookie, ...own(stage) })).status).toBe(403);
    expect((await hold({ cookie })).status).toBe(403);
    expect((await hold({ cookie, ...own(stage), 'x-csrf-token': other.token })).status).toBe(403);
    expect(await hold({ cookie, ...own(stage), 'x-csrf-token': token })).toMatchObject({ status: 200, document: { unknown: [id(1)] } });
    expect((await ask(stage, 'GET', '/api/v1/status', { cookie, ...own(stage) })).status).toBe(200);
  });

  it('learns its token again after a reload, and loses it when it signs out', async () => {
    const stage = await openAdminStage();
    const { cookie, token } = await signIn(stage);
    const look = () => ask(stage, 'GET', '/api/v1/session', { cookie });
    expect((await look()).document).toEqual({ isSignedIn: true, asksForPassword: true, csrfToken: token });
    const out = await ask(stage, 'DELETE', '/api/v1/session', { cookie, ...own(stage), 'x-csrf-token': token });
    expect(out.headers['set-cookie']?.[0]).toMatch(/^postern_session=; .*Max-Age=0/);
    expect((await look()).document).toEqual({ isSignedIn: false, asksForPassword: true });
    expect((await ask(stage, 'GET', '/api/v1/status', { cookie })).status).toBe(401);
  });

  it('is signed out after an hour of doing nothing, and after twelve in any case', async () => {
    const clock = new FakeClock();
    const stage = await openAdminStage({ clock });
    const isIn = async (cookie: string): Promise<boolean> => (await ask(stage, 'GET', '/api/v1/status', { cookie })).status === 200;
    const idle = await signIn(stage);
    await clock.advance(minutes(59));
    expect(await isIn(idle.cookie)).toBe(true);
    await clock.advance(minutes(61));
    expect(await isIn(idle.cookie)).toBe(false);
    const busy = await signIn(stage);
    for (let minute = 0; minute < 11 * 60 + 30; minute += 30) {
      await clock.advance(minutes(30));
      expect(await isIn(busy.cookie)).toBe(true);
    }
    await clock.advance(hours(1));
    expect(await isIn(busy.cookie)).toBe(false);
  });

  it.each([
    ['cross-site', { 'sec-fetch-site': 'cross-site' }],
    ['same-site, another origin', { 'sec-fetch-site': 'same-site' }],
    ['with a foreign origin', { origin: 'http://evil.example' }],
    ['with no origin to speak of', { origin: 'null' }],
    ['with the right host on another port', { origin: 'http://127.0.0.1:1' }],
    ['with another scheme', { origin: 'https://127.0.0.1' }],
  ])('W02 of somebody else is refused, %s, even with everything else', async (_, headers) => {
    const stage = await openAdminStage();
    const { cookie, token } = await signIn(stage);
    const everything = { cookie, 'x-csrf-token': token, ...JSON_TYPE, ...GOOD, ...headers };
    for (const [method, path] of everyPath) {
      const answer = await ask(stage, method, path, everything);
      expect({ path, status: answer.status, cors: answer.headers['access-control-allow-origin'] }).toEqual({
        path,
        status: 403,
        cors: undefined,
      });
    }
    expect((await ask(stage, 'POST', '/api/v1/session', { ...JSON_TYPE, ...headers }, '{}')).status).toBe(403);
  });

  it('gets no leave to come from elsewhere (preflight)', async () => {
    const stage = await openAdminStage();
    const headers = { origin: 'http://evil.example', 'access-control-request-method': 'POST' };
    const answer = await ask(stage, 'OPTIONS', '/api/v1/queue/drop', headers);
    expect(answer.status).toBe(403);
    expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([]);
  });
});

describe('without a password in the configuration', () => {
  it('everybody on this machine is let in, and pages of other sites are not', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    expect((await ask(stage, 'GET', '/api/v1/status')).status).toBe(200);
    expect((await ask(stage, 'POST', '/api/v1/queue/hold', JSON_TYPE, `{"ids":["${id(1)}"]}`)).status).toBe(200);
    expect((await ask(stage, 'GET', '/api/v1/status', { 'sec-fetch-site': 'cross-site' })).status).toBe(403);
  });

  it('a browser still needs the token', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    const page = { ...JSON_TYPE, origin: stage.url, 'sec-fetch-site': 'same-origin' };
    const hold = (headers: Record<string, string>) => ask(stage, 'POST', '/api/v1/queue/hold', headers, `{"ids":["${id(1)}"]}`);
    expect((await hold(page)).status).toBe(403);
    const { document } = await ask(stage, 'GET', '/api/v1/session', { 'sec-fetch-site': 'same-origin' });
    expect(document).toMatchObject({ isSignedIn: true, asksForPassword: false });
    expect((await hold({ ...page, 'x-csrf-token': String(document['csrfToken']) })).status).toBe(200);
  });
});

describe('W01 the name that is asked for', () => {
  it.each([
    '127.0.0.1',
    '127.0.0.1:8025',
    '[::1]:8025',
    '10.1.2.3',
    'localhost',
    'LOCALHOST:8025',
    'relay.example.com',
    'Relay.Example.com:443',
  ])('may be %s', async (host) => {
    expect((await ask(await openAdminStage({ secret: 'none' }), 'GET', '/api/v1/status', { host })).status).toBe(200);
  });

  it.each([
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'relay.example.com.',
    'relay.example.com@evil.example',
    'evil.example#localhost',
    '[::1',
    '127.0.0.1:80:80',
    '0x7f.1',
  ])('may not be %s', async (host) => {
    const stage = await openAdminStage({ secret: 'none' });
    const answer = await talk(stage, `GET /api/v1/status HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1\.1 421 /);
    expect(answer).toContain('API_FORBIDDEN');
  });

  it('must be there', async () => {
    expect(await talk(await openAdminStage({ secret: 'none' }), 'GET /api/v1/status HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1\.1 400 /);
  });
});

describe('hostile HTTP', () => {
  it.each([
    ['a path upwards', 'GET', '/api/v1/queue/../../../etc/passwd'],
    ['an encoded path upwards', 'GET', '/%2e%2e/%2e%2e/etc/passwd'],
    ['a path with backslashes', 'GET', '/..\\..\\etc\\passwd'],
    ['an encoded slash in a name', 'GET', '/api/v1/queue/a%2fb'],
    ['an encoded NUL', 'GET', '/api/v1/queue/a%00b'],
    ['doubled slashes', 'GET', '//api/v1/status'],
    ['a slash behind', 'GET', '/api/v1/status/'],
    ['another spelling', 'GET', '/API/V1/STATUS'],
    ['a directory', 'GET', '/static/'],
    ['a path upwards from files', 'GET', '/static/..%2f..%2fetc/passwd'],
    ['8 KB', 'GET', `/${'x'.repeat(8192)}`],
  ])('W09 %s leads nowhere', async (_, method, path) => {
    expect(await ask(await openAdminStage(), method, path, GOOD)).toMatchObject({ status: 404, document: { code: 'API_REQUEST_INVALID' } });
  });

  it.each([
    ['DELETE', '/api/v1/status', 'GET'],
    ['POST', '/api/v1/status', 'GET'],
    ['GET', '/api/v1/queue/x/y', undefined],
    ['PUT', '/api/v1/queue/drop', 'GET, POST'],
    ['PATCH', '/api/v1/session', 'GET, POST, DELETE'],
    ['BREW', '/api/v1/status', undefined],
  ])('%s %s is told what is allowed', async (method, path, allow) => {
    const stage = await openAdminStage();
    if (method === 'BREW') {
      expect(await talk(stage, `BREW ${path} HTTP/1.1\r\nHost: localhost\r\n\r\n`)).toMatch(/^HTTP\/1\.1 400 /);
      return;
    }
    const answer = await ask(stage, method, path, GOOD);
    expect([answer.status, answer.headers.allow]).toEqual(allow === undefined ? [404, undefined] : [405, allow]);
  });

  it.each([
    ['a form', 'application/x-www-form-urlencoded', 'ids=1', 415],
    ['text that is JSON', 'text/plain', '{"ids":["x"]}', 415],
    ['no type', undefined, '{"ids":["x"]}', 415],
    ['broken JSON', 'application/json', '{"ids":[', 400],
    ['a prototype', 'application/json', '{"__proto__":{"ids":["x"]}}', 400],
    ['a very deep document', 'application/json', '['.repeat(100_000), 400],
    ['an empty filter', 'application/json', '{"filter":{}}', 400],
    ['nothing', 'application/json', '', 400],
  ])('W02 W11 a change with %s changes nothing', async (_, type, body, status) => {
    const stage = await openAdminStage();
    await accept(stage.spool, newMessage(1));
    const headers = { ...GOOD, ...(type === undefined ? {} : { 'content-type': type }) };
    expect((await ask(stage, 'POST', '/api/v1/queue/drop', headers, body)).status).toBe(status);
    expect((await stage.spool.stats()).entries).toBe(1);
  });

  it('W11 a body beyond the bound is answered before it has come', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    const head = 'POST /api/v1/queue/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n';
    expect(await talk(stage, `${head}Content-Length: ${2 ** 40}\r\n\r\n{`)).toMatch(/^HTTP\/1\.1 413 /);
    const chunk = 'x'.repeat(256 * 1024 + 1);
    const chunked = `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.length.toString(16)}\r\n${chunk}\r\n`;
    expect(await talk(stage, chunked)).toMatch(/^HTTP\/1\.1 413 /);
  });

  it.each([
    ['noise', '\x16\x03\x01\x02\x00\x01\x00\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a huge header', `GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['a huge path', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: localhost\r\n\r\n`, /^HTTP\/1\.1 431 /],
    ['many headers', `GET / HTTP/1.1\r\nHost: localhost\r\n${'X: 1\r\n'.repeat(10_000)}\r\n`, /^HTTP\/1\.1 431 /],
    [
      'two lengths',
      'POST /api/v1/queue/drop HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
    [
      'a header that is a property of objects',
      'GET /healthz HTTP/1.1\r\nHost: localhost\r\n__proto__: x\r\nConnection: close\r\n\r\n',
      /^HTTP\/1\.1 200 /,
    ],
    ['a folded header', 'GET / HTTP/1.1\r\nHost: localhost\r\nX: a\r\n b\r\n\r\n', /^HTTP\/1\.1 4/],
    ['a proxy request', 'GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['an asterisk', 'OPTIONS * HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n', /^HTTP\/1\.1 400 /],
    ['a tunnel', 'CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n', /^$/],
    [
      'an upgrade',
      'GET /api/v1/nothing HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n',
      /^HTTP\/1\.1 404 /,
    ],
  ])('W11 %s is refused or harmless, and others are served', async (_, text, expected) => {
    const stage = await openAdminStage({ secret: 'none' });
    expect(await talk(stage, text, text.includes('Upgrade'))).toMatch(expected);
    expect((await ask(stage, 'GET', '/healthz')).status).toBe(200);
  });

  it('W11 headers that never end are cut off, and so is a body that does not come', async () => {
    const stage = await openAdminStage({ secret: 'none', limits: { headersTime: 300, requestTime: 600 } });
    expect(await talk(stage, 'GET /healthz HTTP/1.1\r\nHost: localhost\r\nX-Slow: ')).toMatch(/^(HTTP\/1\.1 408 .*)?/s);
    const head = 'POST /api/v1/queue/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{';
    expect(await talk(stage, head)).toMatch(/^HTTP\/1\.1 408 /);
    // Not one octet: nothing to answer, and no place to keep.
    expect(await talk(stage, '')).toMatch(/^(HTTP\/1\.1 408 .*)?/s);
    expect(stage.log.of('defect')).toEqual([]);
  });

  it('a peer that holds many connections open keeps no more than its share', async () => {
    const stage = await openAdminStage({ limits: { connectionsOfOne: 4 } });
    const sockets = Array.from({ length: 8 }, () => connect(stage.port, '127.0.0.1'));
    const closed = sockets.map(
      (socket) => new Promise<void>((resolve) => void socket.on('error', () => undefined).once('close', () => resolve())),
    );
    await Promise.all(closed.slice(4));
    expect(sockets.filter((socket) => socket.destroyed)).toHaveLength(4);
    for (const socket of sockets) socket.destroy();
    await Promise.all(closed);
    await expect.poll(async () => (await ask(stage, 'GET', '/healthz').catch(() => undefined))?.status).toBe(200);
  });
});

describe('what is answered', () => {
  it('W12 may not be kept, framed, sniffed or read by others', async () => {
    const { headers } = await ask(await openAdminStage(), 'GET', '/api/v1/status', GOOD);
    expect(headers).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'cross-origin-resource-policy': 'same-origin',
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    });
    expect(headers['x-powered-by'] ?? headers['server']).toBeUndefined();
  });

  it('to HEAD is the head of the answer to GET', async () => {
    const stage = await openAdminStage();
    const head = await ask(stage, 'HEAD', '/api/v1/status', GOOD);
    const get = await ask(stage, 'GET', '/api/v1/status', GOOD);
    expect([head.status, head.text, head.headers['content-length']]).toEqual([200, '', get.headers['content-length']]);
  });

  it('to a probe of a relay that is not ready is 503, and why', async () => {
    const stage = await openAdminStage();
    stage.view.state = { isReady: false, reasons: ['Postern is stopping'] };
    expect(await ask(stage, 'GET', '/readyz')).toMatchObject({ status: 503, document: { reasons: ['Postern is stopping'] } });
    expect((await ask(stage, 'GET', '/healthz')).status).toBe(200);
  });

  it('to a change, and to who reads a message, stands in the log with the peer', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    await accept(stage.spool, newMessage(1));
    await ask(stage, 'GET', '/api/v1/queue');
    expect(stage.log.of('admin-request')).toEqual([]);
    await ask(stage, 'GET', `/api/v1/queue/${id(1)}/content`);
    await ask(stage, 'POST', '/api/v1/queue/drop', JSON_TYPE, `{"ids":["${id(1)}"]}`);
    expect(stage.log.of('admin-request')).toMatchObject([
      { level: 'info', peer: '127.0.0.1', message: `GET /api/v1/queue/${id(1)}/content from 127.0.0.1` },
      { level: 'info', peer: '127.0.0.1', message: 'POST /api/v1/queue/drop from 127.0.0.1' },
    ]);
  });

  it('where something fails says nothing of it; the log does', async () => {
    const broken: Route = { method: 'GET', path: '/api/v1/broken', run: () => Promise.reject(new TypeError('secret detail')) };
    const stage = await openAdminStage({ routes: [broken] });
    const answer = await ask(stage, 'GET', '/api/v1/broken', GOOD);
    expect(answer).toMatchObject({ status: 500, document: { code: 'INTERNAL' } });
    expect(answer.text).not.toContain('secret detail');
    expect(stage.log.of('defect')).toHaveLength(1);
  });

  it('about accounts and tokens that are not there is 404', async () => {
    const stage = await openAdminStage();
    expect((await ask(stage, 'GET', '/api/v1/accounts/billing', GOOD)).document['name']).toBe('billing');
    expect((await ask(stage, 'GET', '/api/v1/accounts/nobody', GOOD)).status).toBe(404);
    expect((await ask(stage, 'POST', '/api/v1/accounts/billing/refresh', GOOD)).document).toEqual({
      expiresAt: '2026-01-01T01:00:00.000Z',
    });
    expect((await ask(stage, 'POST', '/api/v1/accounts/nobody/refresh', GOOD)).status).toBe(404);
  });

  it('over TLS is the same, with a cookie for TLS only', async () => {
    const { certPem: cert, keyPem: key } = createTestAuthority().issue({ hosts: ['localhost'] });
    const stage = await openAdminStage({ secret: 'none', tls: { cert, key } });
    const cookie = await new Promise<string>((resolve, reject) => {
      const options = {
        port: stage.port,
        method: 'POST',
        path: '/api/v1/session',
        rejectUnauthorized: false,
        headers: JSON_TYPE,
        agent: false,
      };
      const outgoing = httpsRequest(options, (response) => {
        resolve(response.headers['set-cookie']?.[0] ?? '');
        response.resume();
      });
      outgoing.on('error', reject).end('{"password":""}');
    });
    expect(cookie).toMatch(/; Secure$/);
  });
});

describe('pages of a listing', () => {
  const idsOf = (answer: Answer): string[] => (answer.document['items'] as { queueId: string }[]).map(({ queueId }) => queueId);

  it('follow one another, without gap or repetition', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    for (let number = 1; number <= 7; number += 1) await accept(stage.spool, newMessage(number));
    const seen: string[] = [];
    let next = '';
    for (let page = 0; page < 4; page += 1) {
      const answer = await ask(stage, 'GET', `/api/v1/queue?limit=2${next}`);
      seen.push(...idsOf(answer));
      expect(answer.document['matching']).toBe(7);
      next = `&after=${String(answer.document['next'])}`;
      if (page === 3) expect(answer.document['next']).toBeUndefined();
    }
    expect(seen).toEqual([1, 2, 3, 4, 5, 6, 7].map(id));
  });

  it('go on where the last entry is gone', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    for (let number = 1; number <= 4; number += 1) await accept(stage.spool, newMessage(number, { acceptedAt: at(number) }));
    const first = await ask(stage, 'GET', '/api/v1/queue?limit=2');
    await stage.spool.drop(id(2));
    const second = await ask(stage, 'GET', `/api/v1/queue?limit=2&after=${String(first.document['next'])}`);
    expect(idsOf(second)).toEqual([id(3), id(4)]);
  });

  it('leave nothing out where the last entry is gone and others are as old', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    for (let number = 1; number <= 4; number += 1) await accept(stage.spool, newMessage(number));
    const first = await ask(stage, 'GET', '/api/v1/queue?limit=2');
    await stage.spool.drop(id(2));
    const second = await ask(stage, 'GET', `/api/v1/queue?limit=10&after=${String(first.document['next'])}`);
    expect(idsOf(second)).toEqual([id(1), id(3), id(4)]);
  });

  it.each(['limit=0', 'limit=10001', 'limit=x', 'after=nonsense', 'limit=1&limit=2', 'unknown=1'])(
    'cannot be asked for with %s',
    async (query) => {
      expect((await ask(await openAdminStage({ secret: 'none' }), 'GET', `/api/v1/queue?${query}`)).status).toBe(400);
    },
  );
});

describe('the description of the API', () => {
  interface Operation {
    readonly operationId: string;
    readonly summary: string;
    readonly parameters: readonly { readonly name: string; readonly in: string }[];
    readonly requestBody?: unknown;
  }
  interface Description {
    readonly openapi: string;
    readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  }

  const describedPaths = ({ paths }: Description): string[] =>
    Object.entries(paths).flatMap(([path, operations]) => Object.keys(operations).map((method) => `${method.toUpperCase()} ${path}`));

  it('has every operation, with its parameters and what it takes', async () => {
    const description = (await ask(await openAdminStage(), 'GET', '/api/v1/openapi.json', GOOD)).document as unknown as Description;
    expect(description.openapi).toBe('3.1.0');
    expect(describedPaths(description)).toEqual(
      expect.arrayContaining(['GET /api/v1/status', 'GET /api/v1/queue/{id}/content', 'POST /api/v1/queue/drop', 'DELETE /api/v1/session']),
    );
    const operations = Object.values(description.paths).flatMap((one) => Object.values(one));
    expect(new Set(operations.map(({ operationId }) => operationId)).size).toBe(operations.length);
    expect(operations.filter(({ summary }) => summary.length < 8)).toEqual([]);
    expect(description.paths['/api/v1/queue']?.['get']?.parameters.map(({ name }) => name)).toEqual([
      'account',
      'isHeld',
      'code',
      'olderThan',
      'limit',
      'after',
    ]);
    expect(description.paths['/api/v1/queue/{id}']?.['get']?.parameters).toMatchObject([{ name: 'id', in: 'path' }]);
    expect(description.paths['/api/v1/queue/drop']?.['post']?.requestBody).toBeDefined();
    expect(JSON.stringify(description)).not.toMatch(/"\$ref":"#\/(?!components\/)/);
  });

  it('is docs/openapi.json (npm run generate)', () => {
    expect(readFileSync(join(import.meta.dirname, '../../../docs/openapi.json'), 'utf8')).toBe(renderApiDescription());
  });

  it('says of a queue entry what the schema says', () => {
    const routes = queueRoutes({ list: never, show: never, change: never, export: never });
    const text = JSON.stringify(describeApi(routes, '0'));
    for (const key of ['queueId', 'acceptedAt', 'reversePath', 'recipients', 'isAmbiguous', 'nextAttemptAt'])
      expect(text).toContain(`"${key}"`);
  });
});

const never = (): never => {
  throw new Error('not called');
};

it('closes at once where nothing is in progress, and is then gone', async () => {
  const stage = await openAdminStage({ secret: 'none' });
  const idle = connect(stage.port, '127.0.0.1');
  await new Promise((resolve) => void idle.once('connect', resolve));
  const closed = new Promise<void>((resolve) => void idle.on('error', () => undefined).once('close', () => resolve()));
  await closeAdminStages();
  await closed;
  await expect(ask(stage, 'GET', '/healthz')).rejects.toThrow(/ECONNREFUSED/);
});

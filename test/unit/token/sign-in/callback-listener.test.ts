import { createServer } from 'node:http';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../../../src/platform/system-clock.ts';
import { CallbackListener } from '../../../../src/token/sign-in/callback-listener.ts';
import type { LoopbackRedirect } from '../../../../src/token/sign-in/redirect-uri.ts';
import { freePort } from '../../../support/free-port.ts';
import { visit } from '../../../support/sandbox-person.ts';
import { problemOf } from './stage.ts';

const REDIRECT: LoopbackRedirect = { kind: 'loopback', host: '127.0.0.1', port: 0, path: '/oauth/callback' };
const open: CallbackListener[] = [];

afterEach(async () => {
  for (const listener of open.splice(0)) await listener.close();
});

async function start(changes: Partial<LoopbackRedirect> = {}): Promise<{ url: URL; seen: URLSearchParams[]; listener: CallbackListener }> {
  const listener = await CallbackListener.open({ ...REDIRECT, ...changes }, systemClock);
  open.push(listener);
  const seen: URLSearchParams[] = [];
  listener.handleWith((parameters) => {
    seen.push(parameters);
    return Promise.resolve({ status: 200, title: 'Title & <b>', text: `"text" <script>alert(1)</script> \u202e` });
  });
  return { url: new URL(listener.redirectUri), seen, listener };
}

/** A request as bytes, since fetch sets Host itself. */
function raw(port: number, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = '';
    const socket = connect(port, '127.0.0.1', () => socket.end(text));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.once('error', reject).once('close', () => resolve(answer));
  });
}

describe('the page', () => {
  it('shows text as text, loads and runs nothing, and is kept nowhere', async () => {
    const { url } = await start();
    const page = await visit(url);
    expect(page.status).toBe(200);
    expect(page.text).toContain('<h1>Title &amp; &lt;b&gt;</h1>');
    expect(page.text).toContain('&quot;text&quot; &lt;script&gt;alert(1)&lt;/script&gt; \ufffd');
    expect(page.text).not.toMatch(/<(script|style|link|img|iframe|form)/);
    expect(page.headers.get('content-security-policy')).toBe(
      "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    );
    expect(page.headers.get('referrer-policy')).toBe('no-referrer');
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(page.headers.get('x-content-type-options')).toBe('nosniff');
  });
});

describe('a request', () => {
  it('gets through with its parameters, percent-decoded', async () => {
    const { url, seen } = await start();
    url.search = '?code=a%2Bb&state=x';
    await visit(url);
    expect(seen.map((parameters) => Object.fromEntries(parameters))).toEqual([{ code: 'a+b', state: 'x' }]);
  });

  it.each([
    ['evil.test', 421],
    ['127.0.0.1.evil.test', 421],
    ['localhost:PORT', 421],
    ['127.0.0.1', 421],
    ['127.0.0.1:1', 421],
    ['127.0.0.1:PORT', 200],
  ])('W01 for host %s is answered %i', async (host, status) => {
    const { url, seen } = await start();
    const answer = await raw(Number(url.port), `GET /oauth/callback?state=s HTTP/1.1\r\nHost: ${host.replace('PORT', url.port)}\r\n\r\n`);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(seen).toHaveLength(status === 200 ? 1 : 0);
  });

  it('W01 without a host is refused', async () => {
    const { url, seen } = await start();
    expect(await raw(Number(url.port), 'GET /oauth/callback HTTP/1.1\r\n\r\n')).toMatch(/^HTTP\/1.1 400 /);
    expect(await raw(Number(url.port), 'GET /oauth/callback HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1.1 421 /);
    expect(seen).toEqual([]);
  });

  it.each(['/', '/oauth', '/oauth/callback/', '/oauth/callback/../../etc/passwd', '/favicon.ico', '/%00'])(
    'W09 for %s finds nothing',
    async (path) => {
      const { url, seen } = await start();
      const answer = await raw(Number(url.port), `GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
      expect(answer).toMatch(/^HTTP\/1.1 404 /);
      expect(seen).toEqual([]);
    },
  );

  it.each(['POST', 'PUT', 'OPTIONS', 'HEAD'])('by %s uses nothing up', async (method) => {
    const { url, seen } = await start();
    expect((await visit(url, {}, method)).status).toBe(405);
    expect(seen).toEqual([]);
  });

  it('that is larger than any real one is refused', async () => {
    const { url, seen } = await start();
    const answer = await raw(Number(url.port), `GET /oauth/callback?code=${'x'.repeat(40_000)} HTTP/1.1\r\nHost: ${url.host}\r\n\r\n`);
    expect(answer).toMatch(/^HTTP\/1.1 431 /);
    expect(seen).toEqual([]);
  });
});

describe('the socket', () => {
  it('W05 is on loopback only', async () => {
    const { url } = await start({ host: 'localhost' });
    expect(url.hostname).toBe('localhost');
    const others = Object.values(networkInterfaces())
      .flatMap((addresses) => addresses ?? [])
      .filter(({ internal, family }) => !internal && family === 'IPv4');
    for (const { address } of [...others, { address: '127.0.0.2' }]) {
      await expect(fetch(`http://${address}:${url.port}/oauth/callback`)).rejects.toThrow('fetch failed');
    }
  });

  it('W05 is closed after use, and a page under way arrives', async () => {
    const { url, listener } = await start();
    let answer: (page: { status: number; title: string; text: string }) => void = () => {};
    const asked = new Promise<void>((resolve) => {
      listener.handleWith(() => {
        resolve();
        return new Promise((respond) => {
          answer = respond;
        });
      });
    });
    const page = visit(url);
    await asked;
    const closed = listener.close();
    answer({ status: 200, title: 'late', text: '' });
    expect((await page).text).toContain('late');
    await closed;
    await expect(fetch(url)).rejects.toThrow('fetch failed');
  });

  it('W05 that is taken is said clearly', async () => {
    const port = await freePort();
    const other = createServer();
    await new Promise<void>((resolve) => other.listen(port, '127.0.0.1', resolve));
    const problem = await problemOf(CallbackListener.open({ ...REDIRECT, port }, systemClock));
    expect(problem.code).toBe('SIGN_IN_LISTENER_FAILED');
    expect(problem.cause).toBe(`cannot listen on 127.0.0.1 port ${port}: the port is in use (ss -ltnp shows by which program)`);
    expect(problem.remedy).toContain('--paste');
    await new Promise((resolve) => other.close(resolve));
  });
});

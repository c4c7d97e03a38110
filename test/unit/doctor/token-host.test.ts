/** The host of a token endpoint: what is seen of it, and what the operator reads where it cannot be used. */
import { createServer as createHttps } from 'node:https';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, createServer as createTcp, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import { visitTokenHost } from '../../../src/doctor/token-host.ts';
import { dial } from '../../../src/platform/dial.ts';
import { DialError, type DialFailure } from '../../../src/platform/dial-error.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createTestAuthority, type IssueOptions } from '../../support/test-ca.ts';

const authority = createTestAuthority();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup();
});

async function listen(server: Server | ReturnType<typeof createTcp>): Promise<number> {
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

/** Its connections are cut before it is closed. */
async function tcp(talk: (socket: Socket) => void): Promise<number> {
  const sockets: Socket[] = [];
  const port = await listen(
    createTcp((socket) => {
      sockets.push(socket.on('error', () => {}));
      talk(socket);
    }),
  );
  cleanups.unshift(async () => sockets.forEach((socket) => void socket.destroy()));
  return port;
}

async function https(options: Partial<IssueOptions> = {}): Promise<number> {
  const { certPem, keyPem } = authority.issue({ hosts: ['localhost'], ...options });
  const server = createHttps({ cert: certPem, key: keyPem }, (_request, response) => void response.writeHead(405).end());
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => new Promise((resolve) => server.close(resolve)));
  return (server.address() as AddressInfo).port;
}

const visit = (url: string, clock = systemClock) => visitTokenHost(url, authority.caPem, dial, clock);

async function problemOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemError)) throw new Error(`expected a ProblemError, got ${String(error)}`);
  return error.problem;
}

describe('a token host', () => {
  it('is reached over verified TLS and says what time it is', async () => {
    const port = await https();
    const { description, date } = await visit(`https://localhost:${port}/t/oauth2/v2.0/token`);
    expect(description).toMatch(/^localhost:\d+, 127\.0\.0\.1, TLSv1\.3, certificate verified \(valid until 20\d\d-\d\d-\d\d\)$/);
    expect(Math.abs((date ?? 0) - Date.now())).toBeLessThan(60_000);
  });

  it('is asked for nothing secret', async () => {
    const asked: string[] = [];
    const port = await listen(
      createServer((request, response) => {
        asked.push(`${request.method} ${request.url} ${Object.keys(request.headers).sort().join(' ')}`);
        response.writeHead(405).end();
      }),
    );
    await visit(`http://127.0.0.1:${port}/t/token?secret=canary`);
    expect(asked).toEqual(['GET /t/token accept connection host user-agent']);
  });

  it('may have no clock', async () => {
    const port = await tcp((socket) => void socket.write('HTTP/1.1 200 OK\r\n\r\n'));
    expect((await visit(`http://127.0.0.1:${port}/`)).date).toBeUndefined();
  });

  it.each([
    { fault: { selfSigned: true }, remedy: /caFile/ },
    { fault: { expired: true }, remedy: /clock.*renew/ },
    { fault: { future: true }, remedy: /clock/ },
    { fault: { hosts: ['other.test'] }, remedy: /providers\.NAME\.tokenUrl/ },
  ])('with a certificate that is not accepted is not asked: $fault', async ({ fault, remedy }) => {
    const port = await https(fault);
    expect(await problemOf(visit(`https://localhost:${port}/token`))).toMatchObject({
      code: 'TOKEN_ENDPOINT_UNREACHABLE',
      cause: expect.stringMatching(/certificate not accepted/),
      remedy: expect.stringMatching(remedy),
    });
  });

  it.each<{ failure: DialFailure; remedy: RegExp }>([
    { failure: 'dns', remedy: /resolve names/ },
    { failure: 'refused', remedy: /host and port in providers\.NAME\.tokenUrl/ },
    { failure: 'timeout', remedy: /firewall/ },
    { failure: 'unreachable', remedy: /route/ },
    { failure: 'tls', remedy: /TLS 1\.2/ },
  ])('that cannot be reached has a remedy for each reason: $failure', async ({ failure, remedy }) => {
    const failing = () => Promise.reject(new DialError(failure, 'login.test:443: it failed'));
    const what = await problemOf(visitTokenHost('https://login.test/token', undefined, failing, systemClock));
    expect(what).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', remedy: expect.stringMatching(remedy) });
    expect(what.remedy).not.toContain('KEY');
  });

  it('must not be asked without TLS', async () => {
    const what = await problemOf(visit('http://login.test/token'));
    expect(what).toMatchObject({ code: 'TOKEN_MISCONFIGURED', cause: expect.stringContaining('not https://') });
  });

  it.each([
    { name: 'another protocol', talk: (socket: Socket) => void socket.write('220 mail.test ESMTP\r\n'), code: 'TOKEN_ENDPOINT_NONSENSE' },
    {
      name: 'header fields without end',
      talk: (socket: Socket) => void socket.write(`HTTP/1.1 200 OK\r\n${'x: y\r\n'.repeat(20_000)}`),
      code: 'TOKEN_ENDPOINT_NONSENSE',
    },
    { name: 'a connection that ends', talk: (socket: Socket) => void socket.end(), code: 'TOKEN_ENDPOINT_UNREACHABLE' },
  ])('may answer nonsense: $name', async ({ talk, code }) => {
    const port = await tcp(talk);
    expect((await problemOf(visit(`http://127.0.0.1:${port}/`))).code).toBe(code);
  });

  it('that says nothing is left after 15 s', async () => {
    const clock = new FakeClock();
    let asked = (): void => {};
    const isAsked = new Promise<void>((resolve) => (asked = resolve));
    const port = await tcp((socket) => void socket.once('data', () => asked()));
    const pending = problemOf(visit(`http://127.0.0.1:${port}/`, clock));
    await isAsked;
    await clock.advance(seconds(16));
    expect(await pending).toMatchObject({ code: 'TOKEN_ENDPOINT_UNREACHABLE', cause: expect.stringContaining('15 s') });
  });
});

import type { AddressInfo } from 'node:net';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AuthSettings } from '../../../src/core/account.ts';
import { seconds } from '../../../src/core/clock.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import type { TokenAnswer } from '../../../src/token/token-answer.ts';
import { HttpTokenEndpoint } from '../../../src/token/token-endpoint.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const SEED = 'seed-refresh-token';
let servers: (Server | TcpServer)[] = [];
let sockets: Socket[] = [];
let clock: FakeClock;
let endpoint: HttpTokenEndpoint;

beforeEach(() => {
  clock = new FakeClock();
  endpoint = new HttpTokenEndpoint({ clock });
});
afterEach(async () => {
  await endpoint.close();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  servers = [];
  sockets = [];
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => sockets.push(socket));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

/** A real HTTP server that answers each request as `respond` says. */
async function serve(respond: (response: ServerResponse, request: IncomingMessage) => void): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const listener: RequestListener = (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      seen.push({ method: request.method, url: request.url, headers: request.headers, body });
      respond(response, request);
    });
  };
  return { port: await listen(createServer(listener)), seen };
}

function json(status: number, value: unknown, headers: Record<string, string> = {}) {
  return (response: ServerResponse): void => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
  };
}

const TOKENS = { access_token: 'access', token_type: 'Bearer', expires_in: 3600, refresh_token: 'rotated' };

async function ask(tokenUrl: string, auth?: AuthSettings, ca?: string): Promise<TokenAnswer> {
  const provider = testProvider({ tokenUrl, ...(ca === undefined ? {} : { ca }) });
  const account = testAccount({ provider, ...(auth === undefined ? {} : { auth }) });
  return endpoint.request({ account, refreshToken: SEED });
}

const url = (port: number, path = '/tenant/oauth2/v2.0/token'): string => `http://127.0.0.1:${port}${path}`;

/** Waits for an answer while the clock is moved past every deadline. */
async function askPastDeadline(tokenUrl: string, reached: Promise<unknown>): Promise<TokenAnswer> {
  const answer = ask(tokenUrl);
  await reached;
  await clock.advance(seconds(31));
  return answer;
}

describe('a request', () => {
  it('posts a refresh_token form', async () => {
    const { port, seen } = await serve(json(200, TOKENS));
    expect(await ask(url(port))).toEqual({ kind: 'granted', accessToken: 'access', expiresIn: seconds(3600), refreshToken: 'rotated' });
    expect(seen[0]).toMatchObject({ method: 'POST', url: '/tenant/oauth2/v2.0/token' });
    expect(seen[0]?.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(Object.fromEntries(new URLSearchParams(seen[0]?.body))).toEqual({
      grant_type: 'refresh_token',
      refresh_token: SEED,
      client_id: 'test-client',
      scope: 'https://outlook.office.com/SMTP.Send offline_access',
    });
  });

  it('sends the secret of a confidential client, and scopes of the account', async () => {
    const { port, seen } = await serve(json(200, TOKENS));
    await ask(url(port), { grant: 'refresh_token', clientId: 'id', clientSecret: 'a&b=c d+é', refreshToken: SEED, scopes: ['one', 'two'] });
    expect(Object.fromEntries(new URLSearchParams(seen[0]?.body))).toMatchObject({ client_secret: 'a&b=c d+é', scope: 'one two' });
  });

  it('posts a client_credentials form without refresh token', async () => {
    const { port, seen } = await serve(json(200, { ...TOKENS, refresh_token: undefined }));
    expect(await ask(url(port), { grant: 'client_credentials', clientId: 'id', clientSecret: 'secret' })).not.toHaveProperty(
      'refreshToken',
    );
    expect(Object.fromEntries(new URLSearchParams(seen[0]?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: 'id',
      client_secret: 'secret',
      scope: 'https://outlook.office365.com/.default',
    });
  });

  it('keeps the query of the token URL', async () => {
    const { port, seen } = await serve(json(200, TOKENS));
    await ask(url(port, '/token?p=policy'));
    expect(seen[0]?.url).toBe('/token?p=policy');
  });

  it('goes out once: nothing is repeated', async () => {
    const { port, seen } = await serve((response) => response.socket?.resetAndDestroy());
    expect(await ask(url(port))).toMatchObject({ kind: 'unreachable' });
    expect(seen).toHaveLength(1);
  });

  it('many go out at once', async () => {
    const { port, seen } = await serve(json(200, TOKENS));
    const answers = await Promise.all(Array.from({ length: 50 }, async () => ask(url(port))));
    expect(answers.map(({ kind }) => kind)).toEqual(Array.from({ length: 50 }, () => 'granted'));
    expect(seen).toHaveLength(50);
  });
});

describe('answers', () => {
  it('a refusal comes with all its fields', async () => {
    const body = { error: 'invalid_grant', error_codes: [50173], error_description: `token ${SEED} revoked`, trace_id: 't' };
    const { port } = await serve(json(400, body));
    expect(await ask(url(port))).toEqual({
      kind: 'refused',
      httpStatus: 400,
      error: 'invalid_grant',
      errorCodes: [50173],
      description: 'token [secret] revoked',
      traceId: 't',
    });
  });

  it('K02 429 with Retry-After', async () => {
    const { port } = await serve(json(429, {}, { 'retry-after': '17' }));
    expect(await ask(url(port))).toEqual({ kind: 'busy', cause: `127.0.0.1:${port} answered HTTP 429`, retryAfter: seconds(17) });
  });

  it('a redirect is not followed', async () => {
    const elsewhere = await serve(json(200, TOKENS));
    const { port } = await serve((response) => response.writeHead(307, { location: url(elsewhere.port) }).end());
    expect(await ask(url(port))).toMatchObject({ kind: 'nonsense', cause: expect.stringContaining('redirect') as string });
    expect(elsewhere.seen).toHaveLength(0);
  });

  it('K05 a body of 200 MB is cut off at 1 MB', async () => {
    let written = 0;
    const chunk = Buffer.alloc(64 * 1024, 'x');
    const { port } = await serve((response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      const pump = (): void => {
        while (written < 200 * 1024 * 1024 && !response.destroyed) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', pump);
        }
        response.end();
      };
      pump();
    });
    expect(await ask(url(port))).toMatchObject({ kind: 'nonsense', cause: expect.stringContaining('more than 1 MB') as string });
    expect(written).toBeLessThan(20 * 1024 * 1024);
  });

  it('a body that says it is 200 MB', async () => {
    const { port } = await serve((response) =>
      response.writeHead(200, { 'content-length': String(200 * 1024 * 1024) }).write('x'.repeat(2_000_000)),
    );
    expect(await ask(url(port))).toMatchObject({ kind: 'nonsense' });
  });

  it('K05 a body that drips ends at 30 s', async () => {
    let isClosed: Promise<unknown> = Promise.resolve();
    let begin: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const { port } = await serve((response) => {
      isClosed = once(response, 'close');
      response.writeHead(200, { 'content-type': 'application/json' });
      const drip = setInterval(() => response.write(' '), 1);
      response.on('close', () => clearInterval(drip));
      response.write(' ', () => begin());
    });
    const answer = await askPastDeadline(url(port), begun);
    expect(answer).toEqual({ kind: 'unreachable', cause: `127.0.0.1:${port}: no complete answer within 30 s` });
    await isClosed;
  });

  it('no answer ends at 30 s', async () => {
    let begin: () => void = () => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const { port } = await serve(() => begin());
    expect(await askPastDeadline(url(port), begun)).toMatchObject({
      kind: 'unreachable',
      cause: expect.stringContaining('30 s') as string,
    });
  });

  it.each<[string, (socket: Socket) => void, TokenAnswer['kind']]>([
    ['closes at once', (socket) => socket.end(), 'unreachable'],
    ['resets', (socket) => socket.resetAndDestroy(), 'unreachable'],
    ['cuts the body', (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"access_token":'), 'unreachable'],
    ['does not speak HTTP', (socket) => socket.end('220 mail.lab.test ESMTP\r\n'), 'nonsense'],
    ['sends endless header fields', (socket) => socket.end(`HTTP/1.1 200 OK\r\n${'X-A: b\r\n'.repeat(10_000)}\r\n`), 'nonsense'],
  ])('K02 a server that %s', async (_what, act, kind) => {
    const server = createTcpServer((socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => act(socket));
    });
    const port = await listen(server);
    const answer = await ask(url(port));
    expect(answer.kind).toBe(kind);
    expect(JSON.stringify(answer)).toContain('127.0.0.1');
    expect(JSON.stringify(answer)).not.toContain(SEED);
  });
});

describe('hosts', () => {
  it('a closed port is named', async () => {
    const server = createTcpServer();
    const port = await listen(server);
    server.close();
    await once(server, 'close');
    expect(await ask(url(port))).toEqual({ kind: 'unreachable', cause: `127.0.0.1:${port}: connection refused` });
  });

  it('a name that does not resolve is named', async () => {
    const answer = await new HttpTokenEndpoint({ clock: systemClock }).request({
      account: testAccount({ provider: testProvider({ tokenUrl: 'https://no-such-host.invalid/token' }) }),
      refreshToken: SEED,
    });
    expect(answer).toMatchObject({ kind: 'unreachable', cause: expect.stringMatching(/no-such-host\.invalid.*not resolved/) as string });
  });

  it.each([
    'http://login.lab.test/token',
    'http://10.0.0.1/token',
    'http://127.0.0.1.lab.test/token',
    'http://localhost.lab.test/token',
    'ftp://127.0.0.1/token',
    'https://user:password@login.lab.test/token',
    'login.lab.test/token',
    '',
  ])('T18 nothing is sent to %s', async (tokenUrl) => {
    const dialled: string[] = [];
    endpoint = new HttpTokenEndpoint({
      clock,
      dial: async ({ host }) => {
        dialled.push(host);
        throw new Error('must not happen');
      },
    });
    const answer = await ask(tokenUrl);
    expect(answer).toMatchObject({ kind: 'problem', problem: { code: 'TOKEN_MISCONFIGURED' } });
    expect(JSON.stringify(answer)).not.toContain('password');
    expect(dialled).toEqual([]);
  });

  it('http is taken on loopback by address', async () => {
    const { port } = await serve(json(200, TOKENS));
    expect((await ask(`http://127.0.0.1:${port}/token`)).kind).toBe('granted');
  });

  it('T18 TLS is verified: no secret reaches a server that cannot prove its name', async () => {
    const authority = createTestAuthority();
    let received = '';
    const start = async (hosts: readonly string[], faults: { expired?: boolean; selfSigned?: boolean } = {}): Promise<number> => {
      const { certPem, keyPem } = authority.issue({ hosts, ...faults });
      const server = createTlsServer({ cert: certPem, key: keyPem }, (request, response) => {
        request.on('data', (chunk: Buffer) => {
          received += chunk.toString();
        });
        request.on('end', () => json(200, TOKENS)(response));
      });
      server.on('tlsClientError', () => undefined);
      return listen(server);
    };
    const good = await start(['127.0.0.1']);
    const expectations: [number, string | undefined, string][] = [
      [good, undefined, 'SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO'],
      [await start(['login.other.test']), authority.caPem, 'wrong-host'],
      [await start(['127.0.0.1'], { expired: true }), authority.caPem, 'expired'],
      [await start(['127.0.0.1'], { selfSigned: true }), authority.caPem, 'self-signed|unknown-issuer'],
    ];
    for (const [port, ca, reason] of expectations) {
      const answer = await ask(`https://127.0.0.1:${port}/token`, undefined, ca);
      expect(answer).toMatchObject({ kind: 'unreachable', cause: expect.stringMatching(reason) as string });
      expect(answer).toHaveProperty('remedy', expect.stringContaining('caFile'));
    }
    expect(received).toBe('');
    expect((await ask(`https://127.0.0.1:${good}/token`, undefined, authority.caPem)).kind).toBe('granted');
    expect(received).toContain(SEED);
  });

  it('a plain server where TLS was expected', async () => {
    const { port, seen } = await serve(json(200, TOKENS));
    expect(await ask(`https://127.0.0.1:${port}/token`)).toMatchObject({ kind: 'unreachable' });
    expect(seen).toHaveLength(0);
  });
});

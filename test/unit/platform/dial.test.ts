import { randomBytes } from 'node:crypto';
import { createServer, type Socket } from 'node:net';
import * as tls from 'node:tls';
import { afterEach, describe, expect, it } from 'vitest';
import { hours, seconds } from '../../../src/core/clock.ts';
import { type DialRequest, dial, upgradeToTls } from '../../../src/platform/dial.ts';
import { DialError } from '../../../src/platform/dial-error.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { freePort } from '../../support/free-port.ts';
import { createTestAuthority, type IssueOptions } from '../../support/test-ca.ts';

const authority = createTestAuthority();
const good = authority.issue({ hosts: ['localhost', '127.0.0.1'] });
const cleanups: (() => void)[] = [];

afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

async function listen(server: {
  listen(port: number, host: string, done: () => void): unknown;
  address(): unknown;
  close(): unknown;
}): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  cleanups.push(() => void server.close());
  return (server.address() as { port: number }).port;
}

/** A TCP server; what it accepts is destroyed at the end of the test. */
async function tcpServer(onConnection: (socket: Socket) => void = () => {}): Promise<number> {
  const server = createServer((socket) => {
    cleanups.push(() => socket.destroy());
    socket.on('error', () => {});
    onConnection(socket);
  });
  return listen(server);
}

async function tlsServer(options: tls.TlsOptions): Promise<number> {
  const server = tls.createServer(options, (socket) => {
    socket.on('error', () => {});
    cleanups.push(() => socket.destroy());
    socket.end('hello');
  });
  server.on('tlsClientError', () => {});
  return listen(server);
}

const request = (changes: Partial<DialRequest>): DialRequest => ({
  host: 'localhost',
  port: 1,
  tls: 'none',
  ca: authority.caPem,
  clock: systemClock,
  ...changes,
});

async function open(changes: Partial<DialRequest>): Promise<Socket> {
  const socket = await dial(request(changes));
  cleanups.push(() => socket.destroy());
  return socket;
}

async function failure(promise: Promise<unknown>): Promise<DialError> {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof DialError)) throw new Error(`expected a DialError, got ${String(error)}`);
  return error;
}

describe('dialling', () => {
  it('opens a connection', async () => {
    const port = await tcpServer((socket) => socket.end('hello'));
    const socket = await open({ port });
    expect(await read(socket)).toBe('hello');
  });

  it('finds the address that answers among several', async () => {
    const port = await tcpServer((socket) => socket.end('hello'));
    // 127.0.0.2 refuses, since the server listens on 127.0.0.1 alone.
    const addresses = [
      { address: '127.0.0.2', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ];
    const socket = await open({ port, host: 'mail.test', lookup: (_host, _options, callback) => callback(null, addresses) });
    expect(await read(socket)).toBe('hello');
  });

  it('tells a refused connection', async () => {
    expect(await failure(dial(request({ port: await freePort() })))).toMatchObject({ failure: 'refused' });
  });

  it.each(['ENOTFOUND', 'EAI_AGAIN', 'ESERVFAIL'])('N02 tells a name that is not resolved: %s', async (code) => {
    const error = Object.assign(new Error('no'), { code });
    const failed = await failure(dial(request({ host: 'mail.test', lookup: (_host, _options, callback) => callback(error, []) })));
    expect(failed.failure).toBe('dns');
    expect(failed.message).toContain(`mail.test:1: host name not resolved (${code})`);
  });

  it('N02 gives a resolver ten seconds', async () => {
    const clock = new FakeClock();
    const failed = failure(dial(request({ host: 'mail.test', clock, lookup: () => {} })));
    await clock.advance(seconds(10));
    expect(await failed).toMatchObject({ failure: 'dns' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('is done, or not, after the deadline, handshake included', async () => {
    const clock = new FakeClock();
    let isConnected: () => void = () => {};
    const connected = new Promise<void>((resolve) => (isConnected = resolve));
    const port = await tcpServer(() => isConnected()); // Says nothing, so the handshake stalls.
    const failed = failure(dial(request({ port, tls: 'implicit', clock })));
    await connected;
    await clock.advance(seconds(29));
    await clock.advance(seconds(1));
    expect(await failed).toMatchObject({ failure: 'timeout' });
    expect(clock.pendingTimers).toBe(0);
  });

  it('can be called off, before and during', async () => {
    const port = await tcpServer();
    expect(await failure(dial(request({ port, signal: AbortSignal.abort() })))).toMatchObject({ failure: 'aborted' });
    const controller = new AbortController();
    const failed = failure(dial(request({ port, tls: 'implicit', signal: controller.signal })));
    setImmediate(() => controller.abort());
    expect(await failed).toMatchObject({ failure: 'aborted' });
  });
});

describe('TLS', () => {
  it('is verified against the CA given, by name and by address', async () => {
    const port = await tlsServer({ cert: good.certPem, key: good.keyPem });
    for (const host of ['localhost', '127.0.0.1']) {
      const socket = await open({ host, port, tls: 'implicit' });
      expect((socket as tls.TLSSocket).authorized).toBe(true);
      expect(await read(socket)).toBe('hello');
    }
  });

  it('does not trust that CA unless it is given', async () => {
    const port = await tlsServer({ cert: good.certPem, key: good.keyPem });
    expect(await failure(dial(request({ port, tls: 'implicit', ca: undefined })))).toMatchObject({
      failure: 'certificate',
      certificate: 'unknown-issuer',
    });
  });

  const bad: [string, Partial<IssueOptions>, string][] = [
    ['self-signed', { selfSigned: true }, 'self-signed'],
    ['expired', { expired: true }, 'expired'],
    ['not valid yet', { future: true }, 'not-yet-valid'],
    ['for another host', { hosts: ['other.test'] }, 'wrong-host'],
    ['for a host named in the common name alone', { commonNameOnly: true }, 'wrong-host'],
    ['with a short key', { keyBits: 1024 }, 'weak'],
  ];
  it.each(bad)('T08 refuses a certificate that is %s', async (_what, changes, certificate) => {
    const issued = authority.issue({ hosts: ['localhost'], ...changes });
    const port = await tlsServer({ cert: issued.certPem, key: issued.keyPem, ciphers: 'DEFAULT@SECLEVEL=0' });
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'certificate', certificate });
  });

  it('T08 refuses a certificate of another CA with the same name', async () => {
    const issued = createTestAuthority().issue({ hosts: ['localhost'] });
    const port = await tlsServer({ cert: issued.certPem, key: issued.keyPem });
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'certificate' });
  });

  it.each(['TLSv1', 'TLSv1.1'] as const)('T09 refuses %s', async (version) => {
    const port = await tlsServer({
      cert: good.certPem,
      key: good.keyPem,
      minVersion: version,
      maxVersion: version,
      ciphers: 'DEFAULT@SECLEVEL=0',
    });
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'tls' });
  });

  it('T09 refuses suites without encryption or server', async () => {
    const port = await tlsServer({ cert: good.certPem, key: good.keyPem, maxVersion: 'TLSv1.2', ciphers: 'NULL:aNULL@SECLEVEL=0' });
    expect((await failure(dial(request({ port, tls: 'implicit' })))).failure).toMatch(/^(?:tls|closed)$/);
  });

  it('is told from a server that speaks something else', async () => {
    const port = await tcpServer((socket) => socket.write('220 mail.test ESMTP\r\n'));
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'tls' });
  });

  it('is told from a server that hangs up', async () => {
    const port = await tcpServer((socket) => socket.once('data', () => socket.destroy()));
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'closed' });
  });

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'resumes the session of an earlier connection (%s), for the same name and CA alone',
    async (version) => {
      const port = await tlsServer({ cert: good.certPem, key: good.keyPem, minVersion: version, maxVersion: version });
      const reused = (host: string, ca = authority.caPem): Promise<boolean> => isResumed(open({ host, port, tls: 'implicit', ca }));
      expect(await reused('localhost')).toBe(false);
      expect(await reused('localhost')).toBe(true);
      expect(await reused('127.0.0.1')).toBe(false);
      expect(await reused('localhost', `${authority.caPem}\n`)).toBe(false);
    },
  );

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'is a whole handshake again where the server has forgotten the session (%s)',
    async (version) => {
      const options = { cert: good.certPem, key: good.keyPem, minVersion: version, maxVersion: version };
      const server = tls.createServer(options, (socket) => socket.end('hello'));
      const port = await listen(server);
      const reused = (changes: Partial<DialRequest> = {}): Promise<boolean> => isResumed(open({ port, tls: 'implicit', ...changes }));
      expect([await reused(), await reused(), await reused()]).toEqual([false, true, true]);
      server.setTicketKeys(randomBytes(48)); // As after a restart of the server.
      expect([await reused(), await reused()]).toEqual([false, true]);
      expect([await reused({ mayResume: false }), await reused()]).toEqual([false, true]);
    },
  );

  it('lets a server show its certificate again after a day, whatever it has resumed meanwhile', async () => {
    const clock = new FakeClock();
    const port = await tlsServer({ cert: good.certPem, key: good.keyPem });
    const reused = (): Promise<boolean> => isResumed(open({ port, tls: 'implicit', clock }));
    expect([await reused(), await reused()]).toEqual([false, true]);
    await clock.advance(hours(23));
    expect(await reused()).toBe(true);
    await clock.advance(hours(1));
    expect([await reused(), await reused()]).toEqual([false, true]);
  });

  it('does not resume with a server that is not the one that was verified', async () => {
    const first = tls.createServer({ cert: good.certPem, key: good.keyPem }, (socket) => socket.end('hello'));
    const port = await listen(first);
    await read(await open({ port, tls: 'implicit' }));
    await new Promise((resolve) => first.close(resolve));
    const stranger = createTestAuthority().issue({ hosts: ['localhost'] });
    const second = tls.createServer({ cert: stranger.certPem, key: stranger.keyPem });
    second.on('tlsClientError', () => {});
    await new Promise<void>((resolve) => second.listen(port, '127.0.0.1', resolve));
    cleanups.push(() => void second.close());
    expect(await failure(dial(request({ port, tls: 'implicit' })))).toMatchObject({ failure: 'certificate' });
  });

  it('resumes behind STARTTLS, too', async () => {
    const port = await tlsServer({ cert: good.certPem, key: good.keyPem });
    const reused = async (): Promise<boolean> => {
      const plain = await open({ port });
      return isResumed(upgradeToTls(plain, { servername: 'localhost', port, ca: authority.caPem, clock: systemClock }));
    };
    expect([await reused(), await reused()]).toEqual([false, true]);
  });

  it('is not begun where clear text is still unread', async () => {
    const port = await tcpServer((socket) => socket.write('250 injected\r\n'));
    const socket = await open({ port });
    await new Promise((resolve) => socket.once('readable', resolve));
    const upgrade = { servername: 'localhost', port, ca: authority.caPem, clock: systemClock };
    expect(await failure(upgradeToTls(socket, upgrade))).toMatchObject({ failure: 'injection' });
    expect(socket.destroyed).toBe(true);
  });
});

/** Reads to the end: tickets of TLS 1.3 come after the handshake. */
async function isResumed(opening: Promise<Socket>): Promise<boolean> {
  const socket = (await opening) as tls.TLSSocket;
  expect(socket.authorized).toBe(true);
  const isReused = socket.isSessionReused();
  expect(await read(socket)).toBe('hello');
  return isReused;
}

async function read(socket: Socket): Promise<string> {
  let text = '';
  for await (const chunk of socket) text += String(chunk);
  return text;
}

import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import { type Handover, Webhook, type WebhookOptions } from '../../../src/observability/webhook.ts';
import { dial } from '../../../src/platform/dial.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const TOKEN = 'T0CANARY0webhook0token';
const PATH = `/services/${TOKEN}?sig=5ig-canary-0123456789`;

let servers: (Server | TcpServer)[] = [];
let sockets: Socket[] = [];
let webhooks: Webhook[] = [];
let clock: FakeClock;
let scrubber: Scrubber;

beforeEach(() => {
  clock = new FakeClock();
  scrubber = new Scrubber();
});
afterEach(async () => {
  for (const webhook of webhooks) await webhook.close();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  [servers, sockets, webhooks] = [[], [], []];
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.push(socket.on('error', () => undefined));
  });
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

function script(respond: (response: ServerResponse) => void, seen: Seen[]): RequestListener {
  return (request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (chunk: string) => {
      body += chunk;
    });
    request.on('end', () => {
      const { method, url, headers } = request;
      seen.push({ method, url, headers, body });
      respond(response);
    });
  };
}

async function serve(respond: (response: ServerResponse) => void): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  return { port: await listen(createServer(script(respond, seen))), seen };
}

function webhookAt(url: string, options: Partial<WebhookOptions> = {}): Webhook {
  const webhook = new Webhook({ url, clock, redactor: scrubber, ...options });
  webhooks.push(webhook);
  return webhook;
}

/** Offers a body, and looks whether the answer keeps the token to itself. */
async function post(port: number, options: Partial<WebhookOptions> = {}): Promise<Handover> {
  return checked(await webhookAt(`http://127.0.0.1:${port}${PATH}`, options).post('{"event":"x"}', 'id-1'));
}

function checked(handover: Handover): Handover {
  expect(JSON.stringify(handover)).not.toContain('CANARY');
  return handover;
}

const status =
  (code: number, headers: Record<string, string> = {}, body = '') =>
  (response: ServerResponse): void =>
    void response.writeHead(code, headers).end(body);

const untaken = (part: string) => ({ kind: 'untaken', cause: expect.stringContaining(part) as string });

describe('a POST', () => {
  it('holds the body, its type, and an id for repetitions', async () => {
    const { port, seen } = await serve(status(200));
    expect(await post(port)).toEqual({ kind: 'taken' });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({ method: 'POST', url: PATH, body: '{"event":"x"}' });
    expect(seen[0]?.headers).toMatchObject({
      'content-type': 'application/json',
      'x-postern-delivery': 'id-1',
      'x-postern-timestamp': String(clock.now() / 1000),
      'user-agent': 'postern',
    });
    expect(seen[0]?.headers['x-postern-signature']).toBeUndefined();
  });

  it('is signed, with its time, where there is a secret', async () => {
    const { port, seen } = await serve(status(204));
    expect(await post(port, { secret: 'signing-secret-0123456789' })).toEqual({ kind: 'taken' });
    const [request] = seen;
    if (request === undefined) throw new Error('nothing was posted');
    const { headers, body } = request;
    const expected = createHmac('sha256', 'signing-secret-0123456789')
      .update(`${String(headers['x-postern-timestamp'])}.${body}`)
      .digest('hex');
    expect(headers['x-postern-signature']).toBe(`sha256=${expected}`);
    expect(scrubber.scrub('signing-secret-0123456789')).toBe('[secret]');
  });

  it.each([200, 201, 202, 204, 299])('is taken with %d', async (code) => {
    const { port } = await serve(status(code));
    expect(await post(port)).toEqual({ kind: 'taken' });
  });

  it.each([400, 401, 403, 404, 410, 429, 500, 503])('is not taken with %d', async (code) => {
    const { port } = await serve(status(code, { 'content-type': 'text/plain' }, `no: ${TOKEN}`));
    expect(await post(port)).toEqual(untaken(`127.0.0.1:${port} answered HTTP ${code}`));
  });

  it.each([301, 302, 303, 307, 308])('does not follow %d', async (code) => {
    const elsewhere = await serve(status(200));
    const { port } = await serve(status(code, { location: `http://127.0.0.1:${elsewhere.port}/` }));
    expect(await post(port)).toEqual(untaken('redirect'));
    expect(elsewhere.seen).toEqual([]);
  });
});

describe('a hostile or broken receiver', () => {
  it('that never answers is left after 10 s', async () => {
    let reached: () => void = () => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const { port } = await serve(() => reached());
    const answer = post(port);
    await isReached;
    await clock.advance(seconds(10));
    expect(await answer).toEqual(untaken('no answer within 10 s'));
  });

  it('that drips its header is left after 10 s, and its connection ends', async () => {
    let isClosed: Promise<unknown> = Promise.resolve();
    let reached: () => void = () => {};
    const isReached = new Promise<void>((resolve) => {
      reached = resolve;
    });
    const port = await listen(
      createTcpServer((socket) => {
        isClosed = once(socket, 'close');
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n', () => reached());
          const drip = setInterval(() => socket.write('X'), 1);
          socket.on('close', () => clearInterval(drip));
        });
      }),
    );
    const answer = post(port);
    await isReached;
    await clock.advance(seconds(10));
    expect(await answer).toEqual(untaken('no answer within 10 s'));
    await isClosed;
  });

  it('that drips its body after 200 is done with', async () => {
    let isClosed: Promise<unknown> = Promise.resolve();
    const { port } = await serve((response) => {
      isClosed = once(response, 'close');
      response.writeHead(200).write('x');
    });
    expect(await post(port)).toEqual({ kind: 'taken' });
    await isClosed;
  });

  it('that sends 200 MB is cut off', async () => {
    let written = 0;
    const { port } = await serve((response) => {
      const chunk = Buffer.alloc(64 * 1024, 'x');
      response.writeHead(500);
      const pump = (): void => {
        while (written < 200 * 1024 * 1024 && !response.destroyed) {
          written += chunk.length;
          if (!response.write(chunk)) return void response.once('drain', pump);
        }
        response.end();
      };
      pump();
    });
    expect(await post(port)).toEqual(untaken('HTTP 500'));
    expect(written).toBeLessThan(20 * 1024 * 1024);
  });

  it('that sends a header of 100 KB', async () => {
    const port = await listen(
      createTcpServer((socket) => {
        socket.once('data', () => socket.write(`HTTP/1.1 200 OK\r\nX-Large: ${'x'.repeat(100_000)}\r\n\r\n`));
      }),
    );
    expect(await post(port)).toEqual(untaken('too many header fields'));
  });

  it('that resets the connection', async () => {
    const { port } = await serve((response) => response.socket?.resetAndDestroy());
    expect(await post(port)).toEqual(untaken('closed the connection'));
  });

  it('that does not speak HTTP', async () => {
    const port = await listen(createTcpServer((socket) => void socket.write(`220 ${TOKEN} ESMTP\r\n`)));
    expect(await post(port)).toEqual(untaken('does not speak HTTP'));
  });

  it('that is not there', async () => {
    expect(await post(1)).toEqual(untaken('127.0.0.1:1'));
  });
});

describe('over TLS', () => {
  const authority = createTestAuthority();

  async function serveTls(hosts: readonly string[], isTrusted: boolean): Promise<{ handover: Handover; seen: Seen[] }> {
    const { certPem: cert, keyPem: key } = authority.issue({ hosts });
    const seen: Seen[] = [];
    const port = await listen(createTlsServer({ cert, key }, script(status(200), seen)));
    const trusting: Partial<WebhookOptions> = isTrusted ? { dial: (request) => dial({ ...request, ca: authority.caPem }) } : {};
    const handover = await webhookAt(`https://127.0.0.1:${port}${PATH}`, trusting).post('{}', 'id-1');
    return { handover: checked(handover), seen };
  }

  it('is posted to a server with a good certificate', async () => {
    const { handover, seen } = await serveTls(['127.0.0.1'], true);
    expect(handover).toEqual({ kind: 'taken' });
    expect(seen).toHaveLength(1);
  });

  it.each([
    ['of an unknown issuer', ['127.0.0.1'], false],
    ['for another host', ['hooks.example.test'], true],
  ])('not to one with a certificate %s', async (_name, hosts, isTrusted) => {
    const { handover, seen } = await serveTls(hosts, isTrusted);
    expect(handover).toMatchObject({ kind: 'untaken' });
    expect(seen).toEqual([]);
  });
});

describe('a URL', () => {
  it.each([
    'http://hooks.example.test/x',
    'http://127.0.0.1.example.test/x',
    'http://user:pass@127.0.0.1/x',
    'https://user:pass@hooks.example.test/x',
    'ftp://127.0.0.1/x',
    'hooks.example.test',
  ])('is refused and not repeated: %s', (url) => {
    let message = '';
    try {
      webhookAt(url);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('CONFIG_INVALID');
    expect(message).not.toContain('/x');
  });

  it.each(['https://hooks.example.test/x', 'http://127.0.0.1:8080/x', 'http://[::1]:8080/x', 'http://localhost/x'])(
    'is taken: %s',
    (url) => {
      expect(webhookAt(url).host).toBe(new URL(url).host);
    },
  );

  it('is known to the scrubber, as a whole path and in its parts, in every encoding', () => {
    webhookAt(`https://a-very-long-name.hooks.example.test:8443${PATH}`);
    for (const secret of [TOKEN, '5ig-canary-0123456789', PATH]) {
      const forms = [
        secret,
        Buffer.from(secret).toString('base64'),
        encodeURIComponent(secret),
        Buffer.from(secret).toString('hex'),
        JSON.stringify(secret),
      ];
      for (const form of forms) expect(scrubber.scrub(`https://a-very-long-name.hooks.example.test:8443 ${form}`)).not.toMatch(/canary/i);
    }
  });
});

it('what is in progress ends with close', async () => {
  let reached: () => void = () => {};
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  const { port } = await serve(() => reached());
  const webhook = webhookAt(`http://127.0.0.1:${port}${PATH}`);
  const answer = webhook.post('{}', 'id-1');
  await isReached;
  await webhook.close();
  expect(await answer).toEqual(untaken('Postern stops'));
});

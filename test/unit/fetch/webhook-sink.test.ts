/** What a webhook gets, what its answers mean, and what it can do to us. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer, type Server as TcpServer, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minutes, seconds } from '../../../src/core/clock.ts';
import { octets } from '../../../src/core/octets.ts';
import type { MessageSink, SinkOutcome } from '../../../src/core/ports/message-sink.ts';
import { openWebhookSink, type WebhookSettings } from '../../../src/fetch/sinks/webhook-sink.ts';
import { dial } from '../../../src/platform/dial.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fetched, largeMessage, ODD } from '../../support/fetched-message.ts';

const TOKEN = 'T0CANARY0webhook0token';
const SECRET = 's1gning-secret';
const never = new AbortController().signal;

interface Seen {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingMessage['headers'];
  readonly body: Buffer;
}

let servers: (Server | TcpServer)[] = [];
let sockets: Socket[] = [];
let sinks: MessageSink[] = [];
let clock: FakeClock;
beforeEach(() => {
  clock = new FakeClock();
});
afterEach(async () => {
  for (const sink of sinks) await sink.close();
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  [servers, sockets, sinks] = [[], [], []];
});

async function listen(server: Server | TcpServer): Promise<number> {
  servers.push(server);
  server.on('connection', (socket: Socket) => void sockets.push(socket.on('error', () => undefined)));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** Answers each request that has come whole. */
async function serve(respond: (response: ServerResponse) => void): Promise<{ port: number; seen: Seen[] }> {
  const seen: Seen[] = [];
  const port = await listen(
    createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => undefined);
      request.on('end', () => {
        if (!request.complete) return;
        const { method, url, headers } = request;
        seen.push({ method, url, headers, body: Buffer.concat(chunks) });
        respond(response);
      });
    }),
  );
  return { port, seen };
}

function open(port: number, changes: Partial<WebhookSettings> = {}): MessageSink {
  const url = `http://127.0.0.1:${port}/${TOKEN}?sig=${TOKEN}`;
  const sink = openWebhookSink({ url, format: 'rfc822', timeoutMs: seconds(60), ...changes }, { clock, dial });
  sinks.push(sink);
  return sink;
}

/** What the operator reads never holds the token of the URL. */
async function deliver(sink: MessageSink, message = fetched()): Promise<SinkOutcome> {
  const outcome = await sink.deliver(message, never);
  expect(JSON.stringify(outcome) + sink.description).not.toContain(TOKEN);
  return outcome;
}

describe('a request', () => {
  it('holds the message as it is, its key, and where it lay', async () => {
    const { port, seen } = await serve((response) => response.writeHead(201).end('thanks'));
    const sink = open(port);
    expect(await deliver(sink)).toEqual({ kind: 'stored', detail: 'HTTP 201' });
    expect(sink.description).toBe(`webhook 127.0.0.1:${port}`);
    expect(seen).toMatchObject([
      {
        method: 'POST',
        url: `/${TOKEN}?sig=${TOKEN}`,
        body: ODD,
        headers: {
          'content-type': 'message/rfc822',
          'transfer-encoding': 'chunked',
          'idempotency-key': 'a'.repeat(40),
          'x-postern-rule': 'orders',
          'x-postern-account': 'billing',
          'x-postern-mailbox': encodeURIComponent('INBOX/Bestellungen für uns'),
          'x-postern-uid': '7',
          'x-postern-uid-validity': '17',
        },
      },
    ]);
    expect(seen[0]?.headers).not.toHaveProperty('x-postern-signature');
  });

  it.each([
    ['small', 'rfc822', fetched()],
    ['large, read twice', 'rfc822', largeMessage(3).message],
    ['in JSON', 'json', fetched()],
  ] as const)('is signed over exactly what is sent: %s', async (_, format, message) => {
    const { port, seen } = await serve((response) => response.writeHead(204).end());
    expect(await deliver(open(port, { secret: SECRET, format }), message)).toMatchObject({ kind: 'stored' });
    const headers: IncomingMessage['headers'] = seen[0]?.headers ?? {};
    const body = seen[0]?.body ?? Buffer.alloc(0);
    const timestamp = String(headers['x-postern-timestamp']);
    expect(Number(timestamp)).toBe(Math.floor(clock.now() / 1000));
    // As docs/fetch.md tells receivers to do it.
    const expected = createHmac('sha256', SECRET).update(`${timestamp}.`).update(body).digest('hex');
    expect(headers['x-postern-signature']).toBe(`sha256=${expected}`);
    expect(body.length).toBeGreaterThan(0);
  });

  it('is never completed where the mailbox gives something else than what was signed', async () => {
    const { port, seen } = await serve((response) => response.writeHead(204).end());
    let readings = 0;
    const size = 2 * 1_048_576;
    const message = fetched([], {
      size,
      async *content() {
        readings += 1;
        yield await Promise.resolve(Buffer.alloc(size - 1, 'x'));
        yield Buffer.from(readings === 1 ? 'a' : 'b');
      },
    });
    await expect(open(port, { secret: SECRET }).deliver(message, never)).rejects.toThrow('other octets than a moment ago');
    expect(seen).toEqual([]);
  });

  it.each([
    ['less', ODD.length + 1],
    ['more', ODD.length - 1],
  ])('holds what there is where the mailbox gives %s than it said, as Exchange does', async (_, size) => {
    const { port, seen } = await serve((response) => response.writeHead(204).end());
    expect(await open(port).deliver(fetched([ODD], { size }), never)).toMatchObject({ kind: 'stored' });
    expect(seen).toMatchObject([{ body: ODD }]);
  });
});

describe('JSON', () => {
  const MAIL = [
    'From: =?utf-8?q?J=C3=BCrgen?= <j@x.test>',
    'To: a@x.test, "B, c" <b@x.test>',
    'Subject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=',
    'X-Twice: 1',
    'X-Twice: 2',
    'Content-Type: multipart/mixed; boundary=b',
    '',
    '--b',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'hello',
    '--b',
    'Content-Type: application/octet-stream; name=a.bin',
    'Content-Disposition: attachment; filename=a.bin',
    'Content-Transfer-Encoding: base64',
    '',
    'AAEC/w==',
    '--b--',
    '',
  ].join('\r\n');

  it('has header fields, addresses, text and attachments', async () => {
    const { port, seen } = await serve((response) => response.writeHead(200).end());
    const octetsOfMail = Buffer.from(MAIL);
    expect(await deliver(open(port, { format: 'json' }), fetched([octetsOfMail]))).toMatchObject({ kind: 'stored' });
    expect(seen[0]?.headers['content-type']).toBe('application/json');
    const body = JSON.parse(seen[0]?.body.toString('utf8') ?? '') as Record<string, unknown>;
    expect(body).toMatchObject({
      key: 'a'.repeat(40),
      rule: 'orders',
      account: 'billing',
      mailbox: 'INBOX/Bestellungen für uns',
      uidValidity: '17',
      uid: 7,
      receivedAt: '2026-11-23T00:00:00.000Z',
      size: octetsOfMail.length,
      flags: ['\\Seen'],
      from: { name: 'Jürgen', address: 'j@x.test' },
      to: [{ address: 'a@x.test' }, { name: 'B, c', address: 'b@x.test' }],
      subject: 'Grüße',
      attachments: [
        { filename: 'a.bin', mimeType: 'application/octet-stream', disposition: 'attachment', encoding: 'base64', content: 'AAEC/w==' },
      ],
    });
    expect(String(body['text']).trim()).toBe('hello');
    const headers = body['headers'] as { name: string; value: string }[];
    expect(headers.filter(({ name }) => name === 'X-Twice').map(({ value }) => value)).toEqual(['1', '2']);
  });

  it('is for messages up to a size; a larger one is refused unread', async () => {
    const { port, seen } = await serve((response) => response.writeHead(200).end());
    const { message, given } = largeMessage(2);
    const outcome = await deliver(open(port, { format: 'json', mostJson: octets(1_048_576) }), message);
    expect(outcome).toMatchObject({
      kind: 'refused',
      problem: { code: 'FETCH_FORM_UNFIT', cause: expect.stringContaining('1 MiB') as string },
    });
    expect([seen.length, given()]).toEqual([0, 0]);
  });

  it('is not made of a message that is nested beyond all use; it is refused', async () => {
    const { port, seen } = await serve((response) => response.writeHead(200).end());
    const depth = 200;
    const openings = Array.from({ length: depth }, (_, at) => `Content-Type: multipart/mixed; boundary=b${at}\r\n\r\n--b${at}\r\n`).join(
      '',
    );
    const outcome = await deliver(open(port, { format: 'json' }), fetched([Buffer.from(`${openings}\r\nx\r\n`)]));
    expect(outcome).toMatchObject({
      kind: 'refused',
      problem: { code: 'FETCH_FORM_UNFIT', remedy: expect.stringContaining('format: rfc822') as string },
    });
    expect(seen).toEqual([]);
  });
});

describe('an answer', () => {
  it.each([
    [200, 'stored', undefined],
    [202, 'stored', undefined],
    [301, 'refused', 'FETCH_WEBHOOK_MOVED'],
    [307, 'refused', 'FETCH_WEBHOOK_MOVED'],
    [400, 'refused', 'FETCH_REFUSED'],
    [404, 'refused', 'FETCH_REFUSED'],
    [408, 'later', 'FETCH_NOT_TAKEN'],
    [410, 'refused', 'FETCH_REFUSED'],
    [413, 'refused', 'FETCH_REFUSED'],
    [425, 'later', 'FETCH_NOT_TAKEN'],
    [429, 'later', 'FETCH_NOT_TAKEN'],
    [500, 'later', 'FETCH_NOT_TAKEN'],
    [503, 'later', 'FETCH_NOT_TAKEN'],
  ])('%d: %s', async (status, kind, code) => {
    let asked = 0;
    const target = await serve((response) => response.writeHead(200).end());
    const { port } = await serve((response) => {
      asked += 1;
      response.writeHead(status, { location: `http://127.0.0.1:${target.port}/` }).end();
    });
    expect(await deliver(open(port))).toMatchObject({ kind, ...(code === undefined ? {} : { problem: { code } }) });
    expect([asked, target.seen.length]).toEqual([1, 0]);
  });

  it.each([
    ['120', 120_000],
    ['Mon, 23 Nov 2026 00:10:00 GMT', 600_000],
    ['Mon, 23 Nov 2020 00:00:00 GMT', 0],
    ['99999999', 86_400_000],
    ['soon', undefined],
  ])('with Retry-After: %s', async (retryAfter, afterMs) => {
    const { port } = await serve((response) => response.writeHead(503, { 'retry-after': retryAfter }).end());
    expect(await deliver(open(port))).toEqual({
      kind: 'later',
      problem: expect.objectContaining({ code: 'FETCH_NOT_TAKEN' }) as unknown,
      ...(afterMs === undefined ? {} : { afterMs }),
    });
  });

  it('of 200 before the message was complete stores nothing', async () => {
    const port = await listen(
      createTcpServer((socket) => {
        socket.once('data', () => void socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n'));
      }),
    );
    expect(await deliver(open(port), largeMessage(64).message)).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_NONSENSE' } });
  });

  it('of 413 before the message was complete refuses it', async () => {
    const port = await listen(
      createTcpServer((socket) => {
        socket.once('data', () => void socket.write('HTTP/1.1 413 Too Large\r\ncontent-length: 0\r\n\r\n'));
      }),
    );
    expect(await deliver(open(port), largeMessage(64).message)).toMatchObject({ kind: 'refused', problem: { code: 'FETCH_REFUSED' } });
  });

  it('whose body never ends is not read', async () => {
    const { port } = await serve((response) => {
      response.writeHead(200);
      const more = (): void => void (response.destroyed || response.write(Buffer.alloc(65_536), more));
      more();
    });
    expect(await deliver(open(port))).toMatchObject({ kind: 'stored' });
  });

  it.each([
    ['is no HTTP', '220 mail.test ESMTP\r\n', 'FETCH_SINK_NONSENSE'],
    ['has header fields without end', `HTTP/1.1 200 OK\r\n${`x: ${'y'.repeat(1000)}\r\n`.repeat(100)}`, 'FETCH_SINK_NONSENSE'],
  ])('that %s: later', async (_, text, code) => {
    const port = await listen(createTcpServer((socket) => void socket.once('data', () => void socket.write(text))));
    expect(await deliver(open(port))).toMatchObject({ kind: 'later', problem: { code } });
  });

  it('that does not come: it is offered again, and may come twice', async () => {
    const port = await listen(createTcpServer((socket) => void socket.resume().on('data', () => socket.end())));
    expect(await deliver(open(port))).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_AMBIGUOUS' } });
  });

  it('that drips is given up at the end of the time', async () => {
    let arrive: () => void = () => undefined;
    const arrived = new Promise<void>((resolve) => (arrive = resolve));
    const port = await listen(
      createTcpServer((socket) => {
        socket.once('data', () => {
          socket.write('HTTP/1.1 200 OK\r\n');
          arrive();
        });
      }),
    );
    const done = deliver(open(port, { timeoutMs: minutes(1) }));
    await arrived;
    for (let at = 0; at < 59; at += 1) {
      sockets.at(-1)?.write(`x-${at}: y\r\n`);
      await clock.advance(seconds(1));
    }
    await clock.advance(seconds(2));
    expect(await done).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_AMBIGUOUS', cause: expect.stringContaining('no answer within 60 s') as string },
    });
  });

  it('cannot come where nobody listens: nothing was sent', async () => {
    const closed = createTcpServer();
    const port = await listen(closed);
    closed.close();
    await once(closed, 'close');
    expect(await deliver(open(port))).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_UNREACHABLE' } });
  });
});

describe('a URL', () => {
  it.each(['http://hooks.example.test/x', 'http://10.0.0.1/', 'https://user:pass@hooks.example.test/', 'ftp://127.0.0.1/', 'nonsense'])(
    '%s is not posted to',
    (url) => {
      expect(() => openWebhookSink({ url, format: 'rfc822', timeoutMs: seconds(60) }, { clock, dial })).toThrow('not an https:// URL');
    },
  );
});

/** The client of HTTP: places to an origin, what ends a request at each step, and bodies that are not as long as was said. */
import { createServer, type IncomingMessage, type RequestListener } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { HttpClient, HttpClosedError, type HttpRequest } from '../../../src/platform/http-client.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';

const ends: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0)) await end();
});

async function serve(listener: RequestListener): Promise<URL> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ends.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => void server.close(() => resolve()));
  });
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/path?query=1`);
}

function clientOf(connections: number): HttpClient {
  const client = new HttpClient({ clock: systemClock, deadline: seconds(10), connections });
  ends.push(() => Promise.resolve(client.close()));
  return client;
}

const get = (url: URL, more: Partial<HttpRequest> = {}): HttpRequest => ({
  url,
  method: 'GET',
  headers: {},
  signal: new AbortController().signal,
  ...more,
});

async function textOf(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
}

/** Each part is on its way before the next one comes. */
async function* parts(...texts: string[]): AsyncGenerator<Uint8Array, void, undefined> {
  for (const text of texts) {
    yield Buffer.from(text);
    await pause(50);
  }
}

async function readText(request: IncomingMessage): Promise<string> {
  try {
    return await textOf(request);
  } catch (error) {
    return `cut off: ${(error as NodeJS.ErrnoException).code ?? ''}`;
  }
}

it('sends what it is given, on a connection that ends with the answer', async () => {
  const heard: unknown[] = [];
  const url = await serve((request, response) => {
    void readText(request).then((body) => {
      const { host, connection, 'content-length': length, 'transfer-encoding': coding } = request.headers;
      heard.push({ method: request.method, url: request.url, host, connection, length, coding, body });
      response.end('answer');
    });
  });
  const client = clientOf(1);
  for (const body of [undefined, 'text', parts('in ', 'parts')]) {
    const response = await client.request(get(url, { method: 'POST', ...(body === undefined ? {} : { body }) }));
    expect([response.statusCode, await textOf(response)]).toEqual([200, 'answer']);
  }
  const same = { method: 'POST', url: '/path?query=1', host: url.host, connection: 'close' };
  expect(heard).toEqual([
    { ...same, length: '0', coding: undefined, body: '' },
    { ...same, length: '4', coding: undefined, body: 'text' },
    { ...same, length: undefined, coding: 'chunked', body: 'in parts' },
  ]);
});

it('opens no more connections to an origin than it may, and warns of nothing while many wait', async () => {
  const warnings: string[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning.message);
  process.on('warning', onWarning);
  let most = 0;
  let open = 0;
  const url = await serve((_request, response) => {
    open += 1;
    most = Math.max(most, open);
    setTimeout(() => {
      open -= 1;
      response.end('yes');
    }, 5);
  });
  const client = clientOf(3);
  const one = async (): Promise<string> => textOf(await client.request(get(url)));
  const answers = await Promise.all(Array.from({ length: 30 }, one));
  process.off('warning', onWarning);
  expect(answers).toEqual(Array.from({ length: 30 }, () => 'yes'));
  expect({ most, warnings }).toEqual({ most: 3, warnings: [] });
});

it('leaves out whoever does not wait any more', async () => {
  const asked: (string | undefined)[] = [];
  const answers: (() => void)[] = [];
  const url = await serve((request, response) => {
    asked.push(request.headers['x-name'] as string);
    answers.push(() => void response.end());
    if (asked.length > 1) response.end();
  });
  const client = clientOf(1);
  const named = (name: string, signal = new AbortController().signal) =>
    client.request(get(url, { headers: { 'x-name': name }, signal })).then((response) => void response.resume());
  const first = named('first');
  const impatient = new AbortController();
  const second = named('second', impatient.signal);
  const third = named('third');
  await expect.poll(() => asked).toEqual(['first']);
  impatient.abort(new Error('no time'));
  await expect(second).rejects.toThrow('no time');
  answers[0]?.();
  await Promise.all([first, third]);
  expect(asked).toEqual(['first', 'third']);
});

it('is closed: what is in progress, waits or comes later ends with that word, and connections with it', async () => {
  let gone = 0;
  let asked = 0;
  const url = await serve((request, response) => {
    asked += 1;
    request.socket.once('close', () => void (gone += 1));
    if (asked === 1) response.write('part');
  });
  const client = clientOf(2);
  const read = client.request(get(url)).then(textOf);
  await expect.poll(() => asked).toBe(1);
  const silent = client.request(get(url));
  await expect.poll(() => asked).toBe(2);
  const waiting = client.request(get(url));
  const ended = Promise.allSettled([read, silent, waiting]);
  client.close();
  for (const outcome of await ended) expect(outcome).toMatchObject({ status: 'rejected', reason: expect.any(HttpClosedError) });
  await expect(client.request(get(url))).rejects.toThrow(HttpClosedError);
  await expect.poll(() => gone).toBe(2);
  expect(asked).toBe(2);
});

it('ends with its signal while the answer is read', async () => {
  const url = await serve((_request, response) => void response.write('part'));
  const calling = new AbortController();
  const response = await clientOf(1).request(get(url, { signal: calling.signal }));
  const read = textOf(response);
  calling.abort(new Error('late'));
  await expect(read).rejects.toThrow('late');
});

it.each([
  ['longer', '5', ['12345', '6']],
  ['shorter', '7', ['12345', '6']],
])('cuts the connection where a body is %s than was said', async (_what, length, texts) => {
  const bodies: string[] = [];
  const url = await serve((request) => void readText(request).then((body) => bodies.push(body)));
  const asked = clientOf(1).request(get(url, { method: 'POST', headers: { 'content-length': length }, body: parts(...texts) }));
  await expect(asked).rejects.toThrow('not as long as its content-length');
  await expect.poll(() => bodies.length).toBe(1);
  expect(bodies[0]).toMatch(/^(?:cut off|12345$)/);
});

it('tells what a body is broken by', async () => {
  const url = await serve((request) => void request.resume().on('error', () => undefined));
  async function* broken(): AsyncGenerator<Uint8Array, void, undefined> {
    yield await Promise.resolve(Buffer.from('a'));
    throw new Error('the disk is gone');
  }
  await expect(clientOf(1).request(get(url, { method: 'POST', body: broken() }))).rejects.toThrow('the disk is gone');
});

it('tells a header section that is too large, and what is no HTTP, from a connection that breaks', async () => {
  const url = await serve((request) => {
    const { socket } = request;
    if (request.url === '/large') socket.end(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    else if (request.url === '/other') socket.end('220 mail.example.com ESMTP\r\n');
    else socket.destroy();
  });
  const codeOf = (path: string) =>
    clientOf(1)
      .request(get(new URL(path, url)))
      .then(
        () => 'answered',
        (error: NodeJS.ErrnoException) => error.code,
      );
  expect(await codeOf('/large')).toBe('HPE_HEADER_OVERFLOW');
  expect(await codeOf('/other')).toMatch(/^HPE_/);
  expect(await codeOf('/gone')).toBe('ECONNRESET');
});

/** A server that says these octets, whatever it is asked, and closes. */
async function serveOctets(octets: string): Promise<URL> {
  const server = createTcpServer((socket) => {
    socket.on('error', () => undefined).once('data', () => socket.end(octets));
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  ends.push(() => new Promise((resolve) => void server.close(() => resolve())));
  return new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
}

it.each(['\r\n', 'junk', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx'])(
  'gives an answer that is whole, whatever comes behind it (%j)',
  async (behind) => {
    const url = await serveOctets(`HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}${behind}`);
    expect(await textOf(await clientOf(1).request(get(url)))).toBe('{}');
  },
);

it('fails at once where the server changes protocols, or says nothing and closes', async () => {
  const client = clientOf(1);
  const change = await serveOctets('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
  await expect(client.request(get(change))).rejects.toMatchObject({ code: 'ECONNRESET' });
  await expect(client.request(get(await serveOctets('')))).rejects.toMatchObject({ code: 'ECONNRESET' });
});

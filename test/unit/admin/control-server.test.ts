import { existsSync, lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { request as httpRequest } from 'node:http';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Route } from '../../../src/admin/api.ts';
import { ControlClient } from '../../../src/admin/control-client.ts';
import { minutes, seconds } from '../../../src/core/clock.ts';
import type { QueueVerb } from '../../../src/core/ports/queue-control.ts';
import { ProblemError, problem } from '../../../src/core/problem.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { cleanUp, type ControlStage, controlStage, newFolder, openControlStage } from '../../support/control-stage.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { accept, contentOf, id, newMessage } from '../../support/spool-messages.ts';

afterEach(cleanUp);

const clientOf = ({ path }: ControlStage): ControlClient => new ControlClient({ path, clock: systemClock });

interface Answer {
  readonly status: number;
  readonly document: { readonly code?: string; readonly detail?: string; readonly items?: unknown[] };
}

/** One request, its path as it is. */
function ask(path: string, method: string, target: string, body?: string | Buffer, headers: Record<string, string> = {}): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ socketPath: path, method, path: target, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => resolve({ status: response.statusCode ?? 0, document: text === '' ? {} : JSON.parse(text) }));
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Octets as they are; what comes back until the server closes. */
function talk(path: string, text: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
    socket.on('error', reject);
    socket.on('close', () => resolve(answer));
    socket.end(text);
  });
}

const contentIfFile = (path: string): string => (lstatSync(path).isFile() ? readFileSync(path, 'utf8') : '');

const failureOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );

const JSON_TYPE = { 'content-type': 'application/json' };

describe('the socket', () => {
  it('is for its owner alone, in a folder that is, too, and goes with the server', async () => {
    const path = join(newFolder(), 'state', 'control.sock');
    const { server } = await openControlStage({ path });
    expect(lstatSync(path).isSocket()).toBe(true);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(statSync(join(path, '..')).mode & 0o777).toBe(0o700);
    await server.close(seconds(1));
    expect(existsSync(path)).toBe(false);
  });

  it('leaves the umask as it was', async () => {
    const before = process.umask();
    await openControlStage();
    expect(process.umask()).toBe(before);
  });

  it('takes the place of one that nobody answers on', async () => {
    const path = join(newFolder(), 'control.sock');
    await leaveStaleSocket(path);
    const stage = await openControlStage({ path });
    expect((await clientOf(stage).list({}, 1)).matching).toBe(0);
  });

  it('is left to the server that has it', async () => {
    const first = await openControlStage();
    await accept(first.spool, newMessage(1));
    await expect(openControlStage({ path: first.path })).rejects.toMatchObject({
      problem: { code: 'CONTROL_SOCKET_FAILED', cause: expect.stringContaining('another Postern uses it') },
    });
    expect((await clientOf(first).list({}, 1)).matching).toBe(1);
  });

  it.each<[string, (path: string) => void]>([
    ['a file', (path) => writeFileSync(path, 'precious')],
    ['a folder', (path) => mkdirSync(path)],
    ['a link', (path) => symlinkSync('/dev/null', path)],
  ])('does not take the place of %s', async (_, make) => {
    const path = join(newFolder(), 'control.sock');
    make(path);
    const before = { ino: lstatSync(path).ino, content: contentIfFile(path) };
    await expect(openControlStage({ path })).rejects.toMatchObject({ problem: { code: 'CONTROL_SOCKET_FAILED' } });
    expect({ ino: lstatSync(path).ino, content: contentIfFile(path) }).toEqual(before);
  });

  it.runIf(process.platform === 'linux')('can be where its path is longer than a socket may have', async () => {
    const path = join(newFolder(), 'x'.repeat(120), 'control.sock');
    const stage = await openControlStage({ path });
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect((await clientOf(stage).list({}, 1)).matching).toBe(0);
    await expect(openControlStage({ path })).rejects.toMatchObject({ problem: { code: 'CONTROL_SOCKET_FAILED' } });
    await stage.server.close(seconds(1));
    expect(existsSync(path)).toBe(false);
  });

  it('in a folder that cannot be made is a problem with a remedy', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'file'), '');
    await expect(openControlStage({ path: join(folder, 'file', 'control.sock') })).rejects.toMatchObject({
      problem: { code: 'CONTROL_SOCKET_FAILED', remedy: expect.stringContaining('state.dir') },
    });
  });

  it('that was never opened closes without a word', async () => {
    await expect(controlStage().server.close(seconds(1))).resolves.toBeUndefined();
  });
});

describe('closing', () => {
  it('waits for a request in progress, and cuts it after the grace', async () => {
    const latch = new Latch();
    const begun = new Latch();
    const slow: Route = {
      method: 'GET',
      path: '/api/v1/queue',
      run: async () => {
        begun.open();
        await latch.passed;
        return { status: 200, json: { matching: 0, items: [] } };
      },
    };
    const patient = await openControlStage({ routes: [slow] });
    const answer = clientOf(patient).list({}, 1);
    await begun.passed;
    const closing = patient.server.close(minutes(1));
    latch.open();
    expect(await answer).toEqual({ matching: 0, items: [] });
    await closing;

    const waiting = new Latch();
    const never: Route = {
      ...slow,
      run: () => {
        waiting.open();
        return new Promise(() => undefined);
      },
    };
    const hasty = await openControlStage({ routes: [never], clock: new FakeClock() });
    const failed = failureOf(clientOf(hasty).list({}, 1));
    await waiting.passed;
    const ended = hasty.server.close(seconds(5));
    await hasty.clock.advance(seconds(5));
    await ended;
    expect(await failed).toMatchObject({ problem: { code: 'CONTROL_UNREACHABLE' } });
  });
});

describe('a hostile request', () => {
  it.each([
    ['another path', 'GET', '/', 404],
    ['a path above', 'GET', '/api/v1/queue/../../../etc/passwd', 404],
    ['an encoded path above', 'GET', '/api/v1/queue/%2e%2e%2fpasswd', 404],
    ['an empty part', 'GET', '/api//v1/queue', 404],
    ['a slash at the end', 'GET', '/api/v1/queue/', 404],
    ['an absolute target', 'GET', 'http://evil.test/api/v1/queue', 404],
    ['a name that is no id', 'GET', '/api/v1/queue/__proto__', 404],
    ['an unknown id', 'GET', '/api/v1/queue/Q999999999999999', 404],
    ['the content of an unknown id', 'GET', '/api/v1/queue/Q999999999999999/content', 404],
    ['a very long path', 'GET', `/api/v1/queue/${'A'.repeat(4000)}`, 404],
    ['another method', 'DELETE', '/api/v1/queue', 405],
    ['a change by GET', 'GET', '/api/v1/queue/drop/', 404],
    ['an unknown parameter', 'GET', '/api/v1/queue?acount=billing', 400],
    ['a parameter twice', 'GET', '/api/v1/queue?account=a&account=b', 400],
    ['a limit beyond all bounds', 'GET', '/api/v1/queue?limit=10001', 400],
    ['a limit that is none', 'GET', '/api/v1/queue?limit=-1', 400],
    ['a code that is none', 'GET', '/api/v1/queue?code=%0a', 400],
  ])('%s: %s %s', async (_, method, target, status) => {
    const { path, spool } = await openControlStage();
    await accept(spool, newMessage(1));
    const answer = await ask(path, method, target);
    expect(answer.status).toBe(status);
    expect(answer.document.detail).toMatch(/\w/);
    expect((await spool.stats()).entries).toBe(1);
  });

  it.each([
    ['no body', undefined, JSON_TYPE],
    ['no JSON', '{', JSON_TYPE],
    ['JSON that is no object', '7', JSON_TYPE],
    ['null', 'null', JSON_TYPE],
    ['a selection of nothing', '{}', JSON_TYPE],
    ['no ids', '{"ids":[]}', JSON_TYPE],
    ['ids that are none', '{"ids":[1]}', JSON_TYPE],
    ['an empty filter', '{"filter":{}}', JSON_TYPE],
    ['a filter with a slip', '{"filter":{"acount":"billing"}}', JSON_TYPE],
    ['a filter and ids', `{"ids":["${id(1)}"],"filter":{"account":"billing"}}`, JSON_TYPE],
    ['a prototype', '{"__proto__":{"ids":["x"]}}', JSON_TYPE],
    ['too many ids', JSON.stringify({ ids: Array.from({ length: 10_001 }, (__, name) => id(name)) }), JSON_TYPE],
    ['a very deep document', '['.repeat(400_000), JSON_TYPE],
    ['a form', '{"filter":{"account":"billing"}}', { 'content-type': 'text/plain' }],
    ['no type', '{"filter":{"account":"billing"}}', {}],
    ['octets that are no text', Buffer.from([0xff, 0xfe, 0x00]), JSON_TYPE],
  ])('a change with %s changes nothing', async (_, body, headers) => {
    const { path, spool } = await openControlStage();
    await accept(spool, newMessage(1));
    const answer = await ask(path, 'POST', '/api/v1/queue/drop', body, headers);
    const isOfWrongType = JSON.stringify(headers) !== JSON.stringify(JSON_TYPE);
    expect(answer).toMatchObject({ status: isOfWrongType ? 415 : 400, document: { code: 'API_REQUEST_INVALID' } });
    expect((await spool.stats()).entries).toBe(1);
  });

  it('with a body beyond the bound is answered before it has come', async () => {
    const { path } = await openControlStage();
    const head = `POST /api/v1/queue/drop HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: ${2 ** 40}\r\n\r\n`;
    const answer = await new Promise<string>((resolve, reject) => {
      const socket = connect(path);
      socket.on('error', reject);
      socket.setEncoding('latin1').once('data', (text: string) => {
        resolve(text);
        socket.destroy();
      });
      socket.write(head + ' '.repeat(1024 * 1024 + 1));
    });
    expect(answer).toMatch(/^HTTP\/1\.1 413 /);
    expect(answer).toMatch(/\r\nconnection: close\r\n/i);
  });

  it.each([
    ['noise', '\x16\x03\x01\x02\x00\x01\x00', /^HTTP\/1\.1 400 /],
    ['a header section beyond the bound', `GET / HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(10_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
    [
      'two lengths',
      'POST /api/v1/queue/drop HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n',
      /^HTTP\/1\.1 400 /,
    ],
  ])('of %s is refused, and others are served', async (_, text, expected) => {
    const stage = await openControlStage();
    expect(await talk(stage.path, text)).toMatch(expected);
    expect((await clientOf(stage).list({}, 1)).matching).toBe(0);
  });
});

describe('a failure of the queue', () => {
  const route = (run: Route['run']): Route => ({ method: 'GET', path: '/api/v1/queue', run });

  it('that has a name reaches the caller with cause and remedy', async () => {
    const failing = route(() => Promise.reject(new ProblemError(problem('SPOOL_FAILED', 'EIO', { remedy: 'Look at dmesg.' }))));
    const stage = await openControlStage({ routes: [failing] });
    await expect(clientOf(stage).list({}, 1)).rejects.toMatchObject({
      problem: { code: 'SPOOL_FAILED', cause: 'EIO', remedy: 'Look at dmesg.' },
    });
  });

  it('that is a defect is logged and not shown', async () => {
    const stage = await openControlStage({ routes: [route(() => Promise.reject(new TypeError('secret detail')))] });
    await expect(clientOf(stage).list({}, 1)).rejects.toMatchObject({
      problem: { code: 'INTERNAL', cause: expect.not.stringContaining('secret') },
    });
    expect(stage.log.of('defect')).toHaveLength(1);
  });

  it('in the middle of an export tears the answer, so that no part passes for the whole', async () => {
    const torn: Route = {
      method: 'GET',
      path: '/api/v1/queue/:id/content',
      run: () => Promise.resolve({ status: 200, type: 'message/rfc822', chunks: tearing() }),
    };
    const stage = await openControlStage({ routes: [torn] });
    const parts: Uint8Array[] = [];
    const reading = (async () => {
      for await (const part of clientOf(stage).export(id(1))) parts.push(part);
    })();
    await expect(reading).rejects.toMatchObject({ problem: { code: 'CONTROL_UNREACHABLE' } });
    expect(Buffer.concat(parts).toString()).toBe('the first part');
  });
});

describe('what the client believes', () => {
  it.each([
    ['another answer', { status: 200, json: { messages: [] } }],
    ['another type', { status: 200, json: { matching: 'many', items: [] } }],
    ['an error without a name', { status: 500, json: {} }],
    ['an error with a name that nobody knows', { status: 500, json: { code: 'NEWER', detail: 'x' } }],
  ])('is not %s', async (_, answer) => {
    const routes: Route[] = [{ method: 'GET', path: '/api/v1/queue', run: () => Promise.resolve(answer) }];
    await expect(clientOf(await openControlStage({ routes })).list({}, 1)).rejects.toMatchObject({
      problem: { code: 'CONTROL_UNREACHABLE' },
    });
  });

  it('is nothing where nobody listens, or nobody answers in time', async () => {
    const folder = newFolder();
    await expect(new ControlClient({ path: join(folder, 'none'), clock: systemClock }).list({}, 1)).rejects.toMatchObject({
      problem: { code: 'CONTROL_UNREACHABLE' },
    });
    const asked = new Latch();
    const silent = createServer((socket) => void socket.once('data', () => asked.open()));
    const path = join(folder, 'silent.sock');
    await new Promise<void>((resolve) => void silent.listen(path, resolve));
    const clock = new FakeClock();
    const failed = failureOf(new ControlClient({ path, clock }).list({}, 1));
    await asked.passed;
    await clock.advance(seconds(60));
    expect(await failed).toMatchObject({ problem: { cause: expect.stringContaining('no answer within 60 s') } });
    await new Promise((resolve) => silent.close(resolve));
  });
});

describe('many at once', () => {
  it('are served side by side, and every change is made once', async () => {
    const stage = await openControlStage();
    for (let name = 0; name < 200; name += 1) await accept(stage.spool, newMessage(name), contentOf(name, 5_000));
    const verbs: QueueVerb[] = ['hold', 'release', 'retry', 'drop'];
    const names = Array.from({ length: 200 }, (_, name) => name);
    for (const verb of verbs) {
      const work = [0, 1, 2, 3].map((part) => clientOf(stage).change(verb, { ids: names.filter((name) => name % 4 === part).map(id) }));
      const outcomes = await Promise.all(work);
      expect(outcomes.flatMap(({ changed }) => changed)).toHaveLength(200);
    }
    expect((await stage.spool.stats()).entries).toBe(0);
    expect(stage.log.of('queue-drop')).toHaveLength(200);
  });
});

async function* tearing(): AsyncGenerator<Uint8Array, void, undefined> {
  yield Buffer.from('the first part');
  await new Promise((resolve) => setImmediate(resolve));
  throw new ProblemError(problem('SPOOL_DAMAGED'));
}

/** What a killed process leaves: a socket that is bound to nothing. */
async function leaveStaleSocket(path: string): Promise<void> {
  const { spawnSync } = await import('node:child_process');
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  expect(lstatSync(path).isSocket()).toBe(true);
}

/** Messages handed to a mail server (smtp-server, as SMTP and as LMTP) and to a program: what arrives, and what becomes of what is not taken. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SMTPServer, type SMTPServerOptions } from 'smtp-server';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import type { SinkSettings } from '../../../src/core/fetch-rule.ts';
import type { FetchedMessage } from '../../../src/core/ports/message-sink.ts';
import { openSink } from '../../../src/fetch/sinks/open-sink.ts';
import { dial } from '../../../src/platform/dial.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const stranger = createTestAuthority().issue({ hosts: ['127.0.0.1'] });
const never = new AbortController().signal;
const folder = mkdtempSync(join(tmpdir(), 'postern-handing-'));
const parts = { clock: systemClock, dial, scratch: join(folder, 'scratch') };
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const OCTETS = Buffer.concat([Buffer.from('Subject: x\r\n\r\n.\r\n..two\r\n'), Buffer.from([0xe9, 0xff]), Buffer.from('\r\nlast\r\n')]);

function message(chunks: readonly (Buffer | Error)[] = [OCTETS.subarray(0, 15), OCTETS.subarray(15)]): FetchedMessage {
  return {
    key: 'a'.repeat(40),
    rule: 'r',
    account: 'billing',
    mailbox: 'INBOX',
    uidValidity: 1n,
    uid: 7,
    size: OCTETS.length,
    flags: [],
    async *content() {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield chunk;
      }
    },
  };
}

const closing: (() => Promise<void>)[] = [];
afterEach(async () => {
  await Promise.all(closing.splice(0).map((close) => close()));
});

interface Got {
  readonly from: string;
  readonly to: readonly string[];
  readonly octets: Buffer;
}

async function mailServer(kind: 'lmtp' | 'smtp', options: SMTPServerOptions = {}, answer?: string): Promise<{ port: number; got: Got[] }> {
  const got: Got[] = [];
  const server = new SMTPServer({
    lmtp: kind === 'lmtp',
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData(stream, { envelope }, done) {
      const chunks: Buffer[] = [];
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const { mailFrom, rcptTo } = envelope;
        const from = mailFrom === false ? '' : mailFrom.address;
        if (answer === undefined) got.push({ from, to: rcptTo.map(({ address }) => address), octets: Buffer.concat(chunks) });
        done(answer === undefined ? null : Object.assign(new Error(answer.slice(4)), { responseCode: Number(answer.slice(0, 3)) }));
      });
    },
    ...options,
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => new Promise((resolve) => server.close(() => resolve())));
  return { port: (server.server.address() as AddressInfo).port, got };
}

const to = (kind: 'lmtp' | 'smtp', port: number, tls: 'none' | 'starttls' = 'none'): SinkSettings => ({
  kind,
  host: '127.0.0.1',
  port,
  to: ['app@example.com'],
  tls,
});

const refusing = (code: number) => (_: unknown, __: unknown, done: (error: Error) => void) =>
  done(Object.assign(new Error('5.1.1 not here'), { responseCode: code }));

describe.each(['lmtp', 'smtp'] as const)('%s', (kind) => {
  it('hands over the octets as they are, for the recipient, with the null reverse-path', async () => {
    const { port, got } = await mailServer(kind);
    const sink = openSink(to(kind, port), parts);
    expect(sink.description).toBe(`${kind} 127.0.0.1:${port} for app@example.com`);
    expect(await sink.deliver(message(), never)).toMatchObject({ kind: 'stored', detail: expect.stringMatching(/^250/) as string });
    expect(got).toEqual([{ from: '', to: ['app@example.com'], octets: OCTETS }]);
  });

  it.each([
    [450, 'later', 'FETCH_NOT_TAKEN'],
    [550, 'refused', 'FETCH_REFUSED'],
  ])('RCPT answered with %d: %s', async (code, outcome, problem) => {
    const { port, got } = await mailServer(kind, { onRcptTo: refusing(code) });
    const done = await openSink(to(kind, port), parts).deliver(message(), never);
    expect(done).toMatchObject({ kind: outcome, problem: { code: problem, cause: expect.stringContaining('not here') as string } });
    expect(got).toEqual([]);
  });

  it.each([
    ['451 4.3.0 later', 'later'],
    ['554 5.6.0 no', 'refused'],
  ])('the message answered with %s: %s', async (answer, outcome) => {
    const { port } = await mailServer(kind, {}, answer);
    expect(await openSink(to(kind, port), parts).deliver(message(), never)).toMatchObject({ kind: outcome });
  });

  it('delivers nothing of a message that cannot be read on, and throws what the mailbox threw', async () => {
    const { port, got } = await mailServer(kind);
    const broken = new Error('the mailbox has gone');
    await expect(openSink(to(kind, port), parts).deliver(message([OCTETS, broken]), never)).rejects.toBe(broken);
    const gone = new AbortController();
    const stopped = message();
    const content = (): AsyncIterable<Buffer> => {
      gone.abort(new Error('stopping'));
      return message().content(never);
    };
    await expect(openSink(to(kind, port), parts).deliver({ ...stopped, content }, gone.signal)).rejects.toThrow('stopping');
    expect(got).toEqual([]);
  });

  it('sends nothing in clear text where STARTTLS is wanted, and nothing to a certificate that it does not know', async () => {
    const plain = await mailServer(kind);
    expect(await openSink(to(kind, plain.port, 'starttls'), parts).deliver(message(), never)).toMatchObject({
      kind: 'later',
      problem: { cause: expect.stringContaining('STARTTLS') as string },
    });
    const strange = await mailServer(kind, { disabledCommands: [], cert: stranger.certPem, key: stranger.keyPem });
    expect(await openSink(to(kind, strange.port, 'starttls'), parts).deliver(message(), never)).toMatchObject({ kind: 'later' });
    expect([plain.got, strange.got]).toEqual([[], []]);
  });
});

describe('a server that misbehaves', () => {
  const scripted = async (answers: readonly string[]): Promise<number> => {
    const server: Server = createServer((socket) => {
      const left = [...answers];
      socket.on('error', () => undefined);
      socket.write(left.shift() ?? '');
      socket.on('data', () => {
        const next = left.shift();
        if (next === undefined) socket.destroy();
        else socket.write(next);
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(() => resolve())));
    return (server.address() as AddressInfo).port;
  };

  it.each([
    ['refuses connections for now', ['554 no\r\n']],
    ['speaks another protocol', ['* OK IMAP\r\n']],
    ['never ends its line', [`220 ${'x'.repeat(100_000)}`]],
    ['never ends its reply', ['220-x\r\n'.repeat(20_000)]],
    ['goes after LHLO', ['220 x\r\n']],
    ['goes after the final dot', ['220 x\r\n', '250 x\r\n', '250 x\r\n', '250 x\r\n', '354 x\r\n']],
    ['says everything in advance', ['220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x\r\n']],
    ['answers DATA with 250', ['220 x\r\n', '250 x\r\n', '250 x\r\n', '250 x\r\n', '250 x\r\n']],
  ])('%s: later', async (_, answers) => {
    const port = await scripted(answers);
    expect(await openSink(to('lmtp', port), parts).deliver(message(), never)).toMatchObject({ kind: 'later' });
  });

  it('is not there: later', async () => {
    expect(await openSink(to('lmtp', 1), parts).deliver(message(), never)).toMatchObject({ kind: 'later' });
  });
});

describe('a program', () => {
  const run = (script: string, timeout = 20, ...args: readonly string[]) => {
    const file = join(folder, 'script.sh');
    writeFileSync(file, script);
    const argv = ['sh', file, join(folder, 'out'), ...args] as const;
    return openSink({ kind: 'command', argv, directory: folder, timeoutMs: seconds(timeout) }, parts);
  };

  it('reads the octets as they are, and knows what they belong to', async () => {
    process.env['CANARY_OF_TEST'] = 'secret';
    const sink = run('cat > "$1"; env > "$1.env"');
    expect(await sink.deliver(message(), never)).toMatchObject({ kind: 'stored' });
    expect(readFileSync(join(folder, 'out'))).toEqual(OCTETS);
    const env = readFileSync(join(folder, 'out.env'), 'utf8');
    expect(env).toContain(`POSTERN_KEY=${'a'.repeat(40)}`);
    expect(env).toContain('POSTERN_UID=7');
    expect(env).not.toContain('CANARY_OF_TEST');
  });

  it.each([
    ['exit 0', 'stored'],
    ['cat >/dev/null; echo full >&2; exit 75', 'later'],
    ['exit 1', 'later'],
    ['cat >/dev/null; exit 65', 'refused'],
    ['cat >/dev/null; exit 67', 'refused'],
    ['cat >/dev/null; exit 69', 'later'],
    ['cat >/dev/null; exit 77', 'later'],
    ['kill -9 $$', 'later'],
  ])('%s: %s', async (script, outcome) => {
    expect(await run(script).deliver(message([Buffer.alloc(300_000, 'x')]), never)).toMatchObject({ kind: outcome });
  });

  it('is quoted with its last words', async () => {
    expect(await run('cat >/dev/null; echo "disk is full" >&2; exit 75').deliver(message(), never)).toMatchObject({
      problem: { code: 'FETCH_NOT_TAKEN', cause: 'sh ended with 75: disk is full' },
    });
  });

  it('that takes too long is killed with its children', async () => {
    const done = await run('sleep 300 & echo $! > "$1.pid"; wait', 1).deliver(message(), never);
    expect(done).toMatchObject({ kind: 'later', problem: { cause: expect.stringContaining('killed') as string } });
    const pid = Number(readFileSync(join(folder, 'out.pid'), 'utf8'));
    await expect.poll(() => isAlive(pid)).toBe(false);
  });

  it('never hears of a message that cannot be read on, and nothing is left of that', async () => {
    const broken = new Error('the mailbox has gone');
    await expect(run('touch "$1.begun"').deliver(message([OCTETS, broken]), never)).rejects.toBe(broken);
    expect(() => readFileSync(join(folder, 'out.begun'))).toThrow('ENOENT');
    expect(readdirSync(parts.scratch)).toEqual([]);
  });

  it('has the whole message when it begins: a kill of Postern cannot make a part look like the whole', async () => {
    const content = Buffer.alloc(300_000, 'x');
    expect(
      await run('wc -c < /proc/$$/fd/0 > "$1.size"; ls "$2" > "$1.left"', 20, parts.scratch).deliver(message([content]), never),
    ).toMatchObject({
      kind: 'stored',
    });
    expect(Number(readFileSync(join(folder, 'out.size'), 'utf8'))).toBe(content.length);
    expect(readFileSync(join(folder, 'out.left'), 'utf8')).toBe('');
  });

  it('is not started where the message cannot be kept for it: later', async () => {
    const file = join(folder, 'no-directory');
    writeFileSync(file, '');
    const sink = openSink({ kind: 'command', argv: ['true'], directory: folder, timeoutMs: seconds(5) }, { ...parts, scratch: file });
    expect(await sink.deliver(message(), never)).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_FAILED' } });
  });

  it('that is not there: later', async () => {
    const sink = openSink({ kind: 'command', argv: ['/no/such/program'], directory: folder, timeoutMs: seconds(5) }, parts);
    expect(await sink.deliver(message(), never)).toMatchObject({
      kind: 'later',
      problem: { cause: expect.stringContaining('ENOENT') as string },
    });
  });
});

/** A process that has ended and waits for its parent is not. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeEach, describe, expect, it } from 'vitest';
import type { FetchedMessage, MessageSink } from '../../../src/core/ports/message-sink.ts';
import { DirectorySink } from '../../../src/fetch/sinks/directory-sink.ts';
import { MaildirSink } from '../../../src/fetch/sinks/maildir-sink.ts';

const root = mkdtempSync(join(tmpdir(), 'postern-sinks-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
let path: string;
beforeEach(() => {
  count += 1;
  path = join(root, String(count), 'mail');
});

const KEY = 'a'.repeat(40);
const OCTETS = Buffer.concat([Buffer.from('Subject: x\r\n\r\n'), Buffer.from([0, 255, 13, 10, 46, 13, 10])]);
const never = new AbortController().signal;

function message(
  changes: Partial<FetchedMessage> = {},
  chunks: readonly (Buffer | Error)[] = [OCTETS.subarray(0, 5), OCTETS.subarray(5)],
): FetchedMessage {
  return {
    key: KEY,
    rule: 'r',
    account: 'billing',
    mailbox: 'INBOX',
    uidValidity: 18_446_744_073_709_551_615n,
    uid: 7,
    receivedAt: new Date('2026-11-27T10:00:00Z'),
    size: OCTETS.length,
    flags: ['\\Seen'],
    async *content() {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield chunk;
      }
    },
    ...changes,
  };
}

const NAME = `${Date.UTC(2026, 10, 27, 10) / 1000}.${KEY}.postern`;

describe('a maildir', () => {
  it('gets the octets as they are, under a name that comes from the key, for its owner alone', async () => {
    expect(await new MaildirSink(path).deliver(message(), never)).toEqual({ kind: 'stored', detail: NAME });
    expect(readFileSync(join(path, 'new', NAME))).toEqual(OCTETS);
    expect(statSync(join(path, 'new', NAME)).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, 'tmp'))).toEqual([]);
    expect(existsSync(join(path, 'cur'))).toBe(true);
  });

  it.each(['new', 'cur'])('recognises a message that is in %s already', async (where) => {
    await new MaildirSink(path).deliver(message(), never);
    if (where === 'cur') renameSync(join(path, 'new', NAME), join(path, 'cur', `${NAME}:2,S`));
    const again = await new MaildirSink(path).deliver(message({}, [new Error('is not read')]), never);
    expect(again).toMatchObject({ kind: 'stored' });
    expect([...readdirSync(join(path, 'new')), ...readdirSync(join(path, 'cur'))]).toHaveLength(1);
  });

  it('takes up what a kill has left in tmp', async () => {
    await new MaildirSink(path).deliver(message({ key: 'b'.repeat(40) }), never);
    writeFileSync(join(path, 'tmp', NAME), 'half of it, and longer than the message itself is');
    await new MaildirSink(path).deliver(message(), never);
    expect(readFileSync(join(path, 'new', NAME))).toEqual(OCTETS);
  });
});

describe('a directory', () => {
  it('gets the octets and what the mailbox says of them', async () => {
    expect(await new DirectorySink(path).deliver(message(), never)).toEqual({ kind: 'stored', detail: `${KEY}.eml` });
    expect(readdirSync(path).toSorted()).toEqual([`${KEY}.eml`, `${KEY}.json`]);
    expect(readFileSync(join(path, `${KEY}.eml`))).toEqual(OCTETS);
    expect(JSON.parse(readFileSync(join(path, `${KEY}.json`), 'utf8'))).toEqual({
      key: KEY,
      rule: 'r',
      account: 'billing',
      mailbox: 'INBOX',
      uidValidity: '18446744073709551615',
      uid: 7,
      receivedAt: '2026-11-27T10:00:00.000Z',
      flags: ['\\Seen'],
    });
  });

  it('keeps one pair of a message that comes twice', async () => {
    await new DirectorySink(path).deliver(message(), never);
    await new DirectorySink(path).deliver(message(), never);
    expect(readdirSync(path)).toHaveLength(2);
  });
});

const sinks: [string, (at: string) => MessageSink][] = [
  ['maildir', (at) => new MaildirSink(at)],
  ['directory', (at) => new DirectorySink(at)],
];
describe.each(sinks)('a %s', (_name, open) => {
  const visible = (): string[] =>
    existsSync(path)
      ? readdirSync(path, { recursive: true })
          .map(String)
          .filter((name) => name.includes(KEY) && !name.startsWith('tmp/'))
      : [];

  it('shows nothing of a message that could not be read to its end, and throws what the mailbox threw', async () => {
    const error = new Error('connection lost');
    await expect(open(path).deliver(message({}, [OCTETS, error]), never)).rejects.toBe(error);
    expect(visible()).toEqual([]);
    expect(await open(path).deliver(message(), never)).toMatchObject({ kind: 'stored' });
  });

  it('shows nothing of a message that was called off, and throws the reason', async () => {
    const ended = new AbortController();
    const chunks = message({}, [OCTETS]);
    const stopping: FetchedMessage = {
      ...chunks,
      async *content(signal) {
        ended.abort(new Error('stopping'));
        yield* chunks.content(signal);
      },
    };
    await expect(open(path).deliver(stopping, ended.signal)).rejects.toThrow('stopping');
    expect(visible()).toEqual([]);
  });

  it('says later where it cannot be written, with the reason', async () => {
    writeFileSync(join(root, `${count}`), 'a file in the place of the folder');
    const outcome = await open(path).deliver(message(), never);
    chmodSync(join(root, `${count}`), 0o600);
    expect(outcome).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_FAILED', cause: expect.stringContaining('ENOTDIR') } });
  });
});

/** What an IMAP server may answer, and what becomes of it. */
import type { Duplex } from 'node:stream';
import { afterEach, describe, expect, it } from 'vitest';
import { type EpochMs, minutes, seconds } from '../../../src/core/clock.ts';
import type { MailboxUpstream } from '../../../src/core/ports/mailbox.ts';
import { ImapMailboxSource } from '../../../src/fetch/imap-source.ts';
import type { OpenSource } from '../../../src/fetch/mailbox-source.ts';
import { duplexPair } from '../../../src/platform/duplex-pair.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { fetchRule } from '../../support/fetch-rule.ts';

const CAPABILITIES = ['IMAP4rev1', 'UIDPLUS', 'MOVE', 'IDLE'];
const RULE = fetchRule();
const SELECTED = '* 3 EXISTS\r\n* OK [UIDVALIDITY 7] valid\r\n* OK [UIDNEXT 14] next\r\nTAG OK [READ-WRITE] done\r\n';
const never = new AbortController().signal;
const filter = { isUnseen: false };

/** Answers each command by the first pattern that fits; TAG stands for the command's tag. */
type Script = readonly (readonly [pattern: RegExp, answer: string | ((line: string) => string)])[];

class Server {
  readonly lines: string[] = [];
  readonly near: Duplex;
  readonly far: Duplex;
  readonly #script: Script;

  constructor(script: Script) {
    this.#script = script;
    [this.near, this.far] = duplexPair();
    let text = '';
    let idle = '';
    this.far.on('error', () => undefined);
    this.far.on('data', (octets: Buffer) => {
      text += octets.toString('latin1');
      for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
        const line = text.slice(0, end);
        text = text.slice(end + 2);
        this.lines.push(line);
        const [tag = ''] = line.split(' ');
        if (line.endsWith(' IDLE')) idle = tag;
        this.far.write(line === 'DONE' ? `${idle} OK\r\n` : this.#answer(line).replaceAll('TAG', tag), 'latin1');
      }
    });
  }

  #answer(line: string): string {
    const answer = this.#script.find(([pattern]) => pattern.test(line))?.[1];
    if (typeof answer === 'function') return answer(line);
    if (answer !== undefined) return answer;
    if (/ SELECT /.test(line)) return SELECTED;
    if (/ LIST /.test(line)) return '* LIST () "/" INBOX\r\nTAG OK\r\n';
    return line.endsWith(' IDLE') ? '+ idling\r\n' : 'TAG OK\r\n';
  }
}

const opened: OpenSource[] = [];
afterEach(() => {
  for (const source of opened.splice(0)) source.close();
});

async function open(script: Script = [], capabilities = CAPABILITIES): Promise<{ readonly server: Server; readonly source: OpenSource }> {
  const server = new Server(script);
  const mailboxes: MailboxUpstream = {
    open: async () => ({
      protocol: 'imap',
      upstream: 'imap.test:993',
      user: 'billing@postern.test',
      socket: server.near,
      rest: Buffer.alloc(0),
      capabilities,
      tokenExpiresAt: 5 as EpochMs,
      close: () => void server.near.destroy(),
    }),
  };
  const source = await new ImapMailboxSource(mailboxes, systemClock).open(RULE, never);
  opened.push(source);
  return { server, source };
}

const withCode = (code: string, cause = /./): unknown =>
  expect.objectContaining({ problem: expect.objectContaining({ code, cause: expect.stringMatching(cause) }) });

describe('opening', () => {
  it('selects, and neither signs in nor upgrades', async () => {
    const { server, source } = await open();
    expect(source).toMatchObject({ upstream: 'imap.test:993', uidValidity: 7n, uidNext: 14, canIdle: true, tokenExpiresAt: 5 });
    expect(server.lines.filter((line) => /STARTTLS|AUTHENTICATE|LOGIN|COMPRESS/i.test(line))).toEqual([]);
  });

  it.each([
    ['a mailbox that is not there', 'TAG NO [NONEXISTENT] no such mailbox\r\n', 'UPSTREAM_MAILBOX_CLOSED', undefined],
    ['BYE', '* BYE Session invalidated - AccessTokenExpired\r\n', 'UPSTREAM_AUTH_REFUSED', undefined],
    ['a mailbox without UIDVALIDITY', '* 3 EXISTS\r\nTAG OK [READ-WRITE] done\r\n', 'UPSTREAM_PROTOCOL', undefined],
    ['patience', 'TAG NO [UNAVAILABLE] try again later\r\n', 'UPSTREAM_DEFERRED', undefined],
  ])('tells of %s', async (_name, answer, code) => {
    await expect(open([[/ SELECT /, answer]])).rejects.toEqual(withCode(code));
  });
});

describe('searching', () => {
  it('asks for what the rule wants, and gives UIDs in their order', async () => {
    const { server, source } = await open([[/ SEARCH /, '* SEARCH 13 10 12\r\nTAG OK\r\n']]);
    const wanted = { isUnseen: true, from: 'a@b', subject: 'order', maxSize: 1024 as never, since: Date.UTC(2026, 10, 27) as EpochMs };
    expect(await source.search(10, undefined, wanted)).toEqual([10, 12, 13]);
    const line = server.lines.find((one) => one.includes('SEARCH')) ?? '';
    for (const part of ['UID SEARCH', 'UID 10:*', 'UNSEEN', 'FROM', 'SUBJECT', 'SMALLER 1025', 'SINCE 26-Nov-2026'])
      expect(line).toContain(part);
  });

  it('does not take a refusal for an empty mailbox', async () => {
    const { source } = await open([[/ SEARCH /, 'TAG NO busy\r\n']]);
    await expect(source.search(1, undefined, filter)).rejects.toEqual(withCode('UPSTREAM_LOST'));
  });
});

const facts = (uid: number): string =>
  `* 1 FETCH (UID ${uid} FLAGS (\\Seen) INTERNALDATE "27-Nov-2026 10:00:00 +0000" RFC822.SIZE 5 BODY[HEADER.FIELDS (MESSAGE-ID DATE FROM SUBJECT)] {21}\r\nMessage-ID: <1@x>\r\n\r\n)\r\nTAG OK\r\n`;

describe('a message', () => {
  it('is described', async () => {
    const { source } = await open([[/ UID FETCH 12 /, facts(12)]]);
    expect(await source.describe(12)).toEqual({
      uid: 12,
      size: 5,
      flags: ['\\Seen'],
      receivedAt: new Date('2026-11-27T10:00:00Z'),
      print: expect.stringMatching(/^[0-9a-f]{20}$/),
    });
  });

  it.each([
    ['gone', '* SEARCH\r\nTAG OK\r\n', undefined],
    ['there all the same', '* SEARCH 12\r\nTAG OK\r\n', 'FETCH_MESSAGE_UNREADABLE'],
  ])('for which the server answers nothing is %s', async (_name, search, code) => {
    const { source } = await open([
      [/ UID FETCH /, 'TAG OK\r\n'],
      [/ SEARCH /, search],
    ]);
    if (code === undefined) expect(await source.describe(12)).toBeUndefined();
    else await expect(source.describe(12)).rejects.toEqual(withCode(code));
    expect(await source.search(1, undefined, filter)).toBeDefined();
  });

  it('that the server refuses is unreadable, and the session goes on', async () => {
    const { source } = await open([
      [/ UID FETCH 12 /, 'TAG NO [SERVERBUG] internal error\r\n'],
      [/ UID FETCH 13 /, facts(13)],
    ]);
    await expect(source.describe(12)).rejects.toEqual(withCode('FETCH_MESSAGE_UNREADABLE', /12.*internal error/));
    expect(await source.describe(13)).toMatchObject({ uid: 13 });
  });

  const read = async (source: OpenSource, size: number): Promise<Buffer> => {
    const parts: Buffer[] = [];
    for await (const part of source.content(12, size, never)) parts.push(part);
    return Buffer.concat(parts);
  };
  const served =
    (content: Buffer) =>
    (line: string): string => {
      const [, start = '0', length = '0'] = /<(\d+)\.(\d+)>/.exec(line) ?? [];
      const part = content.subarray(Number(start), Number(start) + Number(length)).toString('latin1');
      return `* 1 FETCH (UID 12 BODY[]<${start}> {${part.length}}\r\n${part})\r\nTAG OK\r\n`;
    };

  it.each([
    ['as the server said', 0],
    ['longer than the server said', -3_000],
    ['shorter than the server said', 3_000],
  ])('comes in parts, %s', async (_name, off) => {
    const content = Buffer.from(Uint8Array.from({ length: 2_500_000 }, (_, index) => (index * 7) % 251));
    const { server, source } = await open([[/ UID FETCH 12 /, served(content)]]);
    expect((await read(source, content.length + off)).equals(content)).toBe(true);
    expect(server.lines.filter((line) => line.includes('FETCH')).length).toBeLessThanOrEqual(4);
    expect(server.lines.filter((line) => line.includes('FETCH')).every((line) => line.includes('BODY.PEEK[]<'))).toBe(true);
  });

  it('of exactly one part comes whole', async () => {
    const content = Buffer.alloc(1024 * 1024, 'x');
    const { source } = await open([[/ UID FETCH 12 /, served(content)]]);
    expect((await read(source, content.length)).length).toBe(content.length);
  });

  it('with a literal larger than was asked for ends the session, before it is held', async () => {
    const { source } = await open([[/ UID FETCH 12 /, '* 1 FETCH (UID 12 BODY[]<0> {3000000000}\r\n']]);
    await expect(read(source, 5)).rejects.toEqual(withCode('UPSTREAM_PROTOCOL'));
    await expect(source.search(1, undefined, filter)).rejects.toEqual(withCode('UPSTREAM_PROTOCOL', /Literal size 3000000000/));
  });

  it('is lost with its connection', async () => {
    const { server, source } = await open([
      [
        / UID FETCH /,
        () => {
          server.far.destroy();
          return '';
        },
      ],
    ]);
    await expect(read(source, 5)).rejects.toEqual(withCode('UPSTREAM_LOST'));
  });
});

describe('what is done to a message', () => {
  it.each([
    ['seen', CAPABILITIES, [/ UID STORE 12 \+FLAGS.*\\Seen/]],
    ['delete', CAPABILITIES, [/ UID STORE 12 \+FLAGS.*\\Deleted/, / UID EXPUNGE 12$/]],
    // An EXPUNGE without UIDPLUS would remove what others have marked.
    ['delete', ['IMAP4rev1', 'IDLE'], [/ UID STORE 12 \+FLAGS.*\\Deleted/]],
  ] as const)('%s with %j', async (kind, capabilities, expected) => {
    const { server, source } = await open([], [...capabilities]);
    await source.change(12, { kind });
    const told = server.lines.filter((line) => /STORE|EXPUNGE|MOVE|COPY/.test(line));
    expect(told).toHaveLength(expected.length);
    for (const [index, pattern] of expected.entries()) expect(told[index]).toMatch(pattern);
  });

  it('fails where the server refuses and the message is there', async () => {
    const { source } = await open([
      [/ UID MOVE /, 'TAG NO [TRYCREATE] no such mailbox\r\n'],
      [/ SEARCH /, '* SEARCH 12\r\nTAG OK\r\n'],
    ]);
    await expect(source.change(12, { kind: 'move', mailbox: 'Done' })).rejects.toEqual(withCode('FETCH_CHANGE_FAILED', /moved to Done/));
  });

  it('does not fail where the message is gone', async () => {
    const { source } = await open([
      [/ UID MOVE /, 'TAG NO no such message\r\n'],
      [/ SEARCH /, '* SEARCH\r\nTAG OK\r\n'],
    ]);
    await expect(source.change(12, { kind: 'move', mailbox: 'Done' })).resolves.toBeUndefined();
  });
});

describe('waiting for news', () => {
  const idling = (server: Server): Promise<void> => expect.poll(() => server.lines.at(-1), { interval: 5 }).toMatch(/ IDLE$/);

  it('ends when a message comes, and also when one came before', async () => {
    const { server, source } = await open([[/ SEARCH /, '* SEARCH\r\nTAG OK\r\n']]);
    const waiting = source.waitForNews(minutes(20), never);
    await idling(server);
    server.far.write('* 4 EXISTS\r\n');
    await waiting;
    await source.waitForNews(minutes(20), never);
    await source.search(1, undefined, filter);
    await source.waitForNews(seconds(0.05), never);
    expect(server.lines.filter((line) => line.endsWith(' IDLE')).length).toBe(2);
  });

  it('ends when it is called off, and leaves IDLE', async () => {
    const { server, source } = await open();
    const off = new AbortController();
    const waiting = source.waitForNews(minutes(20), off.signal);
    await idling(server);
    off.abort();
    await waiting;
    expect(server.lines).toContain('DONE');
  });

  it('tells why the server ended the session', async () => {
    const { server, source } = await open();
    const waiting = source.waitForNews(minutes(20), never);
    await idling(server);
    server.far.write('* BYE Session invalidated - AccessTokenExpired\r\n');
    await expect(waiting).rejects.toEqual(withCode('UPSTREAM_AUTH_REFUSED', /AccessTokenExpired/));
  });
});

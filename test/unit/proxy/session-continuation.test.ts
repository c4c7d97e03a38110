/** A session outlives its connection to the upstream where the application cannot tell the difference, and ends with the reason where it could. */
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { minutes, plus, seconds } from '../../../src/core/clock.ts';
import { type Problem, problem } from '../../../src/core/problem.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { type MailboxStage, openMailboxStage } from '../../support/mailbox-stage.ts';
import { ScriptedImapMailbox } from '../../support/scripted-imap-mailbox.ts';

let mailbox: ScriptedImapMailbox;
let stage: MailboxStage;
let clock: FakeClock;
let app: Socket;
let heard = '';
let refusal: Problem | undefined;
/** Sessions are opened no sooner than this. */
let gate: Promise<void> | undefined;

beforeEach(async () => {
  mailbox = new ScriptedImapMailbox();
  clock = new FakeClock();
  refusal = undefined;
  gate = undefined;
  const tokenExpiresAt = () => plus(clock.now(), minutes(60));
  stage = await openMailboxStage({ protocol: 'imap', clock, serve: mailbox.serve, refusal: mayOpen, tokenExpiresAt });
  app = connect(stage.port, '127.0.0.1');
  heard = '';
  app.on('data', (octets: Buffer) => (heard += octets.toString('latin1'))).on('error', () => undefined);
  await say('a LOGIN app local-password\r\n', /^a OK/m);
});
afterEach(async () => {
  app.destroy();
  await stage.close();
});

async function mayOpen(): Promise<Problem | undefined> {
  await gate;
  return refusal;
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await nextTurn();
}

/** @returns What was heard from then on, up to what is expected. */
async function say(text: string, expected: RegExp): Promise<string> {
  heard = '';
  app.write(text);
  await until(() => expected.test(heard));
  return heard;
}

/** Time goes on in small steps up to that: at a leap, deadlines would pass before anybody could answer. */
async function untilInTime(condition: () => boolean): Promise<void> {
  await clock.advance(minutes(58));
  for (let second = 0; second < 120 && !condition(); second += 1) {
    for (let turn = 0; turn < 50 && !condition(); turn += 1) await nextTurn();
    await clock.advance(seconds(1));
  }
  await until(condition);
}

async function idle(): Promise<void> {
  await say('b SELECT INBOX\r\n', /^b OK/m);
  await say('c IDLE\r\n', /^\+ idling\r\n/m);
  heard = '';
}

const sessions = (): number => mailbox.sockets.length;
const continued = () => stage.log.of('mailbox-continued');

describe('an access token that expires', () => {
  it('I05 inside IDLE: the application hears nothing of it, and then the next notice', async () => {
    await idle();
    mailbox.expire();
    await until(() => continued().length === 1);
    expect(mailbox.lines[1]).toEqual(['postern-1 SELECT INBOX', 'postern-2 FETCH 3 (UID)', 'c IDLE']);
    mailbox.arrive();
    await until(() => heard !== '');
    expect(heard).toBe('* 4 EXISTS\r\n');
    expect(await say('DONE\r\n', /^c OK/m)).toBe('c OK IDLE done\r\n');
    expect(await say('d FETCH 4 (UID)\r\n', /^d OK/m)).toBe('* 4 FETCH (UID 14)\r\nd OK FETCH done\r\n');
  });

  it('inside IDLE hour after hour, with new messages each time', async () => {
    await idle();
    for (let hour = 1; hour <= 5; hour += 1) {
      mailbox.arrive();
      await until(() => heard.includes(`* ${3 + hour} EXISTS\r\n`));
      mailbox.expire();
      await until(() => continued().length === hour);
      await clock.advance(minutes(2));
    }
    expect(heard).toBe([4, 5, 6, 7, 8].map((count) => `* ${count} EXISTS\r\n`).join(''));
  });

  it('between commands: the next one is answered, once', async () => {
    await say('b EXAMINE "INBOX"\r\n', /^b OK/m);
    heard = '';
    mailbox.expire();
    await until(() => continued().length === 1);
    expect(await say('c NOOP\r\n', /^c OK/m)).toBe('c OK NOOP\r\n');
    expect(mailbox.lines[0]).toEqual(['b EXAMINE "INBOX"']);
    expect(mailbox.lines[1]).toEqual(['postern-1 EXAMINE "INBOX"', 'postern-2 FETCH 3 (UID)', 'c NOOP']);
  });

  it('before a mailbox is selected', async () => {
    mailbox.expire();
    await until(() => continued().length === 1);
    expect(await say('b NOOP\r\n', /^b OK/m)).toBe('b OK NOOP\r\n');
  });

  it('with a command in flight: the provider says goodbye itself', async () => {
    mailbox.silence = /SEARCH/;
    await say('b SELECT INBOX\r\n', /^b OK/m);
    heard = '';
    app.write('c SEARCH ALL\r\n');
    await until(() => mailbox.lines[0]?.length === 2);
    mailbox.expire();
    await until(() => app.readableEnded);
    expect(heard).toBe('* BYE Session invalidated - AccessTokenExpired\r\n');
    expect(sessions()).toBe(1);
  });

  it('while the application says DONE: it is answered all the same', async () => {
    mailbox.silence = /DONE/;
    await idle();
    app.write('DONE\r\n');
    await until(() => mailbox.lines[0]?.at(-1) === 'DONE');
    mailbox.expire();
    await until(() => heard !== '');
    expect(heard).toBe('c OK IDLE completed\r\n');
    expect(await say('d NOOP\r\n', /^d OK/m)).toBe('d OK NOOP\r\n');
  });

  it('before IDLE is confirmed: the confirmation comes from the new session', async () => {
    mailbox.silence = /^c IDLE/;
    await say('b SELECT INBOX\r\n', /^b OK/m);
    heard = '';
    app.write('c IDLE\r\n');
    await until(() => mailbox.lines[0]?.at(-1) === 'c IDLE');
    mailbox.silence = undefined;
    mailbox.expire();
    await until(() => heard !== '');
    expect(heard).toBe('+ idling\r\n');
  });

  it('in words that come octet by octet', async () => {
    await idle();
    for (const octet of '* BYE Session invalidated - AccessTokenExpired\r\n') {
      mailbox.socket.write(octet);
      await nextTurn();
    }
    await until(() => continued().length === 1);
    expect(heard).toBe('');
  });

  it('what the application says meanwhile is neither lost nor said twice', async () => {
    await idle();
    mailbox.silence = /^postern-1/;
    mailbox.expire();
    await until(() => sessions() === 2 && mailbox.lines[1]?.length === 1);
    app.write('DONE\r\nd NOOP\r\n');
    await nextTurn();
    mailbox.silence = undefined;
    mailbox.socket.write('* 3 EXISTS\r\n* OK [UIDVALIDITY 7] v\r\n* OK [UIDNEXT 14] n\r\npostern-1 OK [READ-WRITE] done\r\n');
    await until(() => /^d OK/m.test(heard));
    expect(heard).toBe('c OK IDLE done\r\nd OK NOOP\r\n');
    expect(mailbox.lines[1]).toEqual(['postern-1 SELECT INBOX', 'postern-2 FETCH 3 (UID)', 'c IDLE', 'DONE', 'd NOOP']);
  });
});

describe('what has changed in the gap', () => {
  it('a new message is told', async () => {
    await idle();
    mailbox.arriveUnseen();
    mailbox.expire();
    await until(() => heard !== '');
    expect(heard).toBe('* 4 EXISTS\r\n');
  });

  it('flags are told where the application knew them, and no others', async () => {
    await say('b SELECT INBOX\r\n', /^b OK/m);
    await say('c FETCH 1:2 (FLAGS)\r\n', /^c OK/m);
    heard = '';
    for (const message of mailbox.messages) message.flags = '\\Seen \\Flagged \\Recent';
    if (mailbox.messages[0] !== undefined) mailbox.messages[0].flags = '\\Recent \\Seen';
    mailbox.expire();
    await until(() => heard !== '');
    expect(heard).toBe('* 2 FETCH (FLAGS (\\Seen \\Flagged \\Recent))\r\n');
    expect(mailbox.lines[1]).toContain('postern-3 FETCH 1:2 (FLAGS)');
  });

  it.each<[string, () => void, RegExp]>([
    ['UIDVALIDITY', () => (mailbox.uidValidity = 8), /UIDVALIDITY of the mailbox has changed/],
    ['a message was expunged', () => mailbox.messages.splice(1, 1), /messages have been removed meanwhile/],
    [
      'a message was expunged and another one arrived',
      () => {
        mailbox.messages.splice(0, 1);
        mailbox.arriveUnseen();
      },
      /messages have been removed meanwhile/,
    ],
    ['the mailbox is read-only', () => (mailbox.isReadOnly = true), /may be written to no longer/],
    ['the mailbox is empty', () => (mailbox.messages = []), /messages have been removed meanwhile/],
  ])('%s: the session ends with the reason', async (_title, change, reason) => {
    await idle();
    change();
    mailbox.expire();
    await until(() => app.readableEnded);
    expect(heard).toMatch(
      /^\* BYE the mail provider ended the session \(Session invalidated - AccessTokenExpired\), .* \(UPSTREAM_LOST\)\r\n$/,
    );
    expect(heard).toMatch(reason);
    await until(() => stage.log.of('mailbox-lost').length > 0);
    expect(stage.log.of('mailbox-lost')).toMatchObject([{ problem: { code: 'UPSTREAM_LOST' } }]);
  });

  it('a message whose UID nobody has heard is not taken for another one', async () => {
    await say('b SELECT INBOX\r\n', /^b OK/m);
    mailbox.arrive();
    await until(() => /4 EXISTS/.test(heard));
    await say('c FETCH 4 (FLAGS)\r\n', /^c OK/m);
    mailbox.socket.destroy();
    await until(() => app.readableEnded);
    expect(heard).toMatch(/could not go on over another connection: a message has arrived whose UID is not known/);
  });

  it('its UID is asked for on the way of the next IDLE, which the application does not see', async () => {
    await say('b SELECT INBOX\r\n', /^b OK/m);
    mailbox.arrive();
    await until(() => /4 EXISTS/.test(heard));
    await say('c FETCH 4 (FLAGS)\r\n', /^c OK/m);
    expect(await say('d IDLE\r\n', /^\+ idling\r\n/m)).toBe('+ idling\r\n');
    heard = '';
    mailbox.expire();
    await until(() => continued().length === 1);
    expect(mailbox.lines[0]?.slice(-2)).toEqual(['postern-probe FETCH 4 (UID)', 'd IDLE']);
    expect(mailbox.lines[1]?.[1]).toBe('postern-2 FETCH 4 (UID)');
    expect(heard).toBe('');
  });

  it('an expunged message that the application was told of is no obstacle', async () => {
    await idle();
    mailbox.messages.splice(0, 1);
    mailbox.socket.write('* 1 EXPUNGE\r\n');
    await until(() => /EXPUNGE/.test(heard));
    mailbox.expire();
    await until(() => continued().length === 1);
    expect(mailbox.lines[1]?.[1]).toBe('postern-2 FETCH 2 (UID)');
  });
});

describe('what stands in the way', () => {
  it('the provider cannot be reached: the session ends with the cause', async () => {
    await idle();
    refusal = problem('UPSTREAM_UNREACHABLE', 'imap.lab.test:993: host name not resolved (ENOTFOUND)');
    mailbox.expire();
    await until(() => app.readableEnded);
    expect(heard).toMatch(/^\* BYE .*host name not resolved \(ENOTFOUND\) \(UPSTREAM_LOST\)\r\n$/);
  });

  it('the provider asks for patience: nobody comes back at once', async () => {
    await idle();
    mailbox.expire('Request is throttled. Suggested Backoff Time: 299883 milliseconds');
    await until(() => app.readableEnded);
    expect(heard).toMatch(/^\* BYE .*Suggested Backoff Time: 299883 milliseconds.*: the provider asks for patience \(UPSTREAM_LOST\)\r\n$/);
    expect(sessions()).toBe(1);
  });

  it('a session that is ended again at once is not continued for ever', async () => {
    await idle();
    mailbox.expire();
    await until(() => continued().length === 1);
    mailbox.expire();
    await until(() => app.readableEnded);
    expect(heard).toMatch(/^\* BYE .*: that was just done \(UPSTREAM_LOST\)\r\n$/);
    expect(sessions()).toBe(2);
  });

  it.each([
    ['b ENABLE CONDSTORE\r\nc SELECT INBOX\r\n', /ENABLE was used/],
    ['b NOOP\r\nc SELECT INBOX (CONDSTORE)\r\n', /selected with parameters/],
    ['b SELECT INBOX\r\nc UID SEARCH RETURN (SAVE) ALL\r\n', /keeps a search result/],
    ['b NOTIFY SET NONE\r\nc NOOP\r\n', /NOTIFY was used/],
  ])('something that another connection would not know: %j', async (commands, reason) => {
    for (const command of commands.split(/(?<=\n)/)) await say(command, new RegExp(`^${command[0]} OK`, 'm'));
    heard = '';
    mailbox.socket.destroy();
    await until(() => app.readableEnded);
    expect(heard).toMatch(/^\* BYE the mail provider ended the session \(the connection was lost\), [^\r]*\r\n$/);
    expect(heard).toMatch(reason);
    expect(sessions()).toBe(1);
  });

  it('where the application could tell the difference, it reads the goodbye of the provider', async () => {
    await say('b ENABLE CONDSTORE\r\n', /^b OK/m);
    heard = '';
    mailbox.expire();
    await until(() => app.readableEnded);
    expect(heard).toBe('* BYE Session invalidated - AccessTokenExpired\r\n');
    expect(sessions()).toBe(1);
  });
});

describe('ahead of the end of a token', () => {
  it('a session in IDLE goes on over a new connection, and the old one is left', async () => {
    await idle();
    await untilInTime(() => continued().length === 1);
    expect(heard).toBe('');
    await until(() => mailbox.sockets[0]?.destroyed === true);
    mailbox.arrive();
    await until(() => heard === '* 4 EXISTS\r\n');
  });

  it('where that fails, the old connection goes on', async () => {
    await idle();
    mailbox.uidValidity = 8;
    await untilInTime(() => sessions() >= 2 && mailbox.sockets[1]?.destroyed === true);
    mailbox.sockets[0]?.write('* 4 EXISTS\r\n');
    await until(() => heard === '* 4 EXISTS\r\n');
    expect(await say('DONE\r\n', /^c OK/m)).toBe('c OK IDLE done\r\n');
  });

  it('not in the middle of a command', async () => {
    mailbox.silence = /SEARCH/;
    await say('b SELECT INBOX\r\n', /^b OK/m);
    app.write('c SEARCH ALL\r\n');
    await until(() => mailbox.lines[0]?.length === 2);
    await clock.advance(minutes(59));
    for (let turn = 0; turn < 50; turn += 1) await nextTurn();
    expect(sessions()).toBe(1);
    heard = '';
    mailbox.socket.write('* SEARCH 1\r\nc OK done\r\n');
    await until(() => /^c OK/m.test(heard));
    await clock.advance(seconds(15));
    await until(() => continued().length === 1);
    expect(heard).toBe('* SEARCH 1\r\nc OK done\r\n');
  });

  it('the old connection is lost while the new one is being opened', async () => {
    await idle();
    const latch = new Latch();
    gate = latch.passed;
    await clock.advance(minutes(59));
    mailbox.expire();
    await nextTurn();
    latch.open();
    await until(() => continued().length === 1);
    for (const socket of mailbox.sockets) socket.write('* 4 EXISTS\r\n');
    await until(() => heard !== '');
    expect(await say('DONE\r\n', /^c OK/m)).toMatch(/^(?:\* 4 EXISTS\r\n)*c OK IDLE done\r\n$/);
    await until(() => mailbox.sockets.filter((socket) => !socket.destroyed).length === 1);
  });
});

describe('an application that leaves', () => {
  it('while its session is being moved leaves nothing behind', async () => {
    await idle();
    const latch = new Latch();
    gate = latch.passed;
    mailbox.expire();
    await nextTurn();
    app.resetAndDestroy();
    await until(() => app.destroyed);
    latch.open();
    await until(() => stage.log.of('mailbox-closed').length + stage.log.of('mailbox-lost').length === 1);
    await until(() => mailbox.sockets.every((socket) => socket.destroyed));
    expect(stage.log.of('mailbox-closed')).toHaveLength(1);
  });
});

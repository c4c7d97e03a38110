/** What of a session's words goes upstream, and when a word of ours may be put in. */
import { describe, expect, it } from 'vitest';
import { ImapConversation } from '../../../src/proxy/imap-conversation.ts';

const say = (conversation: ImapConversation, text: string): string => conversation.fromApp(Buffer.from(text)).toString();

const hear = (conversation: ImapConversation, text: string): string => conversation.fromUpstream(Buffer.from(text)).toString();

it('cuts off a second LOGIN, with literals that come although nobody asked for them, even behind the refusal', () => {
  const conversation = new ImapConversation();
  expect(say(conversation, 'b LOGIN {3}\r\n')).toBe('b LOGIN\r\n');
  conversation.fromUpstream(Buffer.from('b BAD no\r\n'));
  expect(say(conversation, 'app {14}\r\n')).toBe('');
  expect(say(conversation, 'local-pass')).toBe('');
  expect(say(conversation, 'word\r\nmy other password\r\nc NO')).toBe('');
  expect(say(conversation, 'OP\r\n')).toBe('c NOOP\r\n');
});

it('takes what follows a refused literal for a command, as the application does', () => {
  const conversation = new ImapConversation();
  const announced = 'b APPEND nowhere {4000}\r\n';
  expect(say(conversation, announced)).toBe(announced);
  conversation.fromUpstream(Buffer.from('b NO [TRYCREATE] no\r\n'));
  expect(say(conversation, 'c LOGIN app local-password\r\n')).toBe('c LOGIN\r\n');
});

it('knows what is under way', () => {
  const conversation = new ImapConversation();
  expect([conversation.isAtRest, conversation.isBusy]).toEqual([true, false]);
  say(conversation, 'b FETCH 1 BODY[]\r\n');
  expect(conversation.isBusy).toBe(true);
  conversation.fromUpstream(Buffer.from('* 1 FETCH (BODY[] {12}\r\nb OK no\r\n'));
  expect([conversation.isAtRest, conversation.isBusy]).toEqual([false, true]);
  conversation.fromUpstream(Buffer.from('...)\r\nb OK done\r\n'));
  expect([conversation.isAtRest, conversation.isBusy, conversation.hasSaidGoodbye]).toEqual([true, false, false]);
  say(conversation, 'c IDLE\r\n');
  expect(conversation.isBusy).toBe(false);
  expect(hear(conversation, '* BYE Session invalidated - AccessTokenExpired\r\n')).toBe('');
  expect([conversation.hasSaidGoodbye, conversation.keptGoodbye]).toEqual([false, 'Session invalidated - AccessTokenExpired']);
});

it('passes on a goodbye that was asked for, or that comes in the middle of a command', () => {
  for (const command of ['b LOGOUT\r\n', 'b NOOP\r\n', 'b APPEND x {3}\r\n']) {
    const conversation = new ImapConversation();
    say(conversation, command);
    expect(hear(conversation, '* BYE now\r\n')).toBe('* BYE now\r\n');
    expect(conversation.hasSaidGoodbye).toBe(true);
  }
});

it('passes on every octet in order, however it is cut', () => {
  const text = [
    '* 5 EXISTS\r\n',
    '* BY no goodbye\r\n',
    '* BYED neither\r\n',
    '* 1 FETCH (UID 7 BODY[] {25}\r\n',
    '* BYE inside a literal.\r\n',
    ' FLAGS (\\Seen))\r\n',
    '* \r\n\r\n',
    '* OK [CAPABILITY IMAP4rev1] {3}\r\n',
    'abc\r\n',
    `* SEARCH${' 123456789'.repeat(200)}\r\n`,
    'b OK done\r\n',
  ].join('');
  for (let cut = 1; cut < text.length; cut += 1) {
    const conversation = new ImapConversation();
    expect(hear(conversation, text.slice(0, cut)) + hear(conversation, text.slice(cut))).toBe(text);
  }
  const conversation = new ImapConversation();
  expect(
    Array.from(text)
      .map((octet) => hear(conversation, octet))
      .join(''),
  ).toBe(text);
});

describe('a view of the mailbox', () => {
  function viewOf(...told: readonly string[]): ImapConversation {
    const conversation = new ImapConversation();
    say(conversation, 'b SELECT INBOX\r\n');
    hear(conversation, '* 3 EXISTS\r\n* OK [UIDVALIDITY 1] v\r\n* OK [UIDNEXT 9] n\r\nb OK [READ-WRITE] done\r\n');
    say(conversation, 'c NOOP\r\n');
    hear(conversation, `${told.map((line) => `${line}\r\n`).join('')}c OK done\r\n`);
    return conversation;
  }

  it.each([
    ['nothing', [], undefined],
    ['a new message', ['* 4 EXISTS'], undefined],
    ['an expunged one', ['* 2 EXPUNGE'], undefined],
    ['fewer messages', ['* 2 EXISTS'], /taken messages back/],
    ['another UIDVALIDITY', ['* OK [UIDVALIDITY 2] v'], /UIDVALIDITY/],
    ['VANISHED', ['* VANISHED 3'], /QRESYNC/],
    ['MODSEQ', ['* 1 FETCH (FLAGS () MODSEQ (12))'], /CONDSTORE/],
    ['what looks like MODSEQ in a subject', ['* 1 FETCH (ENVELOPE ("d" " MODSEQ (12)\\" MODSEQ (1)" NIL))'], undefined],
    ['the flags of message 16,385', ['* 20000 EXISTS', '* 16385 FETCH (UID 99999 FLAGS ())'], /too many messages/],
  ] as const)('%s', (_title, told, obstacle) => {
    const conversation = viewOf(...told);
    if (obstacle === undefined) expect(conversation.obstacle).toBeUndefined();
    else expect(conversation.obstacle).toMatch(obstacle);
  });

  it('an author who writes UID into a subject does not say which message is the last', () => {
    const conversation = viewOf('* 4 EXISTS', '* 4 FETCH (ENVELOPE ("d" "( UID 4000000000 " NIL) BODY[HEADER.FIELDS (UID 5 )] NIL)');
    expect(say(conversation, 'd IDLE\r\n')).toBe('postern-probe FETCH 4 (UID)\r\nd IDLE\r\n');
    expect(hear(conversation, '* 4 FETCH (UID 9)\r\n* 2 FETCH (FLAGS (x))\r\npostern-probe OK\r\n+ idling\r\n')).toBe(
      '* 2 FETCH (FLAGS (x))\r\n+ idling\r\n',
    );
  });
});

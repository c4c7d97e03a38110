/** What of a session's words goes upstream, and when a word of ours may be put in. */
import { expect, it } from 'vitest';
import { ImapConversation } from '../../../src/proxy/imap-conversation.ts';

const say = (conversation: ImapConversation, text: string): string => conversation.fromApp(Buffer.from(text)).toString();

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
  conversation.fromUpstream(Buffer.from('* BYE Session invalidated - AccessTokenExpired\r\n'));
  expect(conversation.hasSaidGoodbye).toBe(true);
});

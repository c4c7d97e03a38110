/** What is put right for readers, and what is left alone. */
import { describe, expect, it } from 'vitest';
import { ImapConversation } from '../../../src/proxy/imap-conversation.ts';
import { withoutCharset, withSpecialUse } from '../../../src/proxy/imap-quirks.ts';

describe('a search', () => {
  it.each([
    ['a SEARCH CHARSET UTF-8 UNSEEN\r\n', 'a SEARCH UNSEEN\r\n'],
    ['a uid search charset "utf-8" SUBJECT "x"\r\n', 'a uid search SUBJECT "x"\r\n'],
    ['a UID SEARCH RETURN (ALL) CHARSET UTF-8 SINCE 1-Jan-2026\r\n', 'a UID SEARCH RETURN (ALL) SINCE 1-Jan-2026\r\n'],
  ])('in ASCII needs no charset: %j', (line, plain) => {
    expect(withoutCharset(line)).toBe(plain);
  });
  it.each([
    'a SEARCH CHARSET UTF-8 SUBJECT "\u00c3\u00bc"\r\n',
    'a SEARCH CHARSET UTF-8 SUBJECT {3}\r\n',
    'a SEARCH CHARSET UTF-8 SUBJECT {3+}\r\n',
    'a SEARCH CHARSET ISO-8859-1 UNSEEN\r\n',
    'a SEARCH SUBJECT "CHARSET UTF-8 "\r\n',
    'a UID FETCH 1 (BODY[HEADER.FIELDS (CHARSET UTF-8 )])\r\n',
  ])('is left alone: %j', (line) => {
    expect(withoutCharset(line)).toBe(line);
  });
});

describe('a mailbox', () => {
  it.each([
    ['* LIST (\\HasNoChildren) "/" "Sent Items"\r\n', '* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"\r\n'],
    ['* LIST () "/" Drafts\r\n', '* LIST (\\Drafts) "/" Drafts\r\n'],
    ['* list () NIL "deleted items"\r\n', '* list (\\Trash) NIL "deleted items"\r\n'],
    ['* LIST (\\Marked) "\\\\" "Junk Email"\r\n', '* LIST (\\Marked \\Junk) "\\\\" "Junk Email"\r\n'],
  ])('with a well-known name has its use said: %j', (line, special) => {
    expect(withSpecialUse(line)).toBe(special);
  });
  it.each([
    '* LIST (\\HasNoChildren \\Sent) "/" "Sent Items"\r\n',
    '* LIST (\\Noselect) "/" Archive\r\n',
    '* LIST () "/" "Projects/Sent Items"\r\n',
    '* LIST () "/" {10}\r\n',
    '* LSUB () "/" Drafts\r\n',
    '* LIST () "/" Drafts ("CHILDINFO" ("SUBSCRIBED"))\r\n',
  ])('is left alone: %j', (line) => {
    expect(withSpecialUse(line)).toBe(line);
  });
});

describe('a conversation', () => {
  it('does it on the way, wherever the words are cut', () => {
    const asked = 'a UID SEARCH CHARSET UTF-8 UNSEEN\r\nb LIST "" *\r\n';
    const told = '* SEARCH\r\na OK done\r\n* LIST () "/" Drafts\r\n* LIST () "/" INBOX\r\nb OK done\r\n';
    for (let cut = 1; cut < told.length; cut += 1) {
      const conversation = new ImapConversation({ plainSearch: true, specialUse: true });
      const pieces = [asked.slice(0, cut), asked.slice(cut)].map((text) => conversation.fromApp(Buffer.from(text)).toString());
      expect(pieces.join('')).toBe('a UID SEARCH UNSEEN\r\nb LIST "" *\r\n');
      const heard = [told.slice(0, cut), told.slice(cut)].map((text) => conversation.fromUpstream(Buffer.from(text)).toString());
      expect(heard.join('')).toBe(told.replace('() "/" Drafts', '(\\Drafts) "/" Drafts'));
    }
  });

  it('does nothing where it is not asked to', () => {
    const conversation = new ImapConversation();
    const asked = 'a SEARCH CHARSET UTF-8 UNSEEN\r\n';
    expect(conversation.fromApp(Buffer.from(asked)).toString()).toBe(asked);
    const told = '* LIST () "/" Drafts\r\n';
    expect(conversation.fromUpstream(Buffer.from(told)).toString()).toBe(told);
  });
});

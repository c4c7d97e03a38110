import { describe, expect, it } from 'vitest';
import { octets } from '../../../src/core/octets.ts';
import { mailCommand, rcptCommand } from '../../../src/upstream/commands.ts';
import { ehloName, type Extensions, parseExtensions } from '../../../src/upstream/ehlo.ts';
import { PLAIN } from './lab.ts';

const offering = (...lines: string[]): Extensions => parseExtensions({ code: 250, text: ['mail.test Hello', ...lines] });
const ALL = offering('SIZE 157286400', 'PIPELINING', 'DSN', '8BITMIME', 'SMTPUTF8', 'REQUIRETLS');
const NONE = offering();

describe('the reply to EHLO', () => {
  it('is read in any case, with both forms of AUTH', () => {
    const offered = offering('Pipelining', 'size', 'auth Login', 'AUTH=xoauth2');
    expect([...offered.mechanisms]).toEqual(['LOGIN', 'XOAUTH2']);
    expect(offered).toMatchObject({ isPipelining: true, isSize: true, isDsn: false, isStarttls: false });
  });

  it('has a greeting in its first line, not an extension', () => {
    expect(parseExtensions({ code: 250, text: ['STARTTLS'] }).isStarttls).toBe(false);
  });
});

describe('MAIL', () => {
  it('has those parameters that are offered', () => {
    const parameters = {
      ...PLAIN,
      size: octets(1234),
      body: '8BITMIME',
      isSmtpUtf8: true,
      isRequireTls: true,
      ret: 'HDRS',
      envid: 'q+2B1',
    } as const;
    expect(mailCommand('a@b.test', parameters, ALL)).toEqual({
      line: 'MAIL FROM:<a@b.test> SIZE=1234 BODY=8BITMIME SMTPUTF8 REQUIRETLS RET=HDRS ENVID=q+2B1',
    });
    expect(mailCommand('a@b.test', { ...parameters, isRequireTls: false }, NONE)).toEqual({ line: 'MAIL FROM:<a@b.test>' });
  });

  it('may have the null reverse-path', () => {
    expect(mailCommand('', PLAIN, ALL)).toEqual({ line: 'MAIL FROM:<>' });
  });

  it('asks for SMTPUTF8 where the address needs it, and is not sent where that is not offered', () => {
    expect(mailCommand('jörg@b.test', PLAIN, ALL)).toEqual({ line: 'MAIL FROM:<jörg@b.test> SMTPUTF8' });
    expect(mailCommand('jörg@b.test', PLAIN, NONE)).toMatchObject({ refusal: { code: 553, enhancedCode: '5.6.7' } });
  });

  it('is not sent where REQUIRETLS cannot be promised', () => {
    expect(mailCommand('a@b.test', { ...PLAIN, isRequireTls: true }, offering('DSN'))).toMatchObject({
      refusal: { code: 550, enhancedCode: '5.7.30' },
    });
  });

  it('C01 takes no second command or parameter from ENVID', () => {
    expect(mailCommand('a@b.test', { ...PLAIN, envid: 'x RET=FULL' }, ALL)).toMatchObject({ refusal: { code: 501 } });
    expect(mailCommand('a@b.test', { ...PLAIN, envid: 'x\r\nRCPT TO:<evil@x>' }, ALL)).toMatchObject({ refusal: { code: 501 } });
  });
});

describe('RCPT', () => {
  it('has NOTIFY and ORCPT where DSN is offered', () => {
    const forwardPath = { address: 'to@x.test', notify: ['SUCCESS', 'FAILURE'], orcpt: 'rfc822;to@x.test' } as const;
    expect(rcptCommand(forwardPath, false, ALL)).toEqual({ line: 'RCPT TO:<to@x.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;to@x.test' });
    expect(rcptCommand(forwardPath, false, NONE)).toEqual({ line: 'RCPT TO:<to@x.test>' });
  });

  it('is not sent with a non-ASCII address unless MAIL asked for SMTPUTF8', () => {
    expect(rcptCommand({ address: 'ü@x.test' }, true, ALL)).toEqual({ line: 'RCPT TO:<ü@x.test>' });
    expect(rcptCommand({ address: 'ü@x.test' }, false, ALL)).toMatchObject({ refusal: { code: 553, enhancedCode: '5.6.7' } });
  });

  it('takes quoted local parts as they are', () => {
    expect(rcptCommand({ address: '"a b \\" c"@x.test' }, false, ALL)).toEqual({ line: 'RCPT TO:<"a b \\" c"@x.test>' });
  });

  it.each(['a>@x', 'a<b@x', 'a\r\n@x', 'a\0@x', 'a\x7f@x', 'a\u0085@x', 'a\u200b@x', 'a\ufeff@x', 'a b@x', '"a b@x', 'a@x SIZE=1', ''])(
    'refuses %j',
    (address) => {
      expect(rcptCommand({ address }, true, ALL)).toMatchObject({ refusal: { code: 501, enhancedCode: '5.1.3' } });
    },
  );
});

describe('the name said with EHLO', () => {
  it.each([
    ['Relay.Example.COM', 'relay.example.com'],
    ['a1b2c3d4', 'a1b2c3d4'],
    ['host name', 'localhost'],
    ['x\r\nMAIL', 'localhost'],
    ['-x', 'localhost'],
    ['', 'localhost'],
    ['ü', 'localhost'],
    ['a_b', 'localhost'],
    [`${'a'.repeat(64)}.test`, 'localhost'],
  ])('for %j is %s', (hostname, expected) => {
    expect(ehloName(hostname)).toBe(expected);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { findServerMechanism, type SaslStep, startSaslExchange } from '../../../src/sasl/server.ts';

const base64 = (text: string): string => Buffer.from(text).toString('base64');

/** Give lines to an exchange until it is decided. */
function play(first: SaslStep, ...lines: string[]): SaslStep {
  return lines.reduce((step, line) => {
    if (step.kind !== 'challenge') throw new Error(`no challenge but ${step.kind}`);
    return step.answer(line);
  }, first);
}

const erp = { kind: 'credentials', username: 'erp', password: 'secret' };

test('mechanism names are case-insensitive, and only two are offered', () => {
  expect(findServerMechanism('login')).toBe('LOGIN');
  expect(findServerMechanism('Plain')).toBe('PLAIN');
  for (const name of ['', 'CRAM-MD5', 'XOAUTH2', 'PLAIN ', 'constructor']) expect(findServerMechanism(name)).toBeUndefined();
});

describe('PLAIN', () => {
  test.each([
    ['on the line', base64('\0erp\0secret')],
    ['with itself as authorization identity', base64('erp\0erp\0secret')],
    ['without padding', base64('\0erp\0secret').replace(/=+$/, '')],
  ])('%s', (_, initialResponse) => {
    expect(startSaslExchange('PLAIN', initialResponse)).toEqual(erp);
  });

  test('on a line of its own, after an empty challenge', () => {
    const step = startSaslExchange('PLAIN');
    expect(step).toMatchObject({ kind: 'challenge', challenge: '' });
    expect(play(step, base64('\0erp\0secret'))).toEqual(erp);
  });

  test.each([
    '=',
    '',
    '!',
    'A',
    'AAAAA',
    'AA==AA==',
    base64('\0'),
    base64('erp'),
    base64('\0erp'),
    base64('\0\0\0\0'),
    base64('a\0b\0c\0d'),
    'A'.repeat(12_289),
  ])('malformed: %j', (response) => {
    expect(startSaslExchange('PLAIN', response).kind).toBe('malformed');
  });

  test.each([
    base64('bob\0erp\0secret'),
    base64('\0\0secret'),
    base64('\0erp\0'),
    base64('\0e\x01rp\0secret'),
    base64('\0e\u0085rp\0secret'),
    base64('\0e\r\nrp\0secret'),
  ])('never acceptable: %s', (response) => {
    expect(startSaslExchange('PLAIN', response).kind).toBe('unacceptable');
  });
});

describe('LOGIN', () => {
  test('asks with exactly the prompts that Xerox devices compare', () => {
    const first = startSaslExchange('LOGIN');
    expect(first).toMatchObject({ kind: 'challenge', challenge: 'VXNlcm5hbWU6' });
    const second = play(first, base64('erp'));
    expect(second).toMatchObject({ kind: 'challenge', challenge: 'UGFzc3dvcmQ6' });
    expect(play(second, base64('secret'))).toEqual(erp);
  });

  test('with the user name on the line', () => {
    const step = startSaslExchange('LOGIN', base64('erp'));
    expect(step).toMatchObject({ kind: 'challenge', challenge: 'UGFzc3dvcmQ6' });
    expect(play(step, base64('secret'))).toEqual(erp);
  });

  test('`=` on the line stands for none yet', () => {
    expect(startSaslExchange('LOGIN', '=')).toMatchObject({ challenge: 'VXNlcm5hbWU6' });
  });

  test('the client may give up at each step', () => {
    expect(play(startSaslExchange('LOGIN'), '*').kind).toBe('cancelled');
    expect(play(startSaslExchange('LOGIN'), base64('erp'), '*').kind).toBe('cancelled');
    expect(play(startSaslExchange('PLAIN'), '*').kind).toBe('cancelled');
  });

  test('an empty user name or password is never acceptable', () => {
    expect(play(startSaslExchange('LOGIN'), '', base64('secret')).kind).toBe('unacceptable');
    expect(play(startSaslExchange('LOGIN'), base64('erp'), '').kind).toBe('unacceptable');
  });
});

test('A10 a user name and password of any characters come through unaltered, by either mechanism', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1 })
    .filter((text) => !/[\u0000-\u001f\u007f-\u009f]/.test(text) && text.isWellFormed());
  const password = fc.string({ unit: 'binary', minLength: 1 }).filter((text) => !text.includes('\0') && text.isWellFormed());
  fc.assert(
    fc.property(name, password, (username, secret) => {
      const expected = { kind: 'credentials', username, password: secret };
      expect(startSaslExchange('PLAIN', base64(`\0${username}\0${secret}`))).toEqual(expected);
      expect(play(startSaslExchange('LOGIN'), base64(username), base64(secret))).toEqual(expected);
    }),
  );
});

test('no octets a client can send make a decoder throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (octets) => {
      const line = Buffer.from(octets).toString('base64');
      expect(['credentials', 'malformed', 'unacceptable']).toContain(startSaslExchange('PLAIN', line).kind);
      expect(play(startSaslExchange('LOGIN'), line).kind).toBe('challenge');
    }),
  );
});

test('A10 Latin-1 from an old device is read as such, and a password that differs in normalisation differs', () => {
  const latin = Buffer.from('\0erp\0p\u00e4ss', 'latin1').toString('base64');
  expect(startSaslExchange('PLAIN', latin)).toMatchObject({ password: 'päss' });
  expect(startSaslExchange('PLAIN', base64('\0erp\0pa\u0308ss'))).toMatchObject({ password: 'pa\u0308ss' });
  expect(startSaslExchange('PLAIN', base64('\0erp\0\ufeffx'))).toMatchObject({ password: '\ufeffx' });
});

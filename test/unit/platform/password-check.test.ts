import { expect, test } from 'vitest';
import { minutes } from '../../../src/core/clock.ts';
import { PasswordCheck } from '../../../src/platform/password-check.ts';
import { NOBODY, PasswordCheckBusyError } from '../../../src/platform/password.ts';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { FakeClock } from '../../support/fake-clock.ts';

/** Verifies `password` for each hash and keeps what it was asked. */
function checkWith(password: string) {
  const asked: { password: string; hash: string }[] = [];
  const clock = new FakeClock();
  const check = new PasswordCheck({ clock, random: systemRandom }, async (given, hash) => {
    asked.push({ password: given, hash });
    return given === password;
  });
  return { asked, clock, check };
}

const hash = { kind: 'hash', hash: 'H' } as const;

test.each([
  [' sp:ace"\\ü ', ' sp:ace"\\ü ', 'right'],
  [' sp:ace"\\ü ', 'sp:ace"\\ü', 'wrong'],
  ['p\u00e4ss', 'pa\u0308ss', 'wrong'],
  ['x'.repeat(4096), 'x'.repeat(4096), 'right'],
  ['x'.repeat(4096), 'x'.repeat(4095), 'wrong'],
  ['secret', 'Secret', 'wrong'],
])('plain passwords match exactly: %j and %j', async (configured, given, verdict) => {
  const { check } = checkWith('');
  expect(await check.check({ kind: 'password', password: configured }, given, false)).toBe(verdict);
});

test('a success with a hash is remembered for five minutes, a failure never', async () => {
  const { check, asked, clock } = checkWith('secret');
  for (const given of ['wrong', 'wrong', 'secret', 'secret', 'secret']) await check.check(hash, given, true);
  expect(asked.map(({ password }) => password)).toEqual(['wrong', 'wrong', 'secret']);
  await clock.advance(minutes(5));
  expect(await check.check(hash, 'secret', true)).toBe('right');
  expect(asked).toHaveLength(4);
});

test('what is remembered holds for that hash alone', async () => {
  const { check, asked } = checkWith('secret');
  await check.check(hash, 'secret', true);
  await check.check({ kind: 'hash', hash: 'other' }, 'secret', true);
  expect(asked.map((question) => question.hash)).toEqual(['H', 'other']);
});

test('A08 an unknown user name costs a derivation where a known one may, and is wrong even if it succeeds', async () => {
  const { check, asked } = checkWith('secret');
  expect(await check.check(undefined, 'secret', true)).toBe('wrong');
  expect(asked).toEqual([{ password: 'secret', hash: NOBODY }]);
  expect(await check.check(undefined, 'secret', false)).toBe('wrong');
  expect(await check.check(undefined, '', false)).toBe('wrong');
  expect(asked).toHaveLength(1);
});

test('too many checks at once are busy, not wrong; other failures come through', async () => {
  const failing = (error: Error) =>
    new PasswordCheck({ clock: new FakeClock(), random: systemRandom }, async () => {
      throw error;
    });
  expect(await failing(new PasswordCheckBusyError()).check(hash, 'x', true)).toBe('busy');
  expect(await failing(new PasswordCheckBusyError()).check(undefined, 'x', true)).toBe('busy');
  await expect(failing(new Error('no memory')).check(hash, 'x', true)).rejects.toThrow('no memory');
});

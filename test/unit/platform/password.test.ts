import { scryptSync } from 'node:crypto';
import { expect, test } from 'vitest';
import { hashPassword, isPasswordHash, NOBODY, PasswordCheckBusyError, verifyPassword } from '../../../src/platform/password.ts';

const unpadded = (octets: Uint8Array): string => Buffer.from(octets).toString('base64').replace(/=+$/, '');

/** A hash that is cheap to check. */
function cheapHash(password: string): string {
  const salt = Buffer.alloc(16, 1);
  return `$scrypt$ln=10,r=8,p=1$${unpadded(salt)}$${unpadded(scryptSync(password, salt, 32, { N: 1024, r: 8, p: 1 }))}`;
}

test('A10 a hash verifies its password and no other, and two hashes of one password differ', async () => {
  const hash = await hashPassword(' pä ss ');
  expect(hash).toMatch(/^\$scrypt\$ln=15,r=8,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
  expect(await verifyPassword(' pä ss ', hash)).toBe(true);
  expect(await verifyPassword('pä ss', hash)).toBe(false);
  expect(await hashPassword(' pä ss ')).not.toBe(hash);
});

test('agrees with scrypt computed elsewhere', async () => {
  expect(await verifyPassword('secret', cheapHash('secret'))).toBe(true);
  expect(await verifyPassword('Secret', cheapHash('secret'))).toBe(false);
});

test('the hash of nobody is well formed and has no password', async () => {
  expect(isPasswordHash(NOBODY)).toBe(true);
  expect(await verifyPassword('', NOBODY)).toBe(false);
});

test.each([
  '',
  'plain',
  '$scrypt$ln=31,r=8,p=1$AAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA',
  '$scrypt$ln=15,r=8,p=1$short$AAAAAAAAAAAAAAAAAAAAAA',
  '$argon2id$v=19$m=65536,t=3,p=4$AAAA$AAAA',
  `${NOBODY}$`,
])('not a hash, and no password fits: %j', async (text) => {
  expect(isPasswordHash(text)).toBe(false);
  expect(await verifyPassword('x', text)).toBe(false);
});

test('a flood of checks is turned away beyond a bounded queue, and those that wait are served', async () => {
  const hash = cheapHash('secret');
  const outcomes = await Promise.allSettled(Array.from({ length: 100 }, () => verifyPassword('secret', hash)));
  const refused = outcomes.filter((outcome) => outcome.status === 'rejected');
  expect(refused).toHaveLength(100 - 2 - 64);
  expect(refused.every(({ reason }) => reason instanceof PasswordCheckBusyError)).toBe(true);
  expect(await verifyPassword('secret', hash)).toBe(true);
});

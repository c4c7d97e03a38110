import { expect, test } from 'vitest';
import { parseIpAddress } from '../../../src/core/ip-network.ts';
import { ClientDirectory } from '../../../src/policy/client-directory.ts';
import { testClient } from '../../support/accounts.ts';

const directory = new ClientDirectory([
  testClient({ name: 'site', networks: ['10.0.0.0/8'] }),
  testClient({ name: 'floor', networks: ['10.1.0.0/16', '2001:db8::/32'] }),
  testClient({ name: 'device', networks: ['10.1.2.3'] }),
  testClient({ name: 'login', login: { username: 'Erp', secret: { kind: 'password', password: 'x' } } }),
]);

const nameFor = (address: string): string | undefined => {
  const peer = parseIpAddress(address);
  return peer === undefined ? undefined : directory.findByNetwork(peer)?.name;
};

test.each([
  ['10.1.2.3', 'device'],
  ['::ffff:10.1.2.3', 'device'],
  ['10.1.2.4', 'floor'],
  ['10.2.0.1', 'site'],
  ['2001:db8::5%eth0', 'floor'],
  ['192.0.2.1', undefined],
])('the narrowest network wins: %s is %s', (address, expected) => {
  expect(nameFor(address)).toBe(expected);
});

test('user names are exact', () => {
  expect(directory.findByUsername('Erp')?.name).toBe('login');
  expect(directory.findByUsername('erp')?.name).toBe('site');
  expect(directory.findByUsername('Erp ')).toBeUndefined();
  expect(directory.findByUsername('__proto__')).toBeUndefined();
});

test('of two clients with one user name the first wins', () => {
  const twice = new ClientDirectory([testClient({ name: 'first' }), testClient({ name: 'second' })]);
  expect(twice.findByUsername('erp')?.name).toBe('first');
});

test('a network that is none is a defect of the configuration', () => {
  expect(() => new ClientDirectory([testClient({ networks: ['10.0.0.0/99'] })])).toThrow(/client erp: not a network: 10\.0\.0\.0\/99/);
});

test('knows whether a login may cost a derivation', () => {
  const hashed = testClient({ login: { username: 'erp', secret: { kind: 'hash', hash: '$scrypt$' } } });
  expect(directory.hasHashes).toBe(false);
  expect(new ClientDirectory([hashed]).hasHashes).toBe(true);
});

import { describe, expect, test } from 'vitest';
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
])('N11 the narrowest network wins: %s is %s', (address, expected) => {
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

describe('a changed configuration', () => {
  const erp = testClient({ senders: ['a@postern.test'] });

  test('is what is found from now on, and what clients have done still counts', () => {
    const changing = new ClientDirectory([erp, testClient({ name: 'site', networks: ['10.0.0.0/8'] })]);
    const { logins, rate } = changing;
    changing.update([testClient({ senders: ['b@postern.test'] })]);
    expect(changing.findByUsername('erp')?.senders).toEqual(['b@postern.test']);
    const peer = parseIpAddress('10.0.0.1');
    expect(peer === undefined ? 'no address' : changing.findByNetwork(peer)).toBeUndefined();
    expect([changing.logins, changing.rate]).toEqual([logins, rate]);
  });

  test('that cannot be used changes nothing', () => {
    const changing = new ClientDirectory([erp]);
    expect(() => changing.update([testClient({ name: 'other', networks: ['nowhere'] })])).toThrow(RangeError);
    expect(changing.findByUsername('erp')).toBe(erp);
  });

  test.each<[string, Parameters<typeof testClient>[0], boolean]>([
    ['other senders', { senders: ['c@postern.test'] }, true],
    ['another password', { login: { username: 'erp', secret: { kind: 'password', password: 'new' } } }, false],
    ['a hash instead of the password', { login: { username: 'erp', secret: { kind: 'hash', hash: 'local-password' } } }, false],
    ['another user name', { login: { username: 'sap', secret: { kind: 'password', password: 'local-password' } } }, false],
    ['another client with that login', { name: 'sap' }, false],
  ])('with %s: the login is still good: %#', (_, changes, isGood) => {
    const changing = new ClientDirectory([erp]);
    const now = testClient(changes);
    changing.update([now]);
    expect(changing.renewed(erp)).toBe(isGood ? now : undefined);
  });

  test('without the client ends its login', () => {
    const changing = new ClientDirectory([erp]);
    changing.update([]);
    expect(changing.renewed(erp)).toBeUndefined();
  });
});

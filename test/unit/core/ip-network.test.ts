import { describe, expect, test } from 'vitest';
import { contains, isLoopback, parseIpAddress, parseIpNetwork } from '../../../src/core/ip-network.ts';

const isIn = (address: string, network: string): boolean => {
  const [one, other] = [parseIpAddress(address), parseIpNetwork(network)];
  if (one === undefined || other === undefined) throw new Error(`${address} or ${network} does not parse`);
  return contains(other, one);
};

describe('N11 one peer gets one verdict however its address is written', () => {
  test.each([
    ['127.0.0.1', '127.0.0.0/8', true],
    ['::ffff:127.0.0.1', '127.0.0.0/8', true],
    ['::ffff:7f00:1', '127.0.0.0/8', true],
    ['127.0.0.1', '::ffff:127.0.0.0/104', true],
    ['10.1.2.3', '10.1.0.0/16', true],
    ['10.2.2.3', '10.1.0.0/16', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.4', '10.1.2.3/32', false],
    ['203.0.113.9', '0.0.0.0/0', true],
    ['2001:db8::1', '0.0.0.0/0', false],
    ['203.0.113.9', '::/0', false],
    ['2001:db8::1', '2001:db8::/32', true],
    ['2001:db9::1', '2001:db8::/32', false],
    ['fe80::1%eth0', 'fe80::/10', true],
    ['::1', '::1', true],
    ['1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7:8/128', true],
    ['10.255.255.255', '10.1.0.5/8', true],
  ])('%s in %s: %s', (address, network, expected) => {
    expect(isIn(address, network)).toBe(expected);
  });
});

test.each(['127.1', '0x7f.0.0.1', '127.0.0.1.', '', 'localhost', '1.2.3.256', '::1::', ':1'])('N11 %j is no address', (text) => {
  expect(parseIpAddress(text)).toBeUndefined();
});

test.each(['10.0.0.0/33', '::/129', '10.0.0.0/', '10.0.0.0/-1', '/8', '10.0.0.0/8/8', '::ffff:10.0.0.0/95', 'all'])(
  '%j is no network',
  (text) => {
    expect(parseIpNetwork(text)).toBeUndefined();
  },
);

test.each([
  ['127.0.0.1', true],
  ['127.255.0.1', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['::2', false],
  ['128.0.0.1', false],
  ['::127.0.0.1', false],
])('%s is loopback: %s', (text, expected) => {
  const address = parseIpAddress(text);
  expect(address !== undefined && isLoopback(address)).toBe(expected);
});

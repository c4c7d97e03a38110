/**
 * IP addresses and CIDR blocks as numbers, so that one peer always gets one verdict however its address is written.
 *
 * Pure. IPv4-mapped IPv6 (`::ffff:10.0.0.1`, what a dual-stack socket reports) is the IPv4 address it holds; a zone id (`fe80::1%eth0`) is
 * dropped, since it names an interface of ours and not the peer. Short forms such as `127.1` are not addresses here (RFC 4291 §2.2, RFC 6943
 * §3.1.1: readers disagree on them).
 *
 * @packageDocumentation
 */
import { isIPv4, isIPv6 } from 'node:net';

/** An address of either family. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bits: bigint;
}

/** A CIDR block. */
export interface IpNetwork {
  readonly family: 4 | 6;
  /** First address of the block. */
  readonly bits: bigint;
  readonly prefixLength: number;
}

const widthOf = (family: 4 | 6): number => (family === 4 ? 32 : 128);

/** Undefined where `text` is not an address. */
export function parseIpAddress(text: string): IpAddress | undefined {
  const zone = text.indexOf('%');
  const bare = zone === -1 ? text : text.slice(0, zone);
  if (isIPv4(bare)) return { family: 4, bits: bitsOfIpv4(bare) };
  return isIPv6(bare) ? unmapped(bitsOfIpv6(bare)) : undefined;
}

/** Undefined where `text` is neither `address/prefix` nor a single address. */
export function parseIpNetwork(text: string): IpNetwork | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const written = match?.[1] ?? '';
  const address = parseIpAddress(written);
  if (address === undefined) return undefined;
  const isMapped = address.family === 4 && written.includes(':');
  const prefixLength = match?.[2] === undefined ? widthOf(address.family) : Number(match[2]) - (isMapped ? 96 : 0);
  if (prefixLength < 0 || prefixLength > widthOf(address.family)) return undefined;
  return networkOf(address, prefixLength);
}

/** The block of `prefixLength` that `address` lies in. */
export function networkOf({ family, bits }: IpAddress, prefixLength: number): IpNetwork {
  const hostBits = BigInt(widthOf(family) - prefixLength);
  return { family, bits: (bits >> hostBits) << hostBits, prefixLength };
}

/** True where `address` lies in `network`. */
export function contains(network: IpNetwork, address: IpAddress): boolean {
  return network.family === address.family && networkOf(address, network.prefixLength).bits === network.bits;
}

const LOOPBACK_4 = { family: 4, bits: 127n << 24n, prefixLength: 8 } as const;

/** 127.0.0.0/8 or ::1 (RFC 1122 §3.2.1.3, RFC 4291 §2.5.3). */
export function isLoopback(address: IpAddress): boolean {
  return contains(LOOPBACK_4, address) || (address.family === 6 && address.bits === 1n);
}

function bitsOfIpv4(text: string): bigint {
  return BigInt(text.split('.').reduce((bits, octet) => bits * 256 + Number(octet), 0));
}

/** @param text - A valid IPv6 address without zone id. */
function bitsOfIpv6(text: string): bigint {
  const [head = '', tail] = text.split('::');
  const front = groupsOf(head);
  const back = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => 0n);
  return [...front, ...zeros, ...back].reduce((bits, group) => (bits << 16n) | group, 0n);
}

function groupsOf(text: string): bigint[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (!group.includes('.')) return [BigInt(`0x${group}`)];
    const bits = bitsOfIpv4(group);
    return [bits >> 16n, bits & 0xffffn];
  });
}

const MAPPED_PREFIX = 0xffffn;

function unmapped(bits: bigint): IpAddress {
  return bits >> 32n === MAPPED_PREFIX ? { family: 4, bits: bits & 0xffff_ffffn } : { family: 6, bits };
}

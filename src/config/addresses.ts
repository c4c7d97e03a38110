/**
 * Which hosts and networks belong to this machine only, and what is wrong with a CIDR block.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type IpNetwork, isLoopback, parseIpAddress, parseIpNetwork } from '../core/ip-network.ts';

/** True for `localhost`, 127.0.0.0/8 and `::1`, also in the brackets of a URL. Other names count as remote: they may resolve to anything. */
export function isLoopbackHost(host: string): boolean {
  const bare = host.replace(/^\[(.*)\]$/, '$1').toLowerCase();
  const address = parseIpAddress(bare);
  return address === undefined ? bare === 'localhost' : isLoopback(address);
}

/** True where the block holds addresses of this machine only. */
export function isLoopbackNetwork(network: IpNetwork): boolean {
  return isLoopback(network) && (network.family === 4 ? network.prefixLength >= 8 : network.prefixLength === 128);
}

/** What is wrong with a CIDR block, and the one probably meant. */
export interface NetworkFault {
  readonly message: string;
  readonly suggestion?: string;
}

/** Undefined where `text` is a good block. */
export function networkFault(text: string): NetworkFault | undefined {
  const network = parseIpNetwork(text);
  if (network === undefined) return { message: 'is not an IP network: write 10.1.0.0/16, fd00::/8 or a single address' };
  const address = parseIpAddress(text.split('/', 1)[0] ?? '');
  if (address === undefined || address.bits === network.bits) return undefined;
  // Somebody meant either the network or the host; guessing wrongly would open the relay to too many.
  return { message: 'names a host and a network at once', suggestion: `${firstAddress(network)}/${network.prefixLength}` };
}

/** The block's first address as text. */
function firstAddress({ family, bits }: IpNetwork): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (bits >> shift) & 255n).join('.');
  const groups = Array.from({ length: 8 }, (_, index) => ((bits >> BigInt(112 - 16 * index)) & 0xffffn).toString(16)).join(':');
  return groups.replace(/(:0)+$/, '::');
}

/** True where two sockets could not be opened both: same host, or one of them on all addresses. */
export function isSameSocket(one: string, other: string): boolean {
  const isAny = (host: string): boolean => host === '0.0.0.0' || host === '::';
  const plain = (host: string): string => (host.toLowerCase() === 'localhost' ? '127.0.0.1' : host.toLowerCase());
  return isAny(one) || isAny(other) || plain(one) === plain(other);
}

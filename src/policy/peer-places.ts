/**
 * How many connections a listener holds: altogether, and from one peer, so that nobody takes every place.
 *
 * Pure. This machine counts only altogether: beside a relay on loopback, all applications are one peer. IPv6 peers count by their /64, since one machine
 * owns all of it. Who is inside is not affected by who is turned away.
 *
 * @packageDocumentation
 */
import { type IpAddress, isLoopback, networkOf, parseIpAddress } from '../core/ip-network.ts';
import { type Problem, problem } from '../core/problem.ts';
import { SessionCount } from './session-count.ts';

/** Numbers of connections. */
export interface PlaceLimits {
  readonly all: number;
  readonly ofOnePeer: number;
}

/** A place, or why there is none. */
export type PlaceOutcome =
  /** `release` is harmless when repeated. */
  | { readonly kind: 'taken'; readonly release: () => void }
  /** `isNews`: the first refusal since there was room, so that a flood of them is one line in the log. */
  | { readonly kind: 'full' | 'too-many-of-one'; readonly isNews: boolean };

/** Why there is no place. */
export type PlaceRefusal = Exclude<PlaceOutcome, { readonly kind: 'taken' }>;

/** What the peer is told, without an end, and what an operator is. */
export function describeRefusal({ kind }: PlaceRefusal): { readonly text: string; readonly problem: Problem } {
  const text = kind === 'full' ? 'Too many sessions' : 'Too many sessions from your address';
  const remedy = 'Let applications close their connections; if they do, look at what this peer is.';
  const cause = `${text.toLowerCase()}: more are turned away`;
  return { text: `${text}; try again in a moment`, problem: problem('CLIENT_THROTTLED', cause, { remedy }) };
}

const ALL = 'all';
/** A socket that is closed already has no address. */
const NOBODY: IpAddress = { family: 6, bits: 0n };

export class PeerPlaces {
  readonly #limits: PlaceLimits;
  readonly #count = new SessionCount();
  readonly #told = new Set<string>();

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  /** @param address - As the socket has it. */
  take(address: string | undefined): PlaceOutcome {
    const peer = parseIpAddress(address ?? '') ?? NOBODY;
    const leave = this.#count.enter(ALL, this.#limits.all);
    if (leave === undefined) return { kind: 'full', isNews: this.#isNews(ALL) };
    if (isLoopback(peer)) return { kind: 'taken', release: () => this.#release(ALL, leave) };
    const key = keyOf(peer);
    const leavePeer = this.#count.enter(key, this.#limits.ofOnePeer);
    if (leavePeer === undefined) {
      leave();
      return { kind: 'too-many-of-one', isNews: this.#isNews(key) };
    }
    const release = (): void => {
      this.#release(ALL, leave);
      this.#release(key, leavePeer);
    };
    return { kind: 'taken', release };
  }

  #release(key: string, leave: () => void): void {
    leave();
    this.#told.delete(key);
  }

  #isNews(key: string): boolean {
    const isNews = !this.#told.has(key);
    this.#told.add(key);
    return isNews;
  }
}

function keyOf(peer: IpAddress): string {
  const origin = peer.family === 6 ? networkOf(peer, 64).bits : peer.bits;
  return `${peer.family} ${origin.toString(16)}`;
}

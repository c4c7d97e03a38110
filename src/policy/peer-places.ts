/**
 * How many connections a listener holds: altogether, and from one peer, so that nobody takes every place.
 *
 * Pure. This machine counts only altogether: beside a relay on loopback, all applications are one peer. IPv6 peers count by their /64, since one machine
 * owns all of it. Who is inside is not affected by who is turned away.
 *
 * @packageDocumentation
 */
import { type IpAddress, isLoopback, networkOf } from '../core/ip-network.ts';
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

const ALL = 'all';

export class PeerPlaces {
  readonly #limits: PlaceLimits;
  readonly #count = new SessionCount();
  readonly #told = new Set<string>();

  constructor(limits: PlaceLimits) {
    this.#limits = limits;
  }

  take(peer: IpAddress): PlaceOutcome {
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

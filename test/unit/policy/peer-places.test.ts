import { describe, expect, it } from 'vitest';
import { PeerPlaces, type PlaceOutcome } from '../../../src/policy/peer-places.ts';

const release = (outcome: PlaceOutcome): void => {
  if (outcome.kind !== 'taken') throw new Error(outcome.kind);
  outcome.release();
};

describe('R02 places', () => {
  it('are as many as there are; who is inside stays, and who leaves makes room for one', () => {
    const places = new PeerPlaces({ all: 3, ofOnePeer: 2 });
    const taken = ['10.0.0.1', '10.0.0.2', '10.0.0.3'].map((peer) => places.take(peer));
    expect(taken.map(({ kind }) => kind)).toEqual(['taken', 'taken', 'taken']);
    expect(places.take('10.0.0.4')).toEqual({ kind: 'full', isNews: true });
    expect(places.take('10.0.0.5')).toEqual({ kind: 'full', isNews: false });
    release(taken[0]!);
    release(taken[0]!);
    expect(places.take('10.0.0.4').kind).toBe('taken');
    expect(places.take('10.0.0.4')).toEqual({ kind: 'full', isNews: true });
  });

  it('are not all for one peer', () => {
    const places = new PeerPlaces({ all: 10, ofOnePeer: 2 });
    const [first] = [places.take('10.0.0.1'), places.take('::ffff:10.0.0.1')];
    expect(places.take('10.0.0.1')).toEqual({ kind: 'too-many-of-one', isNews: true });
    expect(places.take('10.0.0.1')).toEqual({ kind: 'too-many-of-one', isNews: false });
    expect(places.take('10.0.0.2').kind).toBe('taken');
    release(first);
    expect(places.take('10.0.0.1').kind).toBe('taken');
  });

  it('count a /64 of IPv6 as one peer, and this machine only altogether', () => {
    const places = new PeerPlaces({ all: 4, ofOnePeer: 1 });
    expect(places.take('2001:db8::1').kind).toBe('taken');
    expect(places.take('2001:db8::2:1').kind).toBe('too-many-of-one');
    expect(places.take('2001:db8:0:1::1').kind).toBe('taken');
    expect(['127.0.0.1', '::1', '127.0.0.1'].map((peer) => places.take(peer).kind)).toEqual(['taken', 'taken', 'full']);
  });

  it('that were refused are not counted', () => {
    const places = new PeerPlaces({ all: 2, ofOnePeer: 1 });
    places.take('10.0.0.1');
    for (let count = 0; count < 5; count += 1) expect(places.take('10.0.0.1').kind).toBe('too-many-of-one');
    expect(places.take('10.0.0.2').kind).toBe('taken');
  });
});

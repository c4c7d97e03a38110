import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { ConnectionPlaces, type Place } from '../../../src/upstream/connection-places.ts';
import { FakeClock } from '../../support/fake-clock.ts';

const PATIENCE = seconds(10);
const impatience = (): Error => new Error('impatient');

/** Who asked, and what each has got so far. */
function queue(limit: number) {
  const clock = new FakeClock();
  const places = new ConnectionPlaces<string>(limit, clock);
  const got: string[] = [];
  const ask = (name: string): void => {
    Promise.resolve(places.take(PATIENCE, impatience)).then(
      ({ idle }: Place<string>) => got.push(`${name}:${idle ?? 'new'}`),
      (error: Error) => got.push(`${name}:${error.message}`),
    );
  };
  return { clock, places, got, ask };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('places', () => {
  it('are new up to the limit, then what comes back, in order', async () => {
    const { places, got, ask } = queue(2);
    for (const name of ['a', 'b', 'c', 'd']) ask(name);
    places.giveBack('A');
    places.free();
    await settled();
    expect(got).toEqual(['a:new', 'b:new', 'c:A', 'd:new']);
    expect(places.held).toBe(2);
  });

  it('are the ones used last first', async () => {
    const { places, got, ask } = queue(3);
    for (const name of ['a', 'b']) ask(name);
    places.giveBack('A');
    places.giveBack('B');
    ask('c');
    await settled();
    expect(got).toEqual(['a:new', 'b:new', 'c:B']);
    expect(places.idle).toEqual(['A']);
  });

  it('that run out of patience lose their turn and nobody else does', async () => {
    const { clock, places, got, ask } = queue(1);
    ask('a');
    ask('b');
    await clock.advance(seconds(5));
    ask('c');
    await clock.advance(seconds(5));
    places.giveBack('A');
    await settled();
    expect(got).toEqual(['a:new', 'b:impatient', 'c:A']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('are at least one, whatever is asked for', async () => {
    const { places, got, ask } = queue(0);
    ask('a');
    places.reduce(seconds(1));
    await settled();
    expect(got).toEqual(['a:new']);
    expect(places.reduce(seconds(1))).toBe(1);
  });

  it('are fewer while reduced, and more when that has passed', async () => {
    const { clock, places, got, ask } = queue(3);
    for (const name of ['a', 'b', 'c']) ask(name);
    expect(places.reduce(seconds(60))).toBe(2);
    expect(places.isOverfull).toBe(true);
    ask('d');
    places.free();
    await settled();
    expect(places.isOverfull).toBe(false);
    expect(got).toHaveLength(3);
    await clock.advance(seconds(5));
    places.free();
    await settled();
    expect(got.at(-1)).toBe('d:new');
    await clock.advance(seconds(60));
    ask('e');
    await settled();
    expect(got.at(-1)).toBe('e:new');
    expect(places.held).toBe(3);
  });

  it('never exceed the limit, lose nobody, and keep the order, whatever happens', async () => {
    const steps = fc.array(fc.constantFrom('ask', 'back', 'free', 'retire', 'reduce'), { maxLength: 60 });
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: 1, max: 4 }), steps, async (limit, todo) => {
        const { places, got, ask } = queue(limit);
        let asked = 0;
        let named = 0;
        const inUse = (): number => places.held - places.idle.length;
        for (const step of todo) {
          if (step === 'ask') ask(String((asked += 1)));
          else if (step === 'back' && inUse() > 0) places.giveBack(`s${(named += 1)}`);
          else if (step === 'free' && inUse() > 0) places.free();
          else if (step === 'retire' && places.idle[0] !== undefined && places.retire(places.idle[0])) places.free();
          else if (step === 'reduce') places.reduce(seconds(1));
          expect(places.held).toBeLessThanOrEqual(limit);
          expect(inUse()).toBeGreaterThanOrEqual(0);
        }
        await settled();
        expect(got.map((line) => line.split(':')[0])).toEqual(got.map((_line, index) => String(index + 1)));
        // Let everybody have a turn: nobody is forgotten.
        for (let round = 0; round <= asked && got.length < asked; round += 1) {
          if (inUse() > 0) places.giveBack(`s${(named += 1)}`);
          await settled();
        }
        expect(got).toHaveLength(asked);
      }),
      { numRuns: 200 },
    );
  });
});

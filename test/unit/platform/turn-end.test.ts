import { setImmediate as turn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { atTurnEnd } from '../../../src/platform/turn-end.ts';

describe('the end of a turn', () => {
  it('comes behind all that the turn does, promises among it, in the order of the calls', async () => {
    const done: string[] = [];
    atTurnEnd(() => done.push('first'));
    atTurnEnd(() => done.push('second'));
    await Promise.resolve().then(() => done.push('promise'));
    process.nextTick(() => done.push('tick'));
    expect(done).toEqual(['promise']);
    await turn();
    expect(done).toEqual(['promise', 'tick', 'first', 'second']);
  });

  it('leaves to the next turn what is put off at the end of this one, and does nothing twice', async () => {
    const done: string[] = [];
    atTurnEnd(() => {
      done.push('now');
      atTurnEnd(() => done.push('then'));
    });
    await turn();
    expect(done).toEqual(['now']);
    await turn();
    await turn();
    expect(done).toEqual(['now', 'then']);
  });
});

import { describe, expect, it } from 'vitest';
import { whenHere } from '../../../src/core/awaitable.ts';

describe('a value that may be on its way', () => {
  it('is used at once where it is here, and what comes of it is passed on as it is', () => {
    expect(whenHere(2, (value) => value + 1)).toBe(3);
    expect(whenHere(undefined, (value) => value)).toBeUndefined();
    expect(() =>
      whenHere(2, () => {
        throw new Error('no');
      }),
    ).toThrow('no');
  });

  it('is used once it has come where it is not', async () => {
    const used: number[] = [];
    const result = whenHere(Promise.resolve(2), (value) => {
      used.push(value);
      return value + 1;
    });
    expect(used).toEqual([]);
    await expect(result).resolves.toBe(3);
    expect(used).toEqual([2]);
  });

  it('passes on what it fails with, and what its use fails with', async () => {
    const never = (): never => expect.unreachable();
    await expect(whenHere(Promise.reject(new Error('lost')), never)).rejects.toThrow('lost');
    await expect(whenHere(Promise.resolve(2), () => Promise.reject(new Error('no')))).rejects.toThrow('no');
  });
});

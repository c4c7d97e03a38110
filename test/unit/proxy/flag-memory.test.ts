/** What is remembered of flags follows the messages as they move up. */
import { expect, it } from 'vitest';
import { FlagMemory } from '../../../src/proxy/flag-memory.ts';

it('knows what was told, whatever the order and the case', () => {
  const memory = new FlagMemory();
  memory.told(2, '\\Seen \\Answered');
  memory.told(3, undefined);
  expect(memory.compare(2, '\\answered \\SEEN \\Recent')).toBe('same');
  expect(memory.compare(2, '\\Seen')).toBe('changed');
  expect(memory.compare(3, '')).toBe('changed');
  expect([memory.compare(1, ''), memory.compare(4, '')]).toEqual(['untold', 'untold']);
  expect(memory.range).toEqual([2, 3]);
});

it('moves messages up behind one that is expunged', () => {
  const memory = new FlagMemory();
  memory.told(3, 'three');
  memory.told(200, 'last');
  memory.expunged(1);
  expect([memory.compare(2, 'three'), memory.compare(199, 'last'), memory.range]).toEqual(['same', 'same', [2, 199]]);
  memory.expunged(2);
  expect([memory.compare(2, 'three'), memory.compare(198, 'last')]).toEqual(['untold', 'same']);
  memory.expunged(500);
  memory.expunged(198);
  expect(memory.compare(198, 'last')).toBe('untold');
});

it('has no range where nothing is left', () => {
  const memory = new FlagMemory();
  expect(memory.range).toBeUndefined();
  memory.told(5, '');
  memory.expunged(5);
  expect(memory.range).toBeUndefined();
});

it('has a bound', () => {
  const memory = new FlagMemory();
  memory.told(16_384, 'x');
  expect([memory.isFull, memory.compare(16_384, 'x')]).toEqual([false, 'same']);
  memory.told(16_385, 'x');
  expect(memory.isFull).toBe(true);
});

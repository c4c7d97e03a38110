/**
 * Which lines an edit has changed, for somebody to look at before it is made.
 *
 * Pure. An edit here is in one place, so what the two texts have in common at both ends is all that they have in common.
 *
 * @packageDocumentation
 */
import type { DiffLine } from '../core/ports/setup.ts';

const AROUND = 3;

export function diffLines(before: string, after: string): readonly DiffLine[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  let head = 0;
  while (head < Math.min(old.length, fresh.length) && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1;
  const lines = (kind: DiffLine['kind'], texts: readonly string[]): DiffLine[] => texts.map((text) => ({ kind, text }));
  return [
    ...lines('same', old.slice(Math.max(0, head - AROUND), head)),
    ...lines('removed', old.slice(head, old.length - tail)),
    ...lines('added', fresh.slice(head, fresh.length - tail)),
    ...lines('same', old.slice(old.length - tail, Math.min(old.length, old.length - tail + AROUND))),
  ];
}

/**
 * Which lines an edit has changed, for somebody to look at before it is made.
 *
 * Pure. An edit here is within one item: what the two texts have in common at both ends is cut down to a few lines around it, and between the ends as few lines as possible
 * are shown as changed (longest common subsequence).
 *
 * @packageDocumentation
 */
import type { DiffLine } from '../core/ports/setup.ts';

const AROUND = 3;
/** Of pairs of lines that are compared; what is larger is shown as wholly changed. */
const MOST_PAIRS = 1_000_000;

type Lines = readonly string[];

export function diffLines(before: string, after: string): readonly DiffLine[] {
  const [old, fresh] = [before.split('\n'), after.split('\n')];
  let head = 0;
  while (head < Math.min(old.length, fresh.length) && old[head] === fresh[head]) head += 1;
  let tail = 0;
  while (tail < Math.min(old.length, fresh.length) - head && old.at(-1 - tail) === fresh.at(-1 - tail)) tail += 1;
  return [
    ...asLines('same', old.slice(Math.max(0, head - AROUND), head)),
    ...between(old.slice(head, old.length - tail), fresh.slice(head, fresh.length - tail)),
    ...asLines('same', old.slice(old.length - tail, Math.min(old.length, old.length - tail + AROUND))),
  ];
}

const asLines = (kind: DiffLine['kind'], texts: Lines): DiffLine[] => texts.map((text) => ({ kind, text }));

function between(old: Lines, fresh: Lines): DiffLine[] {
  if (old.length * fresh.length > MOST_PAIRS) return [...asLines('removed', old), ...asLines('added', fresh)];
  const common = commonLengths(old, fresh);
  const shown: DiffLine[] = [];
  let [at, to] = [0, 0];
  while (at < old.length || to < fresh.length) {
    const [left, right] = [old[at], fresh[to]];
    if (left !== undefined && left === right) {
      shown.push({ kind: 'same', text: left });
      at += 1;
      to += 1;
    } else if (left !== undefined && (right === undefined || (common[at + 1]?.[to] ?? 0) >= (common[at]?.[to + 1] ?? 0))) {
      shown.push({ kind: 'removed', text: left });
      at += 1;
    } else {
      shown.push({ kind: 'added', text: right ?? '' });
      to += 1;
    }
  }
  return shown;
}

/** By line of both: how many lines the rests from there have in common. */
function commonLengths(old: Lines, fresh: Lines): readonly (readonly number[])[] {
  const lengths = Array.from({ length: old.length + 1 }, () => Array.from({ length: fresh.length + 1 }, () => 0));
  for (let at = old.length - 1; at >= 0; at -= 1) {
    const [row = [], below = []] = [lengths[at], lengths[at + 1]];
    for (let to = fresh.length - 1; to >= 0; to -= 1) {
      row[to] = old[at] === fresh[to] ? (below[to + 1] ?? 0) + 1 : Math.max(below[to] ?? 0, row[to + 1] ?? 0);
    }
  }
  return lengths;
}

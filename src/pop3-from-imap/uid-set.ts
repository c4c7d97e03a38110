/**
 * UIDs as sequence sets for commands: `4,7:9`.
 *
 * Pure. A run stands for itself alone: it joins only numbers that follow one another, so that no other message can be meant by it.
 *
 * Source: RFC 9051 §9 (`sequence-set`).
 *
 * @packageDocumentation
 */

/** RFC 9051 §4 advises clients to keep a command line to 8,192 octets. */
const LONGEST_SET = 4_000;

/**
 * @param uids - Ascending, each once.
 * @returns Sets with at most about 4,000 characters each.
 */
export function uidSets(uids: readonly number[]): readonly string[] {
  const sets: string[] = [];
  let set = '';
  for (let index = 0; index < uids.length; ) {
    const first = uids[index] ?? 0;
    let last = first;
    index += 1;
    while (uids[index] === last + 1) {
      last += 1;
      index += 1;
    }
    const run = first === last ? `${first}` : `${first}:${last}`;
    if (set.length + run.length > LONGEST_SET) {
      sets.push(set);
      set = '';
    }
    set += set === '' ? run : `,${run}`;
  }
  return set === '' ? sets : [...sets, set];
}

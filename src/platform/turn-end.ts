/**
 * What is to leave once the turn of the event loop is over.
 *
 * A write to a socket wakes whoever reads at its other end, and a wake-up costs more than the write. Writes one behind the other find that reader awake; those
 * between which something is worked out do not. So what a turn has to say, on all its connections, is said together when it ends.
 *
 * @packageDocumentation
 */

/** `wire`: somebody waits for it. `record`: nobody does; it comes behind all that. */
type Kind = 'wire' | 'record';

const acts: Readonly<Record<Kind, (() => void)[]>> = { wire: [], record: [] };

const isEmpty = (): boolean => acts.wire.length === 0 && acts.record.length === 0;

/**
 * Have `act` done behind everything that this turn does, or before the process exits; those of a kind in the order of the calls. It must not throw. What it puts off
 * itself is the next turn's.
 */
export function atTurnEnd(act: () => void, kind: Kind = 'wire'): void {
  if (isEmpty()) setImmediate(endTurn);
  acts[kind].push(act);
}

/** Where an act throws after all, the others are done in the next turn, or at the exit that follows. */
function endTurn(): void {
  const { wire, record } = acts;
  let [wireLeft, recordLeft] = [wire.length, record.length];
  try {
    for (; wireLeft > 0; wireLeft -= 1) wire.shift()?.();
    for (; recordLeft > 0; recordLeft -= 1) record.shift()?.();
  } finally {
    if (!isEmpty()) setImmediate(endTurn);
  }
}

process.on('exit', () => {
  while (!isEmpty()) (acts.wire.shift() ?? acts.record.shift())?.();
});

/**
 * What is to leave once the turn of the event loop is over.
 *
 * A write to a socket wakes whoever reads at its other end, and a wake-up costs more than the write. Writes one behind the other find that reader awake; those
 * between which something is worked out do not. So what a turn has to say, on all its connections, is said together when it ends.
 *
 * @packageDocumentation
 */

const acts: (() => void)[] = [];

/**
 * Have `act` done behind everything that this turn does, or before the process exits; in the order of the calls. It must not throw. What it puts off itself is the
 * next turn's.
 */
export function atTurnEnd(act: () => void): void {
  if (acts.length === 0) setImmediate(endTurn);
  acts.push(act);
}

/** Where an act throws after all, the others are done in the next turn, or at the exit that follows. */
function endTurn(): void {
  try {
    for (let left = acts.length; left > 0; left -= 1) acts.shift()?.();
  } finally {
    if (acts.length > 0) setImmediate(endTurn);
  }
}

process.on('exit', () => {
  while (acts.length > 0) acts.shift()?.();
});

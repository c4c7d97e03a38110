/**
 * What is to leave once the turn of the event loop is over.
 *
 * A write to a socket wakes whoever reads at its other end, and a wake-up costs more than the write. Writes one behind the other find that reader awake; those
 * between which something is worked out do not. So what a turn has to say, on all its connections, is said together when it ends.
 *
 * @packageDocumentation
 */

let acts: (() => void)[] = [];

/**
 * Have `act` done behind everything that this turn does, or before the process exits; in the order of the calls. It must not throw. What it puts off itself is the
 * next turn's.
 */
export function atTurnEnd(act: () => void): void {
  if (acts.length === 0) setImmediate(endTurn);
  acts.push(act);
}

function endTurn(): void {
  const ended = acts;
  acts = [];
  for (const act of ended) act();
}

process.on('exit', endTurn);

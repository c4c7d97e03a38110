/**
 * How long the event loop of this process was kept busy by one turn at most, in milliseconds of processor time: on a machine that does other things as well,
 * the clock would measure those.
 *
 * @packageDocumentation
 */

export function loopDelay(): { stop(): number } {
  let longest = 0;
  let before = process.cpuUsage();
  let turn: NodeJS.Immediate;
  const look = (): void => {
    const { user, system } = process.cpuUsage(before);
    longest = Math.max(longest, (user + system) / 1000);
    before = process.cpuUsage();
    turn = setImmediate(look);
  };
  turn = setImmediate(look);
  return {
    stop() {
      clearImmediate(turn);
      return longest;
    },
  };
}

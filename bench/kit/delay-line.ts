/**
 * A distance put between a client and a server: octets arrive half a round trip after they were sent, in both directions.
 *
 * The kernel answers SYN at once, so what connecting costs is added in front of the first octets: the server is dialled one and a half round trips after the
 * connection came in, which is when a server that far away would see it as established.
 *
 * Timers of Node are exact to a millisecond only. The last two before a moment are spent looking at the clock, so that an injected round trip is exact
 * to some hundredths of a millisecond; few connections at a time are meant.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';

const SPIN_MS = 2;

/** Listens on a free port of 127.0.0.1. @param roundTrip - Milliseconds. */
export function startDelayLine(roundTrip: number, target: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
    near.pause();
    at(performance.now() + 1.5 * roundTrip, () => {
      const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
      delay(near, far, roundTrip / 2);
      delay(far, near, roundTrip / 2);
    });
  });
  return new Promise((resolve) => void server.listen(0, '127.0.0.1', 1024, () => resolve(server)));
}

function delay(from: Socket, to: Socket, ms: number): void {
  from.on('data', (chunk: Buffer) => at(performance.now() + ms, () => void (to.writable && to.write(chunk))));
  from.on('end', () => at(performance.now() + ms, () => to.end()));
  from.on('error', () => to.destroy());
  from.on('close', () => at(performance.now() + ms, () => to.destroySoon()));
  from.resume();
}

interface Due {
  readonly moment: number;
  readonly act: () => void;
}

/** In order of their moments but for the dialling of other connections, so each look goes through all: they are few. */
let waiting: Due[] = [];
let isLooking = false;

function at(moment: number, act: () => void): void {
  waiting.push({ moment, act });
  if (!isLooking) look();
}

function look(): void {
  const now = performance.now();
  const due = waiting.filter(({ moment }) => moment <= now);
  waiting = waiting.filter(({ moment }) => moment > now);
  for (const { act } of due) act();
  isLooking = waiting.length > 0;
  if (!isLooking) return;
  const rest = Math.min(...waiting.map(({ moment }) => moment)) - performance.now();
  if (rest > SPIN_MS) setTimeout(look, rest - SPIN_MS);
  else setImmediate(look);
}

/**
 * Free loopback ports for servers that cannot be told "any".
 *
 * Taken from below the ephemeral range, so that no outgoing connection can be given one between our look and the server's bind.
 *
 * @packageDocumentation
 */
import { createServer } from 'node:net';

const FIRST = 20_000;
const COUNT = 10_000;
const given = new Set<number>();
let next = Math.floor(Math.random() * COUNT);

/** A port of 127.0.0.1 on which nothing listens, and that was not given out before by this process. */
export async function lowPort(): Promise<number> {
  for (let tries = 0; tries < 500; tries += 1) {
    const port = FIRST + (next % COUNT);
    next += 1;
    if (given.has(port) || !(await isFree(port))) continue;
    given.add(port);
    return port;
  }
  throw new Error('no free port between 20000 and 30000');
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

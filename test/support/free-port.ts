/**
 * Ports that nothing listens on.
 *
 * @packageDocumentation
 */
import { createServer } from 'node:net';

/** A TCP port that is free on loopback at this moment. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise((resolve) => server.close(resolve));
  if (address === null || typeof address === 'string') throw new Error('no TCP address');
  return address.port;
}

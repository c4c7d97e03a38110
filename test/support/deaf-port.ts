/**
 * A port of this machine that answers no SYN: a program listens with room for one connection, takes none, and its room is used up. To whoever connects it is as if a
 * firewall dropped the packets.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { connect, type Socket } from 'node:net';

const LISTENER = `require('node:net').createServer().listen({ port: 0, host: '127.0.0.1', backlog: 1 }, function () {
  require('node:fs').writeSync(1, String(this.address().port) + '\\n');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
});`;
/** A connection on loopback that is not there after so long is not coming. */
const PATIENCE_MS = 300;

export interface DeafPort {
  readonly port: number;
  close(this: void): void;
}

export async function openDeafPort(): Promise<DeafPort> {
  const child = spawn(process.execPath, ['-e', LISTENER], { stdio: ['ignore', 'pipe', 'inherit'] });
  const port = await new Promise<number>((resolve, reject) => {
    child.once('error', reject);
    child.stdout.once('data', (line: Buffer) => resolve(Number(line.toString())));
  });
  const held: Socket[] = [];
  const close = (): void => {
    for (const socket of held) socket.destroy();
    child.kill('SIGKILL');
  };
  for (let tries = 0; tries < 16; tries += 1) {
    const socket = connect(port, '127.0.0.1').on('error', () => undefined);
    held.push(socket);
    const isHeard = await Promise.race([
      new Promise<boolean>((resolve) => void socket.once('connect', () => resolve(true))),
      new Promise<boolean>((resolve) => void setTimeout(() => resolve(false), PATIENCE_MS)),
    ]);
    if (!isHeard) return { port, close };
  }
  close();
  throw new Error('the port goes on taking connections');
}

/**
 * A hop between the relay and a mail server that ends TLS on both sides and keeps every octet that the relay sent.
 *
 * @packageDocumentation
 */
import { readFileSync } from 'node:fs';
import { connect, createServer, type TLSSocket } from 'node:tls';
import { lowPort } from './ports.ts';

export interface RecordingHop {
  readonly port: number;
  /** What each connection was sent, oldest first. */
  toServer(): Buffer[];
  stop(): Promise<void>;
}

export interface HopSettings {
  /** Of the server behind, on this machine, with TLS from the start. */
  readonly serverPort: number;
  readonly certFile: string;
  readonly keyFile: string;
  readonly caPem: string;
}

export async function startRecordingHop({ serverPort, certFile, keyFile, caPem }: HopSettings): Promise<RecordingHop> {
  const port = await lowPort();
  const recorded: Buffer[][] = [];
  const sockets = new Set<TLSSocket>();
  const server = createServer({ cert: readFileSync(certFile), key: readFileSync(keyFile) }, (near) => {
    const record: Buffer[] = [];
    recorded.push(record);
    const far = connect({ port: serverPort, host: '127.0.0.1', servername: 'localhost', ca: caPem });
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket);
      socket.on('error', () => other.destroy());
      socket.once('close', () => {
        sockets.delete(socket);
        other.destroySoon();
      });
    }
    near.on('data', (chunk: Buffer) => record.push(chunk));
    near.pipe(far);
    far.pipe(near);
  });
  await new Promise<void>((resolve) => void server.listen(port, '127.0.0.1', resolve));
  return {
    port,
    toServer: () => recorded.map((chunks) => Buffer.concat(chunks)),
    async stop() {
      const closed = new Promise<void>((resolve) => void server.close(() => resolve()));
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

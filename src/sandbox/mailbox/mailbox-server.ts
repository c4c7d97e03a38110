/**
 * A port for mailbox sessions over implicit TLS.
 *
 * @packageDocumentation
 */
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { countConnection } from '../statistics.ts';
import type { TlsContexts } from '../tls-contexts.ts';
import type { MailService } from './mail-service.ts';
import type { MailboxProtocol } from './mailbox-sign-in.ts';
import { SessionWire } from './session-wire.ts';

/** A server that listens. */
export interface RunningMailboxServer {
  readonly port: number;
  /** Cuts what is open: faults may hold sessions for ever. */
  close(): Promise<void>;
}

/** Talks to one client until either side ends. */
export type RunSession = (wire: SessionWire, service: MailService) => Promise<void>;

/** Clients of a sandbox are few; a program that loses count is stopped here. */
const MOST_CONNECTIONS = 500;
/** RFC 3501 §5.4 asks for 30 minutes at least; Exchange allows just about that. */
const IDLE_TIMEOUT_MS = 1_860_000;

export async function startMailboxServer(
  protocol: MailboxProtocol,
  run: RunSession,
  { host, port }: { readonly host: string; readonly port: number },
  service: MailService,
  contexts: TlsContexts,
): Promise<RunningMailboxServer> {
  const { faults, clock, log, statistics } = service.deps;
  const sockets = new Set<Socket>();

  async function serve(socket: Socket): Promise<void> {
    try {
      const secureContext = await contexts.get(faults.mailbox.certificate);
      const secured = new TLSSocket(socket, { isServer: true, secureContext });
      await run(new SessionWire(secured, protocol, faults, clock), service);
    } catch (error) {
      log.debug({ event: 'sandbox-session-failed', error }, `a ${protocol.toUpperCase()} session with the sandbox broke`);
      socket.destroy();
    }
  }

  const server = createServer({ noDelay: true }, (socket) => {
    const closed = countConnection(statistics);
    sockets.add(socket);
    socket.setTimeout(IDLE_TIMEOUT_MS, () => socket.destroy());
    socket.on('error', (error) => log.debug({ event: 'sandbox-session-failed', error }, 'a session with the sandbox broke'));
    socket.once('close', () => {
      closed();
      sockets.delete(socket);
    });
    void serve(socket);
  });
  server.maxConnections = MOST_CONNECTIONS;
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/**
 * A TCP proxy on loopback that cuts connections after so many octets: both ends at once, in the middle of whatever was being said.
 *
 * @packageDocumentation
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** `up`: what the one who connected says; `down`: what it is answered. */
export type Direction = 'up' | 'down';

/** Where a connection ends. */
export interface Cut {
  readonly direction: Direction;
  /** Octets of this direction that still pass. */
  readonly after: number;
  /** `reset`: RST, unread octets may be lost as well; `close`: FIN, behind the last octet. */
  readonly manner: 'reset' | 'close';
}

/** The octets that a connection passed on. */
export type Passed = Readonly<Record<Direction, number>>;

export class CuttingProxy {
  /** Connections cut so far. */
  cuts = 0;
  /** For each new connection; without an answer it is left alone. */
  plan: () => Cut | undefined = () => undefined;
  readonly port: number;
  readonly #server: Server;
  readonly #open = new Set<Connection>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  static async open(targetPort: number): Promise<CuttingProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    const proxy = new CuttingProxy(server, address.port);
    server.on('connection', (near) => proxy.#connect(near, targetPort));
    return proxy;
  }

  /** What each open connection has passed on. */
  passed(): Passed[] {
    return [...this.#open].map(({ passed }) => passed);
  }

  /** End all connections; none of them counts as cut. */
  dropAll(): void {
    for (const connection of this.#open) connection.end('close');
  }

  close(): void {
    this.#server.close();
    this.dropAll();
  }

  #connect(near: Socket, port: number): void {
    const far = createConnection({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const connection = new Connection(near, far, this.plan(), {
      cut: () => (this.cuts += 1),
      ended: () => this.#open.delete(connection),
    });
    this.#open.add(connection);
  }
}

interface Ending {
  readonly cut: () => void;
  readonly ended: () => void;
}

class Connection {
  readonly passed = { up: 0, down: 0 };
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #cut: Cut | undefined;
  readonly #on: Ending;
  #isEnded = false;

  constructor(near: Socket, far: Socket, cut: Cut | undefined, on: Ending) {
    this.#near = near;
    this.#far = far;
    this.#cut = cut;
    this.#on = on;
    this.#pass('up', near, far);
    this.#pass('down', far, near);
  }

  /** Both ends, now. */
  end(manner: Cut['manner']): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#on.ended();
    for (const socket of [this.#near, this.#far]) {
      if (manner === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  #pass(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (octets: Buffer) => {
      if (this.#isEnded) return; // Of a connection that was closed, what comes now is thrown away.
      const room = this.#cut?.direction === direction ? this.#cut.after - this.passed[direction] : Number.POSITIVE_INFINITY;
      const part = octets.subarray(0, room);
      this.passed[direction] += part.length;
      if (octets.length < room) {
        to.write(part);
        return;
      }
      // The last octets leave before the end does: otherwise a reset would take back more than it is meant to.
      to.write(part, () => this.end(this.#cut?.manner ?? 'close'));
      from.pause();
      this.#on.cut();
    });
    from.on('end', () => to.end());
    from.on('error', () => this.end('reset'));
    from.on('close', () => this.end('close'));
  }
}

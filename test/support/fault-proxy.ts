/**
 * A TCP proxy on loopback between somebody who connects and a server, which breaks connections in the ways in which networks do: at an octet that a test names
 * beforehand, or at the moment at which a test says so.
 *
 * It does not look into what passes, so it works under TLS as well. Where a step of a protocol is to be hit, the server at the far end knows when that is, and
 * strikes.
 *
 * @packageDocumentation
 */
import { createConnection, createServer, type Server, type Socket } from 'node:net';

/** `up`: what the one who connected says; `down`: what it is answered. */
export type Direction = 'up' | 'down';

/**
 * What becomes of a connection.
 *
 * - `reset`: RST to both ends; unread octets may be lost as well.
 * - `close`: FIN to both ends, behind the last octet.
 * - `half-open`: the one who connected reads FIN, while what it says is still taken, and read by nobody.
 * - `black-hole`: nothing passes any more, either way, and nobody is told.
 * - `drip`: what comes down comes one octet at a time, {@link FaultProxy.dripMs} apart.
 * - `delay`: all octets pass, {@link FaultProxy.delayMs} late, in order.
 * - `stall`: nobody reads any more, so the kernel takes no more than its buffers hold; nothing is answered.
 */
export type Fault = 'reset' | 'close' | 'half-open' | 'black-hole' | 'drip' | 'delay' | 'stall';

/** Those that any step can be met by. */
export const FAULTS: readonly Fault[] = ['reset', 'close', 'half-open', 'black-hole', 'drip', 'delay'];

/** Where a connection ends. */
export interface Cut {
  readonly direction: Direction;
  /** Octets of this direction that still pass. */
  readonly after: number;
  readonly manner: Fault;
}

/** The octets that a connection passed on. */
export type Passed = Readonly<Record<Direction, number>>;

export class FaultProxy {
  /** Connections cut so far, by plan or by {@link strike}. */
  cuts = 0;
  /** Told of each fault that strikes. */
  onStrike: () => void = () => undefined;
  /** For each new connection; without an answer it is left alone. */
  plan: () => Cut | undefined = () => undefined;
  dripMs = 20;
  delayMs = 20;
  readonly port: number;
  readonly connections: ProxiedConnection[] = [];
  readonly #server: Server;
  readonly #open = new Set<ProxiedConnection>();

  private constructor(server: Server, port: number) {
    this.#server = server;
    this.port = port;
  }

  /** @param host - Address to listen on, where that is not loopback. */
  static async open(targetPort: number, host = '127.0.0.1'): Promise<FaultProxy> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    const proxy = new FaultProxy(server, address.port);
    server.on('connection', (near) => proxy.#connect(near, targetPort));
    return proxy;
  }

  /** What each open connection has passed on. */
  passed(): Passed[] {
    return [...this.#open].map(({ passed }) => passed);
  }

  /** The connections that are open meet with this, now. */
  strike(fault: Fault): void {
    for (const connection of this.#open) connection.strike(fault);
  }

  /** End all connections; none of them counts as cut. */
  dropAll(): void {
    for (const connection of this.#open) connection.end('close');
  }

  /** Nothing is left of them behind this, black holes included. */
  close(): void {
    this.#server.close();
    for (const connection of this.connections) connection.destroy();
  }

  #connect(near: Socket, port: number): void {
    const far = createConnection({ host: '127.0.0.1', port, allowHalfOpen: true, noDelay: true });
    const connection = new ProxiedConnection(near, far, this.plan(), this, {
      cut: () => {
        this.cuts += 1;
        this.onStrike();
      },
      ended: () => this.#open.delete(connection),
    });
    this.connections.push(connection);
    this.#open.add(connection);
  }
}

interface Ending {
  readonly cut: () => void;
  readonly ended: () => void;
}

export class ProxiedConnection {
  readonly passed = { up: 0, down: 0 };
  /** When a fault struck it, on the steady clock of the process. */
  struckAt: number | undefined;
  /** When each end had said its last word, or was cut off: `near` is the one who connected, `far` the server. */
  readonly goneAt: { near?: number; far?: number } = {};
  readonly #near: Socket;
  readonly #far: Socket;
  readonly #cut: Cut | undefined;
  readonly #pace: Pick<FaultProxy, 'dripMs' | 'delayMs'>;
  readonly #on: Ending;
  readonly #watchers: (() => void)[] = [];
  readonly #drips = new Set<NodeJS.Timeout>();
  /** What comes down octet by octet. */
  #dripping = Buffer.alloc(0);
  #fault: Fault | undefined;
  #isEnded = false;

  constructor(near: Socket, far: Socket, cut: Cut | undefined, pace: Pick<FaultProxy, 'dripMs' | 'delayMs'>, on: Ending) {
    this.#near = near;
    this.#far = far;
    this.#cut = cut;
    this.#pace = pace;
    this.#on = on;
    this.#pass('up', near, far);
    this.#pass('down', far, near);
    this.#watch('near', near);
    this.#watch('far', far);
  }

  /** Resolves with the milliseconds from the fault to the moment at which this end was gone; undefined where no fault has struck. */
  async gone(end: 'near' | 'far'): Promise<number | undefined> {
    while (this.goneAt[end] === undefined) await new Promise<void>((resolve) => this.#watchers.push(resolve));
    return this.struckAt === undefined ? undefined : (this.goneAt[end] ?? 0) - this.struckAt;
  }

  #watch(end: 'near' | 'far', socket: Socket): void {
    const note = (): void => {
      this.goneAt[end] ??= performance.now();
      for (const watcher of this.#watchers.splice(0)) watcher();
    };
    // A FIN is enough: nobody of ours keeps a half of a connection.
    socket.once('end', note).once('close', note);
  }

  /** From now on. */
  strike(fault: Fault): void {
    if (this.#isEnded || this.#fault !== undefined) return;
    this.#fault = fault;
    this.struckAt = performance.now();
    this.#on.cut();
    if (fault === 'reset' || fault === 'close') this.end(fault);
    else if (fault === 'half-open') {
      this.#near.end();
      this.#far.destroy();
    } else if (fault === 'stall') {
      this.#near.pause();
      this.#far.pause();
    }
  }

  /** Both ends, now. */
  end(manner: 'reset' | 'close'): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#on.ended();
    for (const socket of [this.#near, this.#far]) {
      if (manner === 'reset') socket.resetAndDestroy();
      else socket.destroySoon();
    }
  }

  /** Without a word to anybody. */
  destroy(): void {
    for (const timer of this.#drips) clearTimeout(timer);
    this.end('close');
    this.#near.destroy();
    this.#far.destroy();
  }

  #pass(direction: Direction, from: Socket, to: Socket): void {
    from.on('data', (octets: Buffer) => {
      if (this.#isEnded || this.#fault === 'black-hole' || this.#fault === 'half-open') return; // What comes now is thrown away.
      const isPlanned = this.#cut?.direction === direction && this.#fault === undefined;
      const room = isPlanned ? (this.#cut?.after ?? 0) - this.passed[direction] : Number.POSITIVE_INFINITY;
      const part = octets.subarray(0, room);
      this.passed[direction] += part.length;
      if (octets.length < room) return this.#write(direction, to, part);
      const manner = this.#cut?.manner ?? 'close';
      if (manner === 'drip' || manner === 'delay') {
        to.write(part);
        this.strike(manner);
        return void from.emit('data', octets.subarray(part.length));
      }
      // The last octets leave before the end does: otherwise a reset would take back more than it is meant to.
      to.write(part, () => {
        this.strike(manner);
        if (manner !== 'stall') from.resume();
      });
      from.pause();
    });
    from.on('end', () => {
      if (this.#fault === 'black-hole') return;
      if (this.#fault === 'drip' || this.#fault === 'delay')
        this.#later(() => to.end(), this.#pace.delayMs + this.#dripping.length * this.#pace.dripMs);
      else to.end();
    });
    from.on('error', () => this.#broken('reset'));
    from.on('close', () => this.#broken('close'));
  }

  /** A black hole keeps to itself what it hears from one side; the other one is still there. */
  #broken(manner: 'reset' | 'close'): void {
    if (this.#fault === 'black-hole' || this.#fault === 'half-open') {
      if (this.#near.destroyed) this.destroy();
      return;
    }
    if (this.#fault === 'drip' || this.#fault === 'delay')
      this.#later(() => this.end(manner), this.#pace.delayMs + this.#dripping.length * this.#pace.dripMs);
    else this.end(manner);
  }

  #write(direction: Direction, to: Socket, octets: Buffer): void {
    if (this.#fault === 'drip' && direction === 'down') return this.#drip(octets);
    if (this.#fault === 'delay') return this.#later(() => void to.write(octets), this.#pace.delayMs);
    to.write(octets);
  }

  #drip(octets: Buffer): void {
    const isUnderWay = this.#dripping.length > 0;
    this.#dripping = Buffer.concat([this.#dripping, octets]);
    if (!isUnderWay) this.#nextDrop();
  }

  #nextDrop(): void {
    this.#later(() => {
      if (!this.#near.writable) return;
      this.#near.write(this.#dripping.subarray(0, 1));
      this.#dripping = this.#dripping.subarray(1);
      if (this.#dripping.length > 0) this.#nextDrop();
    }, this.#pace.dripMs);
  }

  #later(action: () => void, afterMs: number): void {
    const timer = setTimeout(() => {
      this.#drips.delete(timer);
      action();
    }, afterMs);
    this.#drips.add(timer);
  }
}

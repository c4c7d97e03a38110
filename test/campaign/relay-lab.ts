/**
 * A relay in a process of its own, as `postern serve` starts it, with several accounts at a sandbox in this process. For campaigns that look at the relay
 * from outside: how long it takes, how much memory, what its provider gets.
 *
 * @packageDocumentation
 */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { ensureBuilt } from '../../scripts/build.mjs';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { postern, type RunningProcess } from '../support/process.ts';

export const PASSWORD = 'campaign-Passw0rd';

const HELD_FILE = 'held-memory';

export interface RelayLabOptions {
  /** Accounts, named `a0`, `a1`, … , each with a mailbox and a client of its name. */
  readonly accounts: number;
  readonly mode: 'auto' | 'direct' | 'queue';
}

export interface RelayStart {
  /** For each account; no limit unless told. */
  readonly messagesPerMinute?: number;
  /** The submission server of this account takes connections and says nothing. */
  readonly blackHole?: string;
  /** Port of something between the relay and its provider. */
  readonly smtpPort?: number;
  /** Run as this user, who then owns the state. */
  readonly user?: number;
  /** A program and its arguments that becomes the relay: `prlimit --nofile=64`. */
  readonly through?: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>>;
}

export class RelayLab {
  readonly folder = mkdtempSync(join(tmpdir(), 'postern-lab-'));
  readonly accounts: readonly string[];
  readonly sandbox: Sandbox;
  readonly #options: RelayLabOptions;
  readonly #hole: BlackHole;
  #running: RunningProcess | undefined;

  private constructor(options: RelayLabOptions, sandbox: Sandbox, hole: BlackHole) {
    this.#options = options;
    this.accounts = accountNames(options.accounts);
    this.sandbox = sandbox;
    this.#hole = hole;
    writeFileSync(join(this.folder, 'ca.pem'), sandbox.caPem);
  }

  static async open(options: RelayLabOptions): Promise<RelayLab> {
    await ensureBuilt();
    const accounts = accountNames(options.accounts).map((name) => ({ address: mailboxOf(name) }));
    const sandbox = await startSandbox({
      clock: systemClock,
      random: systemRandom,
      log: new MemoryLog(),
      ports: { http: 0, smtp: 0 },
      accounts,
    });
    Object.assign(sandbox.faults.submission, { messagesPerMinute: 0, recipientsPerDay: 0, connectionsPerMailbox: 0 });
    return new RelayLab(options, sandbox, await BlackHole.open());
  }

  get spoolDirectory(): string {
    return join(this.folder, 'var', 'spool');
  }

  /** Start a relay on the state of the last one. Resolves once it greets, with its port and the milliseconds since its process was begun. */
  async start(settings: RelayStart = {}): Promise<{ readonly port: number; readonly readyAfter: number }> {
    for (let tries = 0; ; tries += 1) {
      try {
        return await this.#startOnce(settings);
      } catch (error) {
        // Between the moment at which a port was free and this one somebody else may have taken it.
        if (tries === 2 || !String(error).includes('EADDRINUSE')) throw error;
      }
    }
  }

  async #startOnce(settings: RelayStart): Promise<{ readonly port: number; readonly readyAfter: number }> {
    const port = await freePort();
    const file = join(this.folder, 'postern.yaml');
    writeFileSync(file, JSON.stringify(this.#document(port, settings))); // JSON is YAML.
    const began = performance.now();
    if (settings.user !== undefined) execFileSync('chown', ['-R', String(settings.user), this.folder]);
    const options = {
      ...(settings.user === undefined ? {} : { user: settings.user }),
      ...(settings.env === undefined ? {} : { env: settings.env }),
    };
    const running = postern(['serve', '--config', file], options, settings.through);
    this.#running = running;
    while (!(await isGreeted(port))) {
      if (running.child.exitCode !== null) throw new Error(`the relay ended: ${running.stdout}${running.stderr}`);
      await pause(5);
    }
    return { port, readyAfter: performance.now() - began };
  }

  /** Of the relay that runs. */
  get pid(): number {
    const pid = this.#running?.child.pid;
    if (pid === undefined) throw new Error('no relay is running');
    return pid;
  }

  /** What the relay that runs is configured with. */
  get configText(): string {
    return readFileSync(join(this.folder, 'postern.yaml'), 'utf8');
  }

  /** Nobody reads any more what the relay that runs prints. */
  closeOutput(): void {
    this.#running?.child.stdout?.destroy();
  }

  /** Descriptors that the relay has open. */
  openFiles(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Resident memory of the relay now, in octets. */
  memory(): number {
    return this.#status('VmRSS');
  }

  /** Octets of memory that the relay holds once all garbage is collected. It was started with {@link heldMemoryOptions}. */
  async heldMemory(): Promise<number> {
    const file = join(this.folder, HELD_FILE);
    rmSync(file, { force: true });
    process.kill(this.pid, 'SIGUSR2');
    while (!existsSync(file) || !readFileSync(file, 'utf8').endsWith('\n')) await pause(20);
    return Number(readFileSync(file, 'utf8'));
  }

  /** For {@link start}. */
  get heldMemoryOptions(): RelayStart {
    const collector = fileURLToPath(new URL('../support/collect-on-signal.mjs', import.meta.url));
    return { env: { NODE_OPTIONS: `--import ${collector}`, POSTERN_HELD_FILE: join(this.folder, HELD_FILE) } };
  }

  /** Highest resident memory of the relay so far, in octets, as the kernel counts it. */
  peakMemory(): number {
    return this.#status('VmHWM');
  }

  #status(field: 'VmHWM' | 'VmRSS'): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)?.[1]) * 1024;
  }

  /** Lines of the log of the present relay with this event. */
  logged(event: string): number {
    return (this.#running?.stdout ?? '').split(`"event":"${event}"`).length - 1;
  }

  /** @throws Error where it does not end as it should. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    const ended = await running?.end('SIGTERM');
    if (ended !== undefined && ended.code !== 0) throw new Error(`the relay ended with ${ended.code}: ${ended.stderr}`);
  }

  /** End it without its knowing. */
  async kill(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.end('SIGKILL');
  }

  async close(): Promise<void> {
    await this.kill();
    this.#hole.close();
    await this.sandbox.close();
    rmSync(this.folder, { recursive: true, force: true });
  }

  #document(port: number, settings: RelayStart): object {
    const { sandbox } = this;
    const provider = (smtpPort: number): object => ({
      extends: 'sandbox',
      tokenUrl: sandbox.tokenUrl,
      smtp: { ...sandbox.smtp, port: smtpPort, tls: 'starttls' },
      caFile: './ca.pem',
      limits: { connections: 3, messagesPerMinute: settings.messagesPerMinute ?? 1_000_000, recipientsPerDay: 10_000_000 },
    });
    return {
      listeners: { smtp: [{ host: '127.0.0.1', port }] },
      state: { dir: './var', keyFile: './var/master.key' },
      providers: { lab: provider(settings.smtpPort ?? sandbox.smtp.port), hole: provider(this.#hole.port) },
      accounts: this.accounts.map((name) => ({
        name,
        provider: name === settings.blackHole ? 'hole' : 'lab',
        mailbox: mailboxOf(name),
        delivery: this.#options.mode,
        auth: {
          grant: 'client_credentials',
          tenant: sandbox.tenant,
          clientId: sandbox.clientId,
          clientSecret: sandbox.clientSecret,
        },
      })),
      clients: this.accounts.map((name) => ({ name, username: name, password: PASSWORD, account: name })),
      log: { level: 'info', format: 'json' },
    };
  }
}

export const mailboxOf = (account: string): string => `${account}@sandbox.test`;

export function accountNames(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `a${index}`);
}

/** Takes every connection, reads what comes, and never says a word. */
class BlackHole {
  readonly port: number;
  readonly #close: () => void;

  private constructor(port: number, close: () => void) {
    this.port = port;
    this.#close = close;
  }

  static async open(): Promise<BlackHole> {
    const sockets = new Set<Socket>();
    const server = createServer((socket) => {
      sockets.add(socket);
      socket.on('error', () => socket.destroy()).on('close', () => sockets.delete(socket));
      socket.resume();
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('no TCP address');
    return new BlackHole(address.port, () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    });
  }

  close(): void {
    this.#close();
  }
}

/** Whether something at the port says 220. */
function isGreeted(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: '127.0.0.1', port });
    const end = (isSo: boolean): void => {
      socket.destroy();
      resolve(isSo);
    };
    socket.once('data', (octets) => end(octets.toString('latin1').startsWith('220')));
    socket.once('error', () => end(false)).once('close', () => end(false));
  });
}

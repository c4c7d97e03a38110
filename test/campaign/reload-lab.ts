/**
 * A relay in a process of its own whose configuration, secrets and certificate are changed under it, in the ways in which operators, editors and Kubernetes do.
 *
 * Accounts `u0` to `u3` stay as they are. `renamed` and `mounted` have their client secret in a file, `seeded` has its refresh token in one; guests come and go.
 *
 * @packageDocumentation
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import { ensureBuilt } from '../../scripts/build.mjs';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { postern, type RunningProcess } from '../support/process.ts';
import { createTestAuthority } from '../support/test-ca.ts';
import { PASSWORD } from './relay-lab.ts';
import { TokenGate } from './token-gate.ts';

/** Accounts that nobody touches, with their modes. */
export const UNTOUCHED: readonly (readonly [name: string, mode: string])[] = [
  ['u0', 'auto'],
  ['u1', 'auto'],
  ['u2', 'direct'],
  ['u3', 'queue'],
];
/** Accounts whose credentials are replaced. */
export const ROTATED = ['renamed', 'mounted', 'seeded'] as const;
/** Those of them with a client secret in a file. */
type WithSecret = 'renamed' | 'mounted';

export interface ReloadLabOptions {
  /** The relay reads copies that nobody replaces: as without any reload. */
  readonly isBlind: boolean;
}

export class ReloadLab {
  readonly sandbox: Sandbox;
  readonly gate: TokenGate;
  readonly ports: { readonly smtp: number; readonly smtps: number; readonly imap: number };
  readonly guests: string[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), 'postern-rotations-'));
  readonly #authority = createTestAuthority();
  readonly #options: ReloadLabOptions;
  #running: RunningProcess | undefined;
  #isRunning = false;
  #count = 0;
  #log = '';
  /** What is replaced is replaced here. */
  #root = this.#folder;

  private constructor(options: ReloadLabOptions, sandbox: Sandbox, gate: TokenGate, ports: ReloadLab['ports']) {
    this.#options = options;
    this.sandbox = sandbox;
    this.gate = gate;
    this.ports = ports;
  }

  static async open(options: ReloadLabOptions): Promise<ReloadLab> {
    await ensureBuilt();
    const sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), ports: { http: 0, smtp: 0 } });
    Object.assign(sandbox.faults.submission, { messagesPerMinute: 0, recipientsPerDay: 0, connectionsPerMailbox: 0 });
    const ports = { smtp: await freePort(), smtps: await freePort(), imap: await freePort() };
    const lab = new ReloadLab(options, sandbox, await TokenGate.open(sandbox), ports);
    lab.put('ca.pem', sandbox.caPem);
    for (const account of ['renamed', 'mounted'] as const) {
      const secret = lab.newSecret();
      lab.gate.accept(account, secret);
      if (account === 'renamed') lab.put('secrets/renamed', secret);
      else lab.mount(secret);
    }
    for (const account of [...UNTOUCHED.map(([name]) => name), ...ROTATED]) lab.put(`seeds/${account}`, lab.newSeed(account));
    lab.gate.accept('seeded', sandbox.clientSecret);
    lab.renewCertificate();
    lab.inviteGuest();
    lab.configure();
    return lab;
  }

  /** The logs of all relays that ran here. */
  get log(): string {
    return this.#log + (this.#running?.stdout ?? '');
  }

  logged(event: string): number {
    return this.log.split(`"event":"${event}"`).length - 1;
  }

  async start(): Promise<void> {
    // Without reloads it reads what is there now and is not replaced later.
    this.#running = postern(['serve', '--config', this.#path('postern.yaml')]);
    await this.#running.until(/"event":"ready"/);
    this.#isRunning = true;
    if (this.#options.isBlind) this.#root = mkdtempSync(join(this.#folder, 'unread-'));
  }

  /** @throws Error where it does not end as it should. */
  async stop(): Promise<void> {
    const running = this.#running;
    if (running === undefined) return;
    this.#isRunning = false;
    const { code, stdout, stderr } = await running.end('SIGTERM');
    this.#running = undefined;
    this.#log += stdout;
    if (code !== 0) throw new Error(`the relay ended with ${code}: ${stderr}`);
  }

  async close(): Promise<void> {
    if (this.#isRunning) await this.#running?.end('SIGKILL');
    this.gate.close();
    await this.sandbox.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** Ends with a mark, so that half of it is no secret. */
  newSecret(): string {
    this.#count += 1;
    return `secret~${this.#count}-${'x'.repeat(24)}-end`;
  }

  newSeed(account: string): string {
    return this.sandbox.mint.refreshToken(`${account}@sandbox.test`);
  }

  /** As editors and secret stores do: a new file, renamed into place. */
  put(name: string, text: string): void {
    const file = this.#path(name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(`${file}~`, text, { mode: 0o600 });
    renameSync(`${file}~`, file);
  }

  /** As careless programs do: truncated, and written again in place. */
  overwrite(name: string, text: string): void {
    mkdirSync(dirname(this.#path(name)), { recursive: true });
    writeFileSync(this.#path(name), text, { mode: 0o600 });
  }

  remove(name: string): void {
    rmSync(this.#path(name));
  }

  /** As Kubernetes mounts a Secret: the file is a link through `..data`, which is exchanged for one to another folder. */
  mount(secret: string): void {
    this.#count += 1;
    const name = `..v${this.#count}`;
    mkdirSync(this.#path(`mount/${name}`), { recursive: true });
    writeFileSync(this.#path(`mount/${name}/client-secret`), secret, { mode: 0o600 });
    this.pointMountAt(name);
    if (!existsSync(this.#path('mount/client-secret'))) symlinkSync('..data/client-secret', this.#path('mount/client-secret'));
  }

  /** @param folder - Perhaps none that exists. */
  pointMountAt(folder: string): void {
    symlinkSync(folder, this.#path('mount/..next'));
    renameSync(this.#path('mount/..next'), this.#path('mount/..data'));
  }

  /** Key and certificate one after the other, as certificate managers do: for a moment they do not belong together. @returns Its fingerprint. */
  renewCertificate(): string {
    const { certPem, keyPem } = this.#authority.issue({ hosts: ['127.0.0.1', 'localhost', 'relay.test'] });
    this.put('server.key', keyPem);
    this.put('server.pem', certPem);
    return certPem.replaceAll(/\s/g, '');
  }

  /** A new account with a client of its name; {@link configure} makes it known. */
  inviteGuest(): string {
    this.#count += 1;
    const name = `guest${this.#count}`;
    this.put(`seeds/${name}`, this.newSeed(name));
    this.guests.push(name);
    return name;
  }

  /** The whole configuration, as it is to be. */
  document(): string {
    return JSON.stringify(this.#document()); // JSON is YAML.
  }

  configure(): void {
    this.put('postern.yaml', this.document());
  }

  /** The certificate of the TLS port, as {@link renewCertificate} returns it; undefined where no handshake is possible now. */
  shownCertificate(): Promise<string | undefined> {
    return new Promise((resolve) => {
      const socket = connectTls({ host: '127.0.0.1', port: this.ports.smtps, ca: this.#authority.caPem }, () => {
        const { raw } = socket.getPeerCertificate();
        const lines = raw.toString('base64');
        resolve(`-----BEGINCERTIFICATE-----${lines}-----ENDCERTIFICATE-----`);
        socket.destroy();
      });
      socket.on('error', () => resolve(undefined));
    });
  }

  get caPem(): string {
    return this.#authority.caPem;
  }

  #path(name: string): string {
    return join(this.#root, name);
  }

  #document(): object {
    const { sandbox, gate, ports } = this;
    const provider = (tokenUrl: string): object => ({
      extends: 'sandbox',
      tokenUrl,
      smtp: { ...sandbox.smtp, tls: 'starttls' },
      imap: { ...sandbox.imap, tls: 'implicit' },
      caFile: './ca.pem',
      limits: { connections: 3, messagesPerMinute: 1_000_000, recipientsPerDay: 10_000_000, mailboxSessions: 50 },
    });
    const account = (name: string, delivery: string, providerName = 'lab', clientSecret = sandbox.clientSecret): object => ({
      name,
      provider: providerName,
      mailbox: `${name}@sandbox.test`,
      delivery,
      auth: {
        grant: 'refresh_token',
        tenant: sandbox.tenant,
        clientId: sandbox.clientId,
        clientSecret,
        refreshToken: `\${file:seeds/${name}}`,
      },
    });
    const secretOf = (name: WithSecret): string => `\${file:${name === 'mounted' ? 'mount/client-secret' : `secrets/${name}`}}`;
    const names = [...UNTOUCHED.map(([name]) => name), ...ROTATED, ...this.guests];
    const clients = names.map((name) => ({ name, username: name, password: PASSWORD, account: name }));
    return {
      listeners: {
        smtp: [
          { host: '127.0.0.1', port: ports.smtp },
          { host: '127.0.0.1', port: ports.smtps, tls: 'implicit', cert: 'server.pem', key: 'server.key' },
        ],
        imap: [{ host: '127.0.0.1', port: ports.imap }],
      },
      state: { dir: './var', keyFile: './var/master.key' },
      providers: {
        lab: provider(sandbox.tokenUrl),
        ...Object.fromEntries(ROTATED.map((name) => [`lab-${name}`, provider(gate.url(name))])),
      },
      accounts: [
        ...UNTOUCHED.map(([name, mode]) => account(name, mode)),
        account('renamed', 'auto', 'lab-renamed', secretOf('renamed')),
        account('mounted', 'auto', 'lab-mounted', secretOf('mounted')),
        account('seeded', 'auto', 'lab-seeded'),
        ...this.guests.map((name) => account(name, 'auto')),
      ],
      clients,
      log: { level: 'info', format: 'json' },
    };
  }
}

/**
 * Bulk FETCH through the pipe beside haproxy, TLS to the mail server, clear text to the reader; and what a login costs, with TLS sessions resumed.
 *
 * The mail server is bench/idle-upstream.ts, which answers each FETCH with so many octets. Each answer is read to its end and its octets are counted.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { fileURLToPath } from 'node:url';
import { createTestAuthority } from '../../test/support/test-ca.ts';
import { lowPort } from '../../test/support/real/ports.ts';
import { type BenchCase, inTurns, withSystems } from '../kit/case.ts';
import { type Measured, verdict } from '../kit/figures.ts';
import { HAPROXY, load, missing } from '../kit/machine.ts';
import { processorTime } from '../kit/processes.ts';
import { MAILBOX, startHaproxy, startPostern, type System } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const OCTETS = 16_384;
const SESSIONS = 32;
const MILLISECONDS = 3_000;
const LOGINS = 1_024;
/** Before it is counted: V8 is done with compiling then, as in a proxy in service. */
const WARM_UP_LOGINS = 8_192;
const PASSWORD = 'bench-Passw0rd.of-the-lab';

interface ReadSystem extends System {
  /** What signs in, without the tag. */
  readonly login: string;
}

export const imap: BenchCase = {
  name: 'imap',
  summary: `FETCH of ${OCTETS} octets over ${SESSIONS} IMAP sessions, beside haproxy; CPU of a login`,
  obstacle: () => missing(HAPROXY),
  async run(rounds) {
    const authority = createTestAuthority();
    const { certPem, keyPem } = authority.issue({ hosts: ['localhost', '127.0.0.1'] });
    const server = await startServer(certPem, keyPem);
    const tokens = await BenchUpstream.start();
    try {
      const starts: (() => Promise<ReadSystem>)[] = [
        () => startReadingPostern(tokens, server.port, authority.caPem),
        async () => ({ ...(await startHaproxy(server.port, authority.caPem)), login: 'AUTHENTICATE XOAUTH2 bench' }),
      ];
      await withSystems(starts, async (systems) => {
        console.log(load());
        const figures = await inTurns(systems, rounds, (system, isWarmUp) => measure(system, server, isWarmUp ? WARM_UP_LOGINS : LOGINS));
        figures.print();
        verdict('FETCH/s relative to haproxy', figures.ratios('postern', 'haproxy', 'FETCH/s'), { atLeast: 0.9 });
        verdict('CPU ms of a login', figures.of('postern', 'login CPU ms'), { atMost: 1.2 });
        verdict('TLS sessions resumed at logins, %', figures.of('postern', 'resumed %'), { atLeast: 95 });
      });
    } finally {
      server.child.disconnect();
      await tokens.stop();
    }
  },
};

interface MailServer {
  readonly child: ChildProcess;
  readonly port: number;
}

async function startServer(certPem: string, keyPem: string): Promise<MailServer> {
  const script = fileURLToPath(new URL('../idle-upstream.ts', import.meta.url));
  const child = fork(script, [certPem, keyPem, String(OCTETS)], { execArgv: ['--import', 'tsx'] });
  const { port } = await said<{ port: number }>(child);
  return { child, port };
}

/** Since it was last asked. */
function countHandshakes({ child }: MailServer): Promise<{ handshakes: number; resumed: number }> {
  const answer = said<{ handshakes: number; resumed: number }>(child);
  child.send({ isCounting: true });
  return answer;
}

const said = <Answer>(child: ChildProcess): Promise<Answer> =>
  new Promise((resolve) => void child.once('message', (answer) => resolve(answer as Answer)));

async function startReadingPostern(tokens: BenchUpstream, serverPort: number, caPem: string): Promise<ReadSystem> {
  const host = '127.0.0.1';
  const [port, smtp] = [await lowPort(), await lowPort()];
  const auth = { grant: 'client_credentials', tenant: 'bench.test', clientId: 'bench', clientSecret: '${env:BENCH_SECRET}' };
  const system = await startPostern({
    name: 'postern',
    upstream: tokens,
    delivery: 'direct',
    connections: 3,
    more: {
      listeners: { smtp: [{ host, port: smtp }], imap: [{ host, port }] },
      providers: {
        bench: {
          extends: 'microsoft365',
          tokenUrl: tokens.tokenUrl,
          imap: { host: 'localhost', port: serverPort, tls: 'implicit' },
          caFile: './imap-ca.pem',
          limits: { mailboxSessions: 10_000 },
        },
      },
      accounts: [{ name: 'bench', provider: 'bench', mailbox: MAILBOX, auth }],
      clients: [{ name: 'bench', username: 'bench', password: PASSWORD, networks: ['127.0.0.0/8'], account: 'bench' }],
    },
    files: { 'imap-ca.pem': caPem },
    listensOn: smtp,
  });
  return { ...system, port, login: `LOGIN bench ${PASSWORD}` };
}

async function measure({ port, pid, login }: ReadSystem, server: MailServer, logins: number): Promise<Measured> {
  await countHandshakes(server);
  const beforeLogins = processorTime(pid);
  for (let count = 0; count < logins; count += SESSIONS)
    await Promise.all(Array.from({ length: SESSIONS }, () => signInAndLeave(port, login)));
  const loginTime = (processorTime(pid) - beforeLogins) / (Math.ceil(logins / SESSIONS) * SESSIONS);
  const { handshakes, resumed } = await countHandshakes(server);
  const readers = await Promise.all(Array.from({ length: SESSIONS }, () => Reader.open(port, login)));
  const before = processorTime(pid);
  const began = performance.now();
  let fetched = 0;
  await Promise.all(
    readers.map(async (reader) => {
      while (performance.now() - began < MILLISECONDS) {
        await reader.command('FETCH 1 BODY[]', OCTETS);
        fetched += 1;
      }
      reader.close();
    }),
  );
  const seconds = (performance.now() - began) / 1000;
  const used = processorTime(pid) - before;
  return { 'FETCH/s': fetched / seconds, 'CPU ms': used / fetched, 'login CPU ms': loginTime, 'resumed %': (100 * resumed) / handshakes };
}

async function signInAndLeave(port: number, login: string): Promise<void> {
  (await Reader.open(port, login)).close();
}

/** Counts octets and looks at the end of what has come: answers come one at a time. */
class Reader {
  readonly #socket: Socket;
  #octets = 0;
  #tail = '';
  #wake: () => void = () => undefined;

  private constructor(port: number) {
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true });
    this.#socket.on('error', () => this.#socket.destroy()).on('close', () => this.#wake());
    this.#socket.on('data', (chunk: Buffer) => {
      this.#octets += chunk.length;
      this.#tail = (this.#tail + chunk.toString('latin1', Math.max(0, chunk.length - 200))).slice(-200);
      this.#wake();
    });
  }

  static async open(port: number, login: string): Promise<Reader> {
    const reader = new Reader(port);
    await reader.#until(/^\* OK[^\n]*\n$/);
    await reader.command(login, 0);
    return reader;
  }

  /** @throws Error where the answer is not OK, or is shorter than it has to be. */
  async command(text: string, atLeast: number): Promise<void> {
    this.#octets = 0;
    this.#tail = '';
    this.#socket.write(`a ${text}\r\n`);
    await this.#until(/(?:^|\n)a [^\n]*\n$/);
    if (!/(?:^|\n)a OK[^\n]*\n$/.test(this.#tail) || this.#octets < atLeast)
      throw new Error(`${text}: ${this.#octets} octets, ${this.#tail}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  async #until(pattern: RegExp): Promise<void> {
    while (!pattern.test(this.#tail)) {
      if (this.#socket.destroyed) throw new Error(`the connection has ended: ${this.#tail}`);
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
  }
}

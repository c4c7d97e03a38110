/**
 * The provider of the benchmarks, in a process of its own: SMTP submission with XOAUTH2 or PLAIN, and a token endpoint, far faster than what is measured.
 *
 * It reads no more of a message than the number in its Message-ID and its end, counts each number, and counts how often a client had to wait for it. Ports: `plain`
 * (neither TLS nor AUTH asked for: the ceiling of the load), `starttls`, `implicit`; and `starttls` behind each round-trip time of {@link UpstreamSettings}.
 *
 * A client that sends more behind the dot before it has its answer is not served: none of those measured does.
 */
import { createServer as createHttpServer } from 'node:http';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, type SecureContext, TLSSocket } from 'node:tls';
import type { UpstreamQuestion, UpstreamReady, UpstreamReport, UpstreamSettings } from './kit/upstream.ts';
import { startDelayLine } from './kit/delay-line.ts';

const settings = JSON.parse(process.argv[2] ?? '{}') as UpstreamSettings;
const context: SecureContext = createSecureContext({ cert: settings.certPem, key: settings.keyPem });

const GREETING = '220 upstream.bench.test ESMTP\r\n';
const FEATURES = ['PIPELINING', 'SIZE 157286400', '8BITMIME', 'ENHANCEDSTATUSCODES', 'SMTPUTF8'];
const XOAUTH2 = /^user=[^\u0001]+\u0001auth=Bearer [^\u0001]+\u0001\u0001$/;
/** Where the number stands, and how far from the start of the content to look for it: other systems put fields of their own in front. */
const MARK = 'Message-ID: <bench-';
const HEADER_LIMIT = 16_384;

const MOST_IDS = 8_000_000;
const seen = new Uint8Array(MOST_IDS);
const zero = (): UpstreamReport['counts'] => ({ messages: 0, unknown: 0, waits: 0, sessions: 0, refusals: 0, tokenRequests: 0 });
let counts = zero();
let inFlight = 0;

const reply = (lines: readonly string[]): string =>
  lines.map((line, index) => `250${index === lines.length - 1 ? ' ' : '-'}${line}\r\n`).join('');
const EHLO = {
  plain: reply(['upstream.bench.test', ...FEATURES]),
  clear: reply(['upstream.bench.test', ...FEATURES, 'STARTTLS']),
  secured: reply(['upstream.bench.test', ...FEATURES, 'AUTH XOAUTH2 PLAIN']),
};

class Session {
  #socket: Socket;
  readonly #port: keyof typeof EHLO;
  #isSecure = false;
  #mayMail: boolean;
  #pending = '';
  #isContent = false;
  /** The mechanism whose initial response is to come in a line of its own. */
  #awaitsResponse: string | undefined;
  /** The beginning of the content until its number is found; undefined from then on. */
  #header: string | undefined;
  #tail = '';

  constructor(socket: Socket, port: keyof typeof EHLO) {
    this.#port = port;
    this.#isSecure = port === 'secured';
    this.#mayMail = port === 'plain';
    this.#socket = socket;
    this.#attach(socket);
    socket.write(GREETING);
  }

  #attach(socket: Socket): void {
    this.#socket = socket;
    socket.on('data', this.#read).on('error', () => socket.destroy());
  }

  readonly #read = (chunk: Buffer): void => {
    if (this.#isContent) return this.#take(chunk);
    this.#pending += chunk.toString('latin1');
    let answer = '';
    for (;;) {
      const end = this.#pending.indexOf('\r\n');
      if (end === -1) break;
      const line = this.#pending.slice(0, end);
      this.#pending = this.#pending.slice(end + 2);
      answer += this.#command(line);
      if (this.#isContent) break;
    }
    if (answer === '') return;
    if (this.#mayMail) counts.waits += 1;
    this.#socket.write(answer);
    if (answer.startsWith('220 ')) this.#secure();
    if (answer.startsWith('221')) this.#socket.end();
    if (this.#isContent && this.#pending !== '') {
      const rest = Buffer.from(this.#pending, 'latin1');
      this.#pending = '';
      this.#take(rest);
    }
  };

  #command(line: string): string {
    if (this.#awaitsResponse !== undefined) return this.#authenticate(this.#awaitsResponse, line);
    switch (line.slice(0, 4).toUpperCase()) {
      case 'MAIL':
        return this.#mayMail ? '250 2.1.0 OK\r\n' : '530 5.7.57 Client was not authenticated\r\n';
      case 'RCPT':
        return '250 2.1.5 OK\r\n';
      case 'DATA':
        this.#isContent = true;
        this.#header = '';
        this.#tail = '\r\n';
        return '354 Go ahead\r\n';
      case 'EHLO':
        counts.sessions += this.#mayMail ? 1 : 0;
        return this.#port === 'plain' ? EHLO.plain : EHLO[this.#isSecure ? 'secured' : 'clear'];
      case 'AUTH': {
        const [, mechanism = '', initial] = line.split(' ');
        this.#awaitsResponse = mechanism.toUpperCase();
        return initial === undefined ? '334 \r\n' : this.#authenticate(this.#awaitsResponse, initial);
      }
      case 'STAR':
        return '220 2.0.0 Go ahead\r\n';
      case 'QUIT':
        return '221 2.0.0 Bye\r\n';
      default:
        return '250 2.0.0 OK\r\n';
    }
  }

  #authenticate(mechanism: string, initialResponse: string): string {
    this.#awaitsResponse = undefined;
    const response = Buffer.from(initialResponse, 'base64').toString('utf8');
    const isGood = mechanism === 'XOAUTH2' ? XOAUTH2.test(response) : response === '\0bench\0bench';
    if (!isGood || !this.#isSecure) return '535 5.7.3 Authentication unsuccessful\r\n';
    counts.sessions += 1;
    this.#mayMail = true;
    return '235 2.7.0 Authentication successful\r\n';
  }

  #secure(): void {
    const { noDelay, socket } = { noDelay: true, socket: this.#socket };
    socket.removeAllListeners('data');
    const secured = new TLSSocket(socket, { isServer: true, secureContext: context });
    secured.setNoDelay(noDelay);
    this.#isSecure = true;
    this.#attach(secured);
  }

  /** Dots are stuffed, so five octets say where the content ends. */
  #take(chunk: Buffer): void {
    if (this.#header !== undefined) {
      this.#header += chunk.toString('latin1', 0, HEADER_LIMIT);
      this.#note(this.#header);
    }
    this.#tail = (chunk.length >= 5 ? '' : this.#tail) + chunk.toString('latin1', Math.max(0, chunk.length - 5));
    this.#tail = this.#tail.slice(-5);
    if (this.#tail !== '\r\n.\r\n') return;
    this.#isContent = false;
    if (this.#header !== undefined) counts.unknown += 1;
    this.#header = undefined;
    if (settings.service > 0) this.#serve();
    else this.#accept();
  }

  #note(header: string): void {
    const start = header.indexOf(MARK);
    const end = start === -1 ? -1 : header.indexOf('@', start);
    if (end === -1) {
      if (header.length > HEADER_LIMIT) throw new Error(`a message without a number: ${header.slice(0, 500)}`);
      return;
    }
    this.#id = Number(header.slice(start + MARK.length, end));
    this.#header = undefined;
  }

  #id = 0;

  #accept(): void {
    counts.waits += 1;
    counts.messages += 1;
    if (seen[this.#id] !== 255) seen[this.#id] = (seen[this.#id] ?? 0) + 1;
    if (this.#socket.writable) this.#socket.write('250 2.0.0 OK bench.test\r\n');
  }

  /** As Exchange does: so many at a time, the others are told to come back. */
  #serve(): void {
    if (inFlight >= settings.cap) {
      counts.refusals += 1;
      this.#socket.write('432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded\r\n');
      return;
    }
    inFlight += 1;
    setTimeout(() => {
      inFlight -= 1;
      this.#accept();
    }, settings.service);
  }
}

const listen = (server: Server, backlog = 1024): Promise<Server> =>
  new Promise((resolve) => void server.listen(0, '127.0.0.1', backlog, () => resolve(server)));
const portOf = (server: Server): number => (server.address() as AddressInfo).port;

async function open(): Promise<UpstreamReady> {
  const plain = await listen(createServer({ noDelay: true }, (socket) => void new Session(socket, 'plain')));
  const starttls = await listen(createServer({ noDelay: true }, (socket) => void new Session(socket, 'clear')));
  const implicit = createServer({ noDelay: true }, (raw) => {
    const socket = new TLSSocket(raw, { isServer: true, secureContext: context });
    socket.on('error', () => socket.destroy()).once('secure', () => void new Session(socket, 'secured'));
  });
  await listen(implicit);
  const tokens = createHttpServer((request, response) => {
    request.resume().on('end', () => {
      counts.tokenRequests += 1;
      const answer = { access_token: 'bench'.repeat(400), token_type: 'Bearer', expires_in: settings.tokenSeconds };
      setTimeout(() => response.setHeader('content-type', 'application/json').end(JSON.stringify(answer)), settings.tokenDelay);
    });
  });
  await listen(tokens);
  const distant: Record<string, number> = {};
  for (const roundTrip of settings.roundTrips) {
    distant[String(roundTrip)] = roundTrip === 0 ? portOf(starttls) : portOf(await startDelayLine(roundTrip, portOf(starttls)));
  }
  return { plain: portOf(plain), starttls: portOf(starttls), implicit: portOf(implicit), tokens: portOf(tokens), distant };
}

process.on('message', ({ from, to, isReset }: UpstreamQuestion) => {
  const report: UpstreamReport = { counts, seen: Buffer.from(seen.subarray(from, to)).toString('base64') };
  process.send?.(report);
  if (isReset) counts = zero();
});
process.on('disconnect', () => process.exit());
process.send?.(await open());

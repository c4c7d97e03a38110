/**
 * Looks at the host of a token endpoint: reached or not, its TLS, its clock.
 *
 * One GET without parameters or credentials is sent; any answer will do, since only its Date field is read (RFC 9110 §6.6.1: an origin server with a
 * clock MUST send it, in 4xx answers too). The answer is bounded in time and size, its body left unread.
 *
 * @packageDocumentation
 */
import { isIPv4, type Socket } from 'node:net';
import { TLSSocket } from 'node:tls';
import { type DurationMs, type EpochMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { ProblemError, problem } from '../core/problem.ts';
import type { Dial } from '../platform/dial.ts';
import { DialError } from '../platform/dial-error.ts';
import { dialProblem } from '../platform/dial-problem.ts';

/** What was seen. */
export interface TokenHost {
  /** `host:port, address, TLS version`. */
  readonly description: string;
  /** Its clock when its answer came; absent where the answer had no Date. */
  readonly date?: EpochMs;
}

const CONNECT_DEADLINE = seconds(15);
const ANSWER_DEADLINE = seconds(15);
const LARGEST_HEAD = 32_768;

/** @throws ProblemError where it cannot be reached, is not trusted, or does not speak HTTP. */
export async function visitTokenHost(tokenUrl: string, ca: string | undefined, dial: Dial, clock: Clock): Promise<TokenHost> {
  const url = new URL(tokenUrl);
  const isTls = url.protocol === 'https:';
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const port = url.port === '' ? (isTls ? 443 : 80) : Number(url.port);
  if (!isTls && !isLoopback(host)) {
    const cause = `the token URL of ${host} is not https://; nothing was sent`;
    throw new ProblemError(problem('TOKEN_MISCONFIGURED', cause, { remedy: 'Correct providers.NAME.tokenUrl in postern.yaml.' }));
  }
  const socket = await dial({
    host,
    port,
    tls: isTls ? 'implicit' : 'none',
    ca,
    deadline: CONNECT_DEADLINE,
    clock,
    mayResume: false,
  }).catch((error: unknown) => {
    if (!(error instanceof DialError)) throw error;
    throw new ProblemError(dialProblem(error, { kind: 'token endpoint', key: 'providers.NAME.tokenUrl', starttls: '' }), {
      cause: error,
    });
  });
  const description = describe(socket, `${host}:${port}`);
  try {
    const head = await readHead(socket, url, clock, ANSWER_DEADLINE);
    const date = dateOf(head);
    return { description, ...(date === undefined ? {} : { date }) };
  } finally {
    socket.destroy();
  }
}

const isLoopback = (host: string): boolean => host === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));

function describe(socket: Socket, target: string): string {
  const facts = [target, socket.remoteAddress ?? ''];
  if (socket instanceof TLSSocket) facts.push(socket.getProtocol() ?? '', `certificate verified${until(socket)}`);
  else facts.push('without TLS, on this machine');
  return facts.filter((fact) => fact !== '').join(', ');
}

function until(socket: TLSSocket): string {
  const end = new Date(socket.getPeerCertificate().valid_to ?? '');
  return Number.isNaN(end.getTime()) ? '' : ` (valid until ${end.toISOString().slice(0, 10)})`;
}

/** The status line and header fields. */
function readHead(socket: Socket, url: URL, clock: Clock, deadline: DurationMs): Promise<string> {
  return new Promise((resolve, reject) => {
    let head = '';
    const fail = (code: 'TOKEN_ENDPOINT_UNREACHABLE' | 'TOKEN_ENDPOINT_NONSENSE', what: string): void => {
      timer.cancel();
      reject(new ProblemError(problem(code, `${url.host} ${what}`)));
    };
    const timer = clock.startTimer(deadline, () => fail('TOKEN_ENDPOINT_UNREACHABLE', `did not answer within ${deadline / 1000} s`));
    socket.on('error', () => fail('TOKEN_ENDPOINT_UNREACHABLE', 'broke the connection before it answered'));
    socket.on('end', () => fail('TOKEN_ENDPOINT_UNREACHABLE', 'closed the connection before it answered'));
    socket.on('data', (octets: Buffer) => {
      head += octets.toString('latin1');
      if (!'HTTP/1.'.startsWith(head.slice(0, 7))) return fail('TOKEN_ENDPOINT_NONSENSE', 'does not speak HTTP');
      const end = head.indexOf('\r\n\r\n');
      if (end === -1 && head.length > LARGEST_HEAD) return fail('TOKEN_ENDPOINT_NONSENSE', 'sent too many header fields');
      if (end === -1) return;
      timer.cancel();
      resolve(head.slice(0, end));
    });
    const lines = [
      `GET ${url.pathname} HTTP/1.1`,
      `Host: ${url.host}`,
      'User-Agent: postern',
      'Accept: application/json',
      'Connection: close',
    ];
    socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  });
}

function dateOf(head: string): EpochMs | undefined {
  const value = Date.parse(/^date:[ \t]*([^\r\n]{1,64})/im.exec(head)?.[1] ?? '');
  return Number.isNaN(value) ? undefined : (value as EpochMs);
}

/**
 * A program for test/hostile/dns.test.ts, run where /etc/resolv.conf names 127.0.0.1: a DNS server that misbehaves by the name it is asked for, and the relay's own
 * way out, which asks for each of them. Prints one line of JSON for each name.
 *
 * Names: `dropped.test` is not answered, `servfail.test`, `refused.test` and `nxdomain.test` are answered with that, `empty.test` has no address, `loop.test` is
 * an alias for itself, `garbage.test` is answered with octets that are no answer.
 *
 * Source: RFC 1035 §4.1 (messages).
 *
 * @packageDocumentation
 */
import { createSocket } from 'node:dgram';
import { seconds } from '../../src/core/clock.ts';
import { UpstreamError } from '../../src/core/ports/upstream.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { SessionPool } from '../../src/upstream/session-pool.ts';
import { testAccount, testProvider } from './accounts.ts';
import { MemoryLog } from './memory-log.ts';
import { MemoryTokenSource } from './memory-token-source.ts';

const NAMES = ['dropped', 'servfail', 'refused', 'nxdomain', 'empty', 'loop', 'garbage'] as const;
const CODES: Readonly<Record<string, number>> = { servfail: 2, nxdomain: 3, refused: 5 };

/** Header flags: this is an answer, recursion is there. */
const ANSWERED = 0x8180;

function answerTo(query: Buffer): Buffer | undefined {
  const length = query[12] ?? 0;
  const name = query
    .subarray(13, 13 + length)
    .toString('latin1')
    .toLowerCase();
  if (name === 'dropped') return undefined;
  if (name === 'garbage') return Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n');
  const end = query.indexOf(0, 12) + 5; // Behind the root label: type and class.
  const header = Buffer.from(query.subarray(0, 12));
  header.writeUInt16BE(ANSWERED | (CODES[name] ?? 0), 2);
  header.writeUInt16BE(name === 'loop' ? 1 : 0, 6);
  header.writeUInt32BE(0, 8);
  const question = query.subarray(12, end);
  if (name !== 'loop') return Buffer.concat([header, question]);
  // The name is a pointer to the question's, type CNAME, and so is what it is an alias for.
  const alias = Buffer.from([0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 60, 0, 2, 0xc0, 12]);
  return Buffer.concat([header, question, alias]);
}

const server = createSocket('udp4');
server.on('message', (query, peer) => {
  const answer = answerTo(query);
  if (answer !== undefined) server.send(answer, peer.port, peer.address);
});
await new Promise<void>((resolve) => void server.bind(53, '127.0.0.1', resolve));

async function dialTo(name: string): Promise<object> {
  const provider = testProvider({ smtp: { host: `${name}.test`, port: 587, tls: 'starttls' } });
  const pool = new SessionPool({ tokens: new MemoryTokenSource(), clock: systemClock, log: new MemoryLog(), hostname: 'relay.test' });
  const began = performance.now();
  const error: unknown = await pool
    .begin(testAccount({ provider }), '', { isSmtpUtf8: false, isRequireTls: false }, seconds(60))
    .catch((reason: unknown) => reason);
  const tookMs = Math.round(performance.now() - began);
  if (!(error instanceof UpstreamError)) return { name, tookMs, text: String(error) };
  const { reply, problem, stage } = error;
  return {
    name,
    tookMs,
    stage,
    code: reply.code,
    enhancedCode: reply.enhancedCode,
    problem: problem.code,
    heals: problem.heals,
    cause: problem.cause,
  };
}

for (const outcome of await Promise.all(NAMES.map((name) => dialTo(name)))) process.stdout.write(`${JSON.stringify(outcome)}\n`);
server.close();
process.exit(0); // A resolver that waits for an answer would keep the process.

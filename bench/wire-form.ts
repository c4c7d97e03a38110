/**
 * What it costs to put content into wire form, as a ratio to copying it once, next to nodemailer's encoder.
 *
 * Run: `node --import tsx bench/wire-form.ts`. Figures are CPU time, the least of several rounds; ratios are what to compare between machines.
 */
import { createRequire } from 'node:module';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { WireFormEncoder } from '../src/message/wire-form.ts';

const CHUNK = 65_536;
const MESSAGE = 16 * 1024 * 1024;
const ROUNDS = 15;

interface PeerEncoder {
  _transform(chunk: Buffer, encoding: string, done: () => void): void;
  resume(): void;
}

/** nodemailer's encoder is not exported; it is found beside what is. Undefined where it has moved. */
async function loadPeer(): Promise<(new () => PeerEncoder) | undefined> {
  const entry = createRequire(import.meta.url).resolve('nodemailer');
  const file = path.join(path.dirname(entry), '../esm/smtp-connection/data-stream.js');
  try {
    const module = (await import(pathToFileURL(file).href)) as { default: new () => PeerEncoder };
    return module.default;
  } catch (error) {
    console.log(`nodemailer's encoder was not found: ${String(error)}`);
    return undefined;
  }
}

/** Lines of 76 characters, as base64 has, cut into chunks as a socket does. */
function makeContent(line: string): Buffer[] {
  const whole = Buffer.alloc(MESSAGE, line);
  return Array.from({ length: MESSAGE / CHUNK }, (_, index) => whole.subarray(index * CHUNK, (index + 1) * CHUNK));
}

/** CPU milliseconds per MB. */
function cost(run: () => void): number {
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.cpuUsage();
    run();
    const { user, system } = process.cpuUsage(start);
    least = Math.min(least, (user + system) / 1000 / (MESSAGE / 1024 / 1024));
  }
  return least;
}

let sink = 0;

function encode(chunks: Buffer[]): void {
  const encoder = new WireFormEncoder();
  for (const chunk of chunks) for (const piece of encoder.push(chunk)) sink += piece.length;
  for (const piece of encoder.finish()) sink += piece.length;
}

function encodeWithPeer(Peer: new () => PeerEncoder, chunks: Buffer[]): void {
  const encoder = new Peer();
  encoder.resume();
  for (const chunk of chunks) encoder._transform(chunk, 'buffer', () => (sink += chunk.length));
}

const text = 'x'.repeat(76);
const kinds = {
  'CRLF, lines of 76': makeContent(`${text}\r\n`),
  'CRLF, lines of 998': makeContent(`${'x'.repeat(998)}\r\n`),
  'bare LF, lines of 76': makeContent(`${text}\n`),
  'a dot on each line': makeContent(`.${text}\r\n`),
  'nothing but CRLF': makeContent('\r\n'),
};
const Peer = await loadPeer();

console.log('CPU ms per MB                 copy   ours (ratio to copy)   nodemailer (ratio to copy)');
for (const [name, chunks] of Object.entries(kinds)) {
  const copy = cost(() => {
    for (const chunk of chunks) sink += Buffer.from(chunk).length;
  });
  const figures = [cost(() => encode(chunks)), ...(Peer === undefined ? [] : [cost(() => encodeWithPeer(Peer, chunks))])];
  const columns = figures.map((figure) => `${figure.toFixed(3)} (${(figure / copy).toFixed(1)})`.padStart(20));
  console.log(`${name.padEnd(26)} ${copy.toFixed(3).padStart(7)} ${columns.join(' ')}`);
}
if (sink === 0) console.log('nothing was encoded');

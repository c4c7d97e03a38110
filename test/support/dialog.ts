/**
 * Runs wire dialogues that are written as data (`test/dialog/**\/*.dialog`).
 *
 * A line is one of
 *
 * - `# …` a comment; the first one is the title
 * - `@ key value` before the first line of dialogue: `peer`, `tls`, `requireTls`, `requireAuth`, `maxSize`, `maxRecipients`, `close` (`end`: the client closes
 *   its side after its last line)
 * - `C: text` the client sends text and CRLF. Lines that follow each other are sent in one segment.
 * - `C-raw: text` the client sends text as it is, with `\r`, `\n`, `\t`, `\\`, `\xHH` and `\(n*text)` (n times text)
 * - `C-base64: text` the client sends the text, with the same escapes, in base64, and CRLF
 * - `C-tls` the client begins a TLS handshake and goes on once it is done
 * - `C-end` the client closes its side; `C-gone` it vanishes
 * - `S: text` the server's next line begins with text; `S= text` it is text; `S~ regex` it matches
 * - `S*: text` the server's next reply, all lines of it, begins with text
 * - `S-close` the server closes the connection without another line
 * - `S-open` the server answers NOOP: the session goes on, and nothing else had been waiting
 * - `M: from -> to, to` the next message submitted has this envelope; `M~ regex` its content (wire form) matches; `M-none` no message is left
 * - `L: event code` the log has such a line (code of its problem, optional)
 *
 * @packageDocumentation
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect as connectTcp, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { octets } from '../../src/core/octets.ts';
import { openSmtpStage, type SmtpStage, stageCertificate, type StageOptions } from './smtp-stage.ts';

/** One line of a dialogue file. */
export interface Step {
  readonly lineNumber: number;
  readonly kind: string;
  readonly text: string;
}

export interface Dialog {
  readonly file: string;
  readonly title: string;
  readonly options: StageOptions;
  readonly steps: readonly Step[];
}

/** How the client cuts what it sends. */
export type Segmentation = 'whole' | 'single octets';

const STEP = /^(C|C-raw|C-base64|C-tls|C-end|C-gone|S|S\*|S-close|S-open|M|M-none|L)(?::|$) ?(.*)$|^([SM][=~]) (.*)$/;

export function readDialog(file: string): Dialog {
  const lines = readFileSync(file, 'utf8').split('\n');
  const title = lines.find((line) => line.startsWith('# '))?.slice(2) ?? file;
  const directives = new Map<string, string>();
  const steps: Step[] = [];
  lines.forEach((line, index) => {
    if (line === '' || line.startsWith('#')) return;
    const directive = /^@ (\w+) (.+)$/.exec(line);
    if (directive !== null) {
      directives.set(directive[1] ?? '', directive[2] ?? '');
      return;
    }
    const match = STEP.exec(line);
    if (match === null) throw new Error(`${file}:${index + 1}: not a line of a dialogue: ${line}`);
    steps.push({ lineNumber: index + 1, kind: match[1] ?? match[3] ?? '', text: match[2] ?? match[4] ?? '' });
  });
  return { file, title, options: optionsOf(directives), steps };
}

function optionsOf(directives: ReadonlyMap<string, string>): StageOptions {
  const peer = directives.get('peer');
  const size = directives.get('maxSize');
  const recipients = directives.get('maxRecipients');
  const tls = directives.get('tls');
  if (tls !== undefined && tls !== 'starttls' && tls !== 'off') throw new Error(`tls ${tls} is not for dialogues`);
  return {
    ...(peer === undefined ? {} : { peer }),
    settings: {
      ...(tls === undefined ? {} : { tls }),
      ...(size === undefined ? {} : { maxSize: octets(Number(size)) }),
      ...(recipients === undefined ? {} : { maxRecipients: Number(recipients) }),
      requireTls: directives.get('requireTls') === 'yes',
      requireAuth: directives.get('requireAuth') === 'yes',
    },
  };
}

export async function runDialog(dialog: Dialog, segmentation: Segmentation): Promise<void> {
  const stage = await openSmtpStage(dialog.options);
  const socket = connectTcp({ host: '127.0.0.1', port: stage.port, allowHalfOpen: true });
  const run = new DialogRun(dialog, stage, new DialogWire(socket, segmentation));
  try {
    await run.play();
  } finally {
    run.end();
    await stage.close();
  }
}

class DialogRun {
  readonly #dialog: Dialog;
  readonly #stage: SmtpStage;
  readonly #wire: DialogWire;
  /** What the client is about to send, not sent yet. */
  #outgoing: Buffer[] = [];
  #nextMessage = 0;

  constructor(dialog: Dialog, stage: SmtpStage, wire: DialogWire) {
    this.#dialog = dialog;
    this.#stage = stage;
    this.#wire = wire;
  }

  async play(): Promise<void> {
    for (const step of this.#dialog.steps) {
      try {
        await this.#play(step);
      } catch (error) {
        throw new Error(`${this.#dialog.file}:${step.lineNumber}: ${error instanceof Error ? error.message : String(error)}`, {
          cause: error,
        });
      }
    }
    await this.#send();
  }

  end(): void {
    this.#wire.destroy();
  }

  async #play({ kind, text }: Step): Promise<void> {
    const sent = outgoing(kind, text);
    if (sent !== undefined) return void this.#outgoing.push(sent);
    await this.#send();
    switch (kind) {
      case 'C-tls':
        return this.#wire.upgrade();
      case 'C-end':
        return this.#wire.end();
      case 'C-gone':
        return this.#wire.vanish();
      case 'S':
        return expectBegins(await this.#wire.line(), text);
      case 'S=':
        return assert.equal(await this.#wire.line(), text);
      case 'S~':
        return assert.match(await this.#wire.line(), new RegExp(text));
      case 'S*':
        return expectBegins(await this.#wire.reply(), text);
      case 'S-close':
        return assert.equal(await this.#wire.line(), CLOSED);
      case 'S-open':
        return this.#expectOpen();
      default:
        return this.#expectOutcome(kind, text);
    }
  }

  async #expectOpen(): Promise<void> {
    await this.#wire.write(Buffer.from('NOOP\r\n'));
    assert.equal(await this.#wire.line(), '250 2.0.0 OK');
  }

  async #expectOutcome(kind: string, text: string): Promise<void> {
    const { submission, log } = this.#stage;
    if (kind === 'M-none') return assert.equal(submission.submitted.length, this.#nextMessage);
    if (kind === 'M') {
      await eventually(() => submission.submitted.length > this.#nextMessage);
      const message = submission.submitted[this.#nextMessage++];
      const to = message?.forwardPaths.map(({ address }) => address).join(', ');
      return assert.equal(`${message?.start.reversePath} -> ${to}`.trim(), text);
    }
    if (kind === 'M~') {
      return assert.match(submission.submitted[this.#nextMessage - 1]?.content?.toString('latin1') ?? '', new RegExp(text, 's'));
    }
    const [event = '', code] = text.split(' ');
    await eventually(() => log.of(event).length > 0);
    const codes = log.of(event).map((line) => line.problem?.code);
    return assert.ok(code === undefined || codes.some((known) => known === code), `${event} was logged with ${codes.join(', ')}`);
  }

  async #send(): Promise<void> {
    const octetsToSend = Buffer.concat(this.#outgoing);
    this.#outgoing = [];
    if (octetsToSend.length > 0) await this.#wire.write(octetsToSend);
  }
}

export function expectBegins(actual: string, start: string): void {
  assert.ok(actual.startsWith(start), `expected "${start}…", got "${actual}"`);
}

export function outgoing(kind: string, text: string): Buffer | undefined {
  if (kind === 'C') return Buffer.from(`${text}\r\n`);
  if (kind === 'C-raw') return unescape(text);
  if (kind === 'C-base64') return Buffer.from(`${unescape(text).toString('base64')}\r\n`);
  return undefined;
}

const ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', '\\': '\\' };

/** `\xHH` is an octet; everything else is UTF-8. */
export function unescape(text: string): Buffer {
  const repeated = text.replace(/\\\((\d+)\*((?:[^)\\]|\\.)*)\)/g, (_, count: string, what: string) => what.repeat(Number(count)));
  const parts = repeated.split(/(\\x[0-9A-Fa-f]{2}|\\[rnt\\])/);
  return Buffer.concat(
    parts.map((part) => {
      if (part.startsWith('\\x')) return Buffer.from(part.slice(2), 'hex');
      return Buffer.from(part.startsWith('\\') ? (ESCAPES[part.charAt(1)] ?? part) : part);
    }),
  );
}

export const CLOSED = '(the server has closed the connection)';

/** The client's end of the connection. */
export class DialogWire {
  #socket: Socket;
  readonly #segmentation: Segmentation;
  #received = '';
  #isClosed = false;
  #wake: () => void = () => undefined;

  constructor(socket: Socket, segmentation: Segmentation) {
    this.#socket = socket;
    this.#segmentation = segmentation;
    socket.setNoDelay(true);
    this.#listen();
  }

  async write(octetsToSend: Buffer): Promise<void> {
    const parts = this.#segmentation === 'whole' ? [octetsToSend] : Array.from(octetsToSend, (octet) => Buffer.of(octet));
    for (const part of parts) {
      if (!this.#socket.writable) return; // The server may have closed in the middle of it; the next expectation will tell.
      this.#socket.write(part);
      if (parts.length > 1) await nextTurn();
    }
  }

  async line(): Promise<string> {
    await eventually(
      () => this.#received.includes('\n') || this.#isClosed,
      (wake) => (this.#wake = wake),
    );
    const end = this.#received.indexOf('\r\n');
    if (end === -1) return this.#received === '' ? CLOSED : `${this.#received} (without CRLF)`;
    const line = this.#received.slice(0, end);
    this.#received = this.#received.slice(end + 2);
    return line;
  }

  /** All lines of a reply, joined. */
  async reply(): Promise<string> {
    const lines: string[] = [];
    do lines.push(await this.line());
    while (/^\d{3}-/.test(lines.at(-1) ?? ''));
    return lines.join('\n');
  }

  end(): void {
    this.#socket.end();
  }

  vanish(): void {
    this.#socket.resetAndDestroy();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  async upgrade(): Promise<void> {
    this.#socket.removeAllListeners('data');
    this.#socket = connectTls({ socket: this.#socket, ca: stageCertificate().caPem, servername: 'relay.test' });
    this.#listen();
    await once(this.#socket, 'secureConnect');
  }

  #listen(): void {
    this.#socket.on('data', (chunk) => {
      this.#received += chunk.toString('latin1');
      this.#wake();
    });
    const closed = (): void => {
      this.#isClosed = true;
      this.#wake();
    };
    this.#socket.on('end', closed).on('close', closed).on('error', closed);
  }
}

/** Waits for events, or turn by turn where there is none; the test's own time limit is the only one. */
export async function eventually(isTrue: () => boolean, onWake?: (wake: () => void) => void): Promise<void> {
  while (!isTrue()) await (onWake === undefined ? nextTurn() : new Promise<void>(onWake));
}

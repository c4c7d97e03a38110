/**
 * Runs IMAP and POP3 dialogues that are written as data (`test/dialog/imap`, `test/dialog/pop3`). The lines are those of {@link ./dialog.ts}, without those about
 * messages, and two more:
 *
 * - `U: text` the upstream has been sent exactly this since the last such line, with the escapes of `C-raw`
 * - `U-none` the upstream has been sent nothing more
 *
 * Directives: `tls` (`off`, `starttls`), `peer`, `clear` (`yes`: not run inside TLS).
 *
 * @packageDocumentation
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { readFileSync } from 'node:fs';
import { CLOSED, DialogWire, eventually, expectBegins, outgoing, type Segmentation, type Step, unescape } from './dialog.ts';
import { type MailboxStage, openMailboxStage } from './mailbox-stage.ts';
import { stageCertificate } from './smtp-stage.ts';

export interface MailboxDialog {
  readonly file: string;
  readonly title: string;
  readonly protocol: 'imap' | 'pop3';
  readonly tls: 'off' | 'starttls';
  readonly peer: string | undefined;
  /** It is about clear text, and makes no sense inside TLS. */
  readonly isClearText: boolean;
  readonly steps: readonly Step[];
}

const STEP = /^(C|C-raw|C-base64|C-tls|C-end|S|S-close|U|U-none|L)(?::|$) ?(.*)$|^(S[=~]) (.*)$/;

export function readMailboxDialog(protocol: 'imap' | 'pop3', file: string): MailboxDialog {
  const lines = readFileSync(file, 'utf8').split('\n');
  const title = lines.find((line) => line.startsWith('# '))?.slice(2) ?? file;
  const directives = new Map(
    lines
      .flatMap((line) => [/^@ (\w+) (.+)$/.exec(line)?.slice(1, 3) as [string, string] | undefined])
      .filter((pair) => pair !== undefined),
  );
  const steps = lines.flatMap((line, index): Step[] => {
    if (line === '' || line.startsWith('#') || line.startsWith('@')) return [];
    const match = STEP.exec(line);
    if (match === null) throw new Error(`${file}:${index + 1}: not a line of a dialogue: ${line}`);
    return [{ lineNumber: index + 1, kind: match[1] ?? match[3] ?? '', text: match[2] ?? match[4] ?? '' }];
  });
  return {
    file,
    title,
    protocol,
    tls: directives.get('tls') === 'starttls' ? 'starttls' : 'off',
    peer: directives.get('peer'),
    isClearText: directives.get('clear') === 'yes',
    steps,
  };
}

/** @param isEncrypted - TLS from the first octet, whatever the file says of STARTTLS. */
export async function runMailboxDialog(dialog: MailboxDialog, segmentation: Segmentation, isEncrypted = false): Promise<void> {
  const { protocol, peer } = dialog;
  const tls = isEncrypted ? 'implicit' : dialog.tls;
  const stage = await openMailboxStage({ protocol, settings: { tls }, ...(peer === undefined ? {} : { peer }) });
  const plain = connectTcp({ host: '127.0.0.1', port: stage.port, allowHalfOpen: true });
  const socket = isEncrypted ? connectTls({ socket: plain, ca: stageCertificate().caPem, servername: 'relay.test' }) : plain;
  const wire = new DialogWire(socket, segmentation);
  if (isEncrypted) await once(socket, 'secureConnect');
  const run = new Run(stage, wire);
  try {
    for (const step of dialog.steps) {
      try {
        await run.play(step);
      } catch (error) {
        throw new Error(`${dialog.file}:${step.lineNumber}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
    }
    await run.send();
  } finally {
    wire.destroy();
    await stage.close();
  }
}

class Run {
  readonly #stage: MailboxStage;
  readonly #wire: DialogWire;
  #outgoing: Buffer[] = [];
  #seenUpstream = 0;

  constructor(stage: MailboxStage, wire: DialogWire) {
    this.#stage = stage;
    this.#wire = wire;
  }

  async play({ kind, text }: Step): Promise<void> {
    const sent = outgoing(kind, text);
    if (sent !== undefined) return void this.#outgoing.push(sent);
    await this.send();
    switch (kind) {
      case 'C-tls':
        return this.#wire.upgrade();
      case 'C-end':
        return this.#wire.end();
      case 'S':
        return expectBegins(await this.#wire.line(), text);
      case 'S=':
        return assert.equal(await this.#wire.line(), text);
      case 'S~':
        return assert.match(await this.#wire.line(), new RegExp(text));
      case 'S-close':
        return assert.equal(await this.#wire.line(), CLOSED);
      case 'U-none':
        return assert.equal(this.#stage.upstreamText().slice(this.#seenUpstream), '');
      case 'U':
        return this.#expectUpstream(unescape(text).toString('latin1'));
      default:
        return this.#expectLog(text);
    }
  }

  async send(): Promise<void> {
    const octets = Buffer.concat(this.#outgoing);
    this.#outgoing = [];
    if (octets.length > 0) await this.#wire.write(octets);
  }

  async #expectUpstream(expected: string): Promise<void> {
    const news = (): string => this.#stage.upstreamText().slice(this.#seenUpstream);
    await eventually(() => news().length >= expected.length);
    assert.equal(news(), expected);
    this.#seenUpstream += expected.length;
  }

  async #expectLog(text: string): Promise<void> {
    const [event = '', code] = text.split(' ');
    const { log } = this.#stage;
    await eventually(() => log.of(event).length > 0);
    const codes = log.of(event).map((line) => line.problem?.code);
    assert.ok(code === undefined || codes.some((known) => known === code), `${event} was logged with ${codes.join(', ')}`);
  }
}

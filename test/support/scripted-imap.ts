/**
 * An IMAP server that says what a test tells it, from authenticated state on.
 *
 * @packageDocumentation
 */
import { Duplex } from 'node:stream';
import type { SignedInImap } from '../../src/pop3-from-imap/imap-session.ts';

/** Two ends of one connection. */
export function pair(): [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const make = (other: () => Duplex | undefined): Duplex =>
    new Duplex({
      read() {},
      write(chunk, _encoding, done) {
        other()?.push(chunk);
        setImmediate(done);
      },
      final(done) {
        other()?.push(null);
        done();
      },
      destroy(error, done) {
        const peer = other();
        if (peer !== undefined && !peer.readableEnded && !peer.destroyed) peer.push(null);
        done(error);
      },
    });
  ends.push(
    make(() => ends[1]),
    make(() => ends[0]),
  );
  return [ends[0]!, ends[1]!];
}

/** Answers to a command, without its tag. `undefined` closes the connection. `%TAG%` stands for the tag. */
export type ImapScript = (command: string) => string | Buffer | undefined;

/** A scripted IMAP server, in authenticated state. Remembers the commands of all sessions. */
export class ScriptedImap {
  readonly commands: string[] = [];
  sessions = 0;
  #live: Duplex | undefined;
  readonly #script: ImapScript;
  readonly #capabilities: readonly string[];

  constructor(script: ImapScript, capabilities: readonly string[] = ['IMAP4rev1', 'UIDPLUS']) {
    this.#script = script;
    this.#capabilities = capabilities;
  }

  /** The server vanishes. */
  drop(): void {
    this.#live?.destroy();
  }

  /** @param theirs - The server's end of a connection. */
  readonly serve = (theirs: Duplex): void => {
    this.#live = theirs;
    let held = '';
    theirs.on('error', () => {});
    theirs.on('data', (octets: Buffer) => {
      held += octets.toString('latin1');
      for (let end = held.indexOf('\r\n'); end !== -1; end = held.indexOf('\r\n')) {
        const [, tag = '', command = ''] = /^(\S+) (.*)$/.exec(held.slice(0, end)) ?? [];
        held = held.slice(end + 2);
        this.commands.push(command);
        const answer = this.#script(command);
        if (answer === undefined) theirs.destroy();
        else if (!theirs.destroyed) theirs.write(Buffer.from(answer.toString('latin1').replaceAll('%TAG%', tag), 'latin1'));
      }
    });
  };

  readonly open = async (): Promise<SignedInImap> => {
    this.sessions += 1;
    const [ours, theirs] = pair();
    this.serve(theirs);
    return {
      upstream: 'imap.test:993',
      socket: ours,
      rest: Buffer.alloc(0),
      capabilities: this.#capabilities,
      close: () => void ours.destroy(),
    };
  };
}

/** A mailbox of two messages, by UID; `more` answers first where it has an answer. */
export function mailbox(
  contents: ReadonlyMap<number, string>,
  more: (command: string) => string | undefined = () => undefined,
): ImapScript {
  return (command) => {
    const own = more(command);
    if (own === 'close') return undefined;
    if (own !== undefined) return own;
    if (command.startsWith('SELECT')) return `* ${contents.size} EXISTS\r\n* OK [UIDVALIDITY 77] x\r\n%TAG% OK [READ-WRITE] done\r\n`;
    if (command.startsWith('UID FETCH 1:*')) {
      const lines = [...contents].map(
        ([uid, { length }], index) => `* ${index + 1} FETCH (FLAGS (\\Seen) UID ${uid} RFC822.SIZE ${length})\r\n`,
      );
      return `${lines.join('')}%TAG% OK done\r\n`;
    }
    const fetch = /^UID FETCH (\d+) \(UID BODY\.PEEK\[\](?:<(\d+)\.(\d+)>)?\)$/.exec(command);
    if (fetch !== null) {
      const content = contents.get(Number(fetch[1]));
      if (content === undefined) return '%TAG% OK done\r\n';
      const from = Number(fetch[2] ?? 0);
      const part = fetch[3] === undefined ? content : content.slice(from, from + Number(fetch[3]));
      const origin = fetch[2] === undefined ? '' : `<${from}>`;
      return `* 9 EXISTS\r\n* 1 FETCH (UID ${fetch[1]} BODY[]${origin} {${part.length}}\r\n${part})\r\n%TAG% OK done\r\n`;
    }
    return '%TAG% OK done\r\n';
  };
}

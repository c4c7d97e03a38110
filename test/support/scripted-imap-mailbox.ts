/**
 * A mailbox on an IMAP server whose sessions are ended, and whose messages change, when a test says so. Sessions begin signed in.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';

interface StoredMessage {
  readonly uid: number;
  flags: string;
}

export class ScriptedImapMailbox {
  uidValidity = 7;
  uidNext = 14;
  isReadOnly = false;
  messages: StoredMessage[] = [
    { uid: 10, flags: '\\Seen' },
    { uid: 12, flags: '' },
    { uid: 13, flags: '\\Answered \\Seen' },
  ];
  /** Every line of every session, oldest first. */
  readonly lines: string[][] = [];
  readonly sockets: Socket[] = [];
  /** Answers nothing to commands that match; they stay in progress. */
  silence: RegExp | undefined;

  /** Of the newest session. */
  get socket(): Socket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error('no session');
    return socket;
  }

  readonly serve = (socket: Socket): void => {
    const lines: string[] = [];
    this.lines.push(lines);
    this.sockets.push(socket);
    let text = '';
    let idleTag: string | undefined;
    socket
      .on('error', () => undefined)
      .on('data', (octets: Buffer) => {
        text += octets.toString('latin1');
        for (let end = text.indexOf('\r\n'); end !== -1; end = text.indexOf('\r\n')) {
          const line = text.slice(0, end);
          text = text.slice(end + 2);
          lines.push(line);
          if (this.silence?.test(line) === true) continue;
          if (line === 'DONE') socket.write(`${idleTag} OK IDLE done\r\n`);
          else if (line.endsWith(' IDLE')) [idleTag] = line.split(' ');
          if (line !== 'DONE') socket.write(this.#answer(line), 'latin1');
        }
      });
  };

  /** A new message; the newest session is told. */
  arrive(flags = ''): void {
    this.messages.push({ uid: this.uidNext, flags });
    this.uidNext += 1;
    this.socket.write(`* ${this.messages.length} EXISTS\r\n`);
  }

  /** As {@link arrive}, while nobody listens. */
  arriveUnseen(): void {
    this.messages.push({ uid: this.uidNext, flags: '' });
    this.uidNext += 1;
  }

  /** The newest session is told why it ends, and ended. */
  expire(why = 'Session invalidated - AccessTokenExpired'): void {
    this.socket.end(`* BYE ${why}\r\n`);
  }

  #answer(line: string): string {
    const [tag = '*', verb = '', ...rest] = line.split(' ');
    switch (verb.toUpperCase()) {
      case 'SELECT':
      case 'EXAMINE':
        return this.#select(tag, verb);
      case 'IDLE':
        return '+ idling\r\n';
      case 'FETCH':
        return this.#fetch(tag, rest[0] ?? '', rest.slice(1).join(' '));
      case 'LOGOUT':
        return `* BYE bye\r\n${tag} OK\r\n`;
      default:
        return `${tag} OK ${verb}\r\n`;
    }
  }

  #select(tag: string, verb: string): string {
    const access = this.isReadOnly || verb === 'EXAMINE' ? 'READ-ONLY' : 'READ-WRITE';
    return [
      `* ${this.messages.length} EXISTS`,
      '* 0 RECENT',
      `* OK [UIDVALIDITY ${this.uidValidity}] valid`,
      `* OK [UIDNEXT ${this.uidNext}] next`,
      `${tag} OK [${access}] ${verb} done`,
      '',
    ].join('\r\n');
  }

  #fetch(tag: string, set: string, items: string): string {
    const [from = '1', to = from] = set.split(':');
    const last = to === '*' ? this.messages.length : Number(to);
    const told = this.messages.flatMap(({ uid, flags }, index) => {
      const sequence = index + 1;
      if (sequence < Number(from) || sequence > last) return [];
      const attributes = [/\bUID\b/.test(items) ? `UID ${uid}` : '', /\bFLAGS\b/.test(items) ? `FLAGS (${flags})` : ''];
      return [`* ${sequence} FETCH (${attributes.filter((text) => text !== '').join(' ')})\r\n`];
    });
    return `${told.join('')}${tag} OK FETCH done\r\n`;
  }
}

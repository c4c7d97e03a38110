/**
 * A server that speaks lines (IMAP, POP3) and says what a test tells it to say, with or without TLS. It remembers the lines that it was sent.
 *
 * @packageDocumentation
 */
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import * as tls from 'node:tls';
import type { IssuedCertificate } from './test-ca.ts';

/**
 * What to answer to a line: text, lines separated by CRLF, sent with CRLF added. `''` says nothing, `close` ends the connection; `STARTTLS:…` sends the rest
 * and goes on with TLS.
 */
export type LineAnswer = string;

export interface LineScript {
  readonly greeting: LineAnswer;
  /** @param count - Lines of this session so far, this one included. */
  answer(line: string, count: number): LineAnswer;
}

export class ScriptedLineServer {
  readonly lines: string[] = [];
  sessions = 0;
  readonly #sockets = new Set<Socket>();
  readonly #server: Server;
  readonly #script: () => LineScript;
  readonly #context: tls.SecureContext;
  readonly #isImplicit: boolean;

  private constructor(script: () => LineScript, { certPem, keyPem }: IssuedCertificate, isImplicit: boolean, tlsOptions: tls.TlsOptions) {
    this.#script = script;
    this.#context = tls.createSecureContext({ cert: certPem, key: keyPem, ...tlsOptions });
    this.#isImplicit = isImplicit;
    this.#server = createServer((socket) => this.#accept(socket));
  }

  /** @param script - Asked for each session. */
  static async start(
    script: () => LineScript,
    certificate: IssuedCertificate,
    { isImplicit = true, tlsOptions = {} }: { readonly isImplicit?: boolean; readonly tlsOptions?: tls.TlsOptions } = {},
  ): Promise<ScriptedLineServer> {
    const server = new ScriptedLineServer(script, certificate, isImplicit, tlsOptions);
    await new Promise<void>((resolve) => void server.#server.listen(0, '127.0.0.1', resolve));
    return server;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #accept(raw: Socket): void {
    this.sessions += 1;
    this.#sockets.add(raw);
    raw.on('error', () => {}); // The client may cut the connection; that is what is being tested.
    const session = new LineSession(this.#script(), this.lines, this.#context);
    if (this.#isImplicit) session.secure(raw, true);
    else session.listen(raw, true);
  }
}

class LineSession {
  readonly #script: LineScript;
  readonly #lines: string[];
  readonly #context: tls.SecureContext;
  #socket: Socket | undefined;
  #buffer = '';
  #count = 0;

  constructor(script: LineScript, lines: string[], context: tls.SecureContext) {
    this.#script = script;
    this.#lines = lines;
    this.#context = context;
  }

  secure(raw: Socket, isNew: boolean): void {
    raw.removeAllListeners('data');
    const secured = new tls.TLSSocket(raw, { isServer: true, secureContext: this.#context });
    secured.on('error', () => {});
    this.listen(secured, false);
    if (isNew) secured.once('secure', () => this.#say(this.#script.greeting));
  }

  listen(socket: Socket, isNew: boolean): void {
    this.#socket = socket;
    socket.on('data', (octets: Buffer) => this.#read(octets.toString('latin1')));
    if (isNew) this.#say(this.#script.greeting);
  }

  #read(text: string): void {
    this.#buffer += text;
    for (let end = this.#buffer.indexOf('\r\n'); end !== -1; end = this.#buffer.indexOf('\r\n')) {
      const line = this.#buffer.slice(0, end);
      this.#buffer = this.#buffer.slice(end + 2);
      this.#lines.push(line);
      this.#count += 1;
      this.#say(this.#script.answer(line, this.#count));
    }
  }

  #say(answer: LineAnswer): void {
    const socket = this.#socket;
    if (answer === '' || socket === undefined) return;
    if (answer === 'close') socket.end();
    else if (answer.startsWith('STARTTLS:')) {
      socket.write(`${answer.slice('STARTTLS:'.length)}\r\n`);
      this.secure(socket, false);
    } else socket.write(`${answer}\r\n`);
  }
}

/** IMAP as Exchange Online speaks it; `changes` replace the answers to commands (without tag: `T` stands for it), by their first word. */
export function imapScript(changes: Readonly<Record<string, string>> = {}): LineScript {
  const answers: Readonly<Record<string, string>> = {
    CAPABILITY:
      '* CAPABILITY IMAP4 IMAP4rev1 AUTH=PLAIN AUTH=XOAUTH2 SASL-IR UIDPLUS ID UNSELECT CHILDREN IDLE NAMESPACE LITERAL+\r\nT OK CAPABILITY completed.',
    AUTHENTICATE: '+ ',
    credentials: 'T OK AUTHENTICATE completed.',
    '': 'T NO AUTHENTICATE failed.',
    STATUS: '* STATUS INBOX (MESSAGES 12)\r\nT OK STATUS completed.',
    LOGOUT: '* BYE Microsoft Exchange Server IMAP4 server signing off.\r\nT OK LOGOUT completed.',
    ...changes,
  };
  let tag = '';
  let isSigningIn = false;
  return {
    greeting: changes['greeting'] ?? '* OK The Microsoft Exchange IMAP4 service is ready. [TABC]',
    answer(line) {
      const words = line.split(' ');
      const isCredentials = isSigningIn;
      if (!isCredentials) tag = words[0] ?? '';
      const verb = (words[1] ?? '').toUpperCase();
      const hasInitialResponse = verb === 'AUTHENTICATE' && words.length === 4; // SASL-IR
      const step = isCredentials ? (line === '' ? '' : 'credentials') : hasInitialResponse ? 'credentials' : verb;
      const answer = answers[step] ?? 'T BAD Command Error. 12';
      isSigningIn = (step === 'AUTHENTICATE' || step === 'credentials') && answer.startsWith('+');
      return answer.replaceAll(/^(STARTTLS:)?T /gm, (_whole, verb: string | undefined) => `${verb ?? ''}${tag} `);
    },
  };
}

/** POP3 as Exchange Online speaks it. */
export function pop3Script(changes: Readonly<Record<string, string>> = {}): LineScript {
  const answers: Readonly<Record<string, string>> = {
    CAPA: '+OK\r\nTOP\r\nUIDL\r\nSASL PLAIN XOAUTH2\r\nUSER\r\n.',
    AUTH: '+ ',
    credentials: '+OK User successfully authenticated.',
    '': '-ERR Authentication failure: unknown user name or bad password.',
    STAT: '+OK 7 4711',
    QUIT: '+OK Microsoft Exchange Server POP3 server signing off.',
    ...changes,
  };
  let isSigningIn = false;
  return {
    greeting: changes['greeting'] ?? '+OK The Microsoft Exchange POP3 service is ready. [TABC]',
    answer(line) {
      const step = isSigningIn ? (line === '' ? '' : 'credentials') : (line.split(' ')[0] ?? '').toUpperCase();
      const answer = answers[step] ?? '-ERR Command is not valid in this state.';
      isSigningIn = (step === 'AUTH' || step === 'credentials') && answer.startsWith('+ ');
      return answer;
    },
  };
}

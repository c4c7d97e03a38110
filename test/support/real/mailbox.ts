/**
 * Reads messages back, octet for octet, over IMAP on implicit TLS with XOAUTH2: a client of a few lines, so that nothing of ours or of a
 * library stands between the server and the assertion.
 *
 * @packageDocumentation
 */
import { connect, type TLSSocket } from 'node:tls';

export interface ImapServer {
  readonly port: number;
  readonly caPem: string;
}

/** One answer of the server: its lines, and the literals among them in order (RFC 9051 §4.3). */
interface Answer {
  readonly text: string;
  readonly literals: readonly Buffer[];
}

/** All messages of INBOX, as stored. */
export async function readMailbox(server: ImapServer, mailbox: string, accessToken: string): Promise<Buffer[]> {
  const client = await ImapClient.open(server);
  try {
    await client.authenticate(mailbox, accessToken);
    const { text } = await client.command('SELECT INBOX');
    if (/^\* 0 EXISTS/m.test(text)) return [];
    return [...(await client.command('FETCH 1:* BODY.PEEK[]')).literals];
  } finally {
    client.close();
  }
}

/** How many messages INBOX has. */
export async function countMessages(server: ImapServer, mailbox: string, accessToken: string): Promise<number> {
  const client = await ImapClient.open(server);
  try {
    await client.authenticate(mailbox, accessToken);
    const { text } = await client.command('STATUS INBOX (MESSAGES)');
    return Number(/MESSAGES (\d+)/.exec(text)?.[1] ?? Number.NaN);
  } finally {
    client.close();
  }
}

/** Puts messages into INBOX, octet for octet, with APPEND (RFC 9051 §6.3.12). */
export async function appendMessages(server: ImapServer, mailbox: string, accessToken: string, contents: readonly Buffer[]): Promise<void> {
  const client = await ImapClient.open(server);
  try {
    await client.authenticate(mailbox, accessToken);
    for (const content of contents) await client.append(content);
  } finally {
    client.close();
  }
}

class ImapClient {
  readonly #socket: TLSSocket;
  #received: Buffer[] = [];
  #wake: () => void = () => undefined;
  #error: Error | undefined;
  #tag = 0;

  constructor(socket: TLSSocket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received.push(chunk);
      this.#wake();
    });
    socket.on('error', (error) => this.#fail(error));
    socket.on('close', () => this.#fail(new Error('IMAP connection closed')));
  }

  static async open(server: ImapServer): Promise<ImapClient> {
    const socket = connect({ port: server.port, host: '127.0.0.1', servername: 'localhost', ca: server.caPem });
    const client = new ImapClient(socket);
    await client.#answer(/^\* OK/);
    return client;
  }

  async authenticate(mailbox: string, accessToken: string): Promise<void> {
    const response = Buffer.from(`user=${mailbox}\u0001auth=Bearer ${accessToken}\u0001\u0001`).toString('base64');
    this.#socket.write(`a0 AUTHENTICATE XOAUTH2\r\n`);
    await this.#answer(/^\+/);
    this.#socket.write(`${response}\r\n`);
    const { text } = await this.#answer(/^(?:a0 |\+)/);
    if (!/^a0 OK/m.test(text)) throw new Error(`IMAP login of ${mailbox} refused: ${text}`);
  }

  async command(command: string): Promise<Answer> {
    this.#tag += 1;
    const tag = `a${this.#tag}`;
    this.#socket.write(`${tag} ${command}\r\n`);
    const answer = await this.#answer(new RegExp(`^${tag} `));
    if (!new RegExp(`^${tag} OK`, 'm').test(answer.text)) throw new Error(`${command}: ${answer.text}`);
    return answer;
  }

  async append(content: Buffer): Promise<void> {
    this.#tag += 1;
    const tag = `a${this.#tag}`;
    this.#socket.write(`${tag} APPEND INBOX {${content.length}}\r\n`);
    const { text: invitation } = await this.#answer(new RegExp(`^(?:\\+ |${tag} )`));
    if (!/^\+ /m.test(invitation)) throw new Error(`APPEND: ${invitation}`);
    this.#socket.write(content);
    this.#socket.write('\r\n');
    const { text } = await this.#answer(new RegExp(`^${tag} `));
    if (!new RegExp(`^${tag} OK`, 'm').test(text)) throw new Error(`APPEND: ${text}`);
  }

  close(): void {
    this.#socket.destroy();
  }

  /** Collects up to and with the first line that matches. */
  async #answer(last: RegExp): Promise<Answer> {
    const lines: string[] = [];
    const literals: Buffer[] = [];
    for (;;) {
      const line = await this.#takeLine();
      lines.push(line);
      const size = /\{(\d+)\}$/.exec(line)?.[1];
      if (size !== undefined) literals.push(await this.#takeOctets(Number(size)));
      else if (last.test(line)) return { text: lines.join('\n'), literals };
    }
  }

  async #takeLine(): Promise<string> {
    for (;;) {
      const data = this.#join();
      const end = data.indexOf('\r\n');
      if (end >= 0) {
        this.#received = [data.subarray(end + 2)];
        return data.toString('latin1', 0, end);
      }
      await this.#more();
    }
  }

  async #takeOctets(count: number): Promise<Buffer> {
    while (this.#received.reduce((sum, chunk) => sum + chunk.length, 0) < count) await this.#more();
    const data = this.#join();
    this.#received = [data.subarray(count)];
    return data.subarray(0, count);
  }

  #join(): Buffer {
    const data = this.#received.length === 1 ? this.#received[0] : undefined;
    return data ?? Buffer.concat(this.#received);
  }

  async #more(): Promise<void> {
    if (this.#error !== undefined) throw this.#error;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  #fail(error: Error): void {
    this.#error ??= error;
    this.#wake();
  }
}

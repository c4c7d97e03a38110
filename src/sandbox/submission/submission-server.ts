/**
 * The submission port: smtp-server with {@link ExchangeConnection} in place of its own connection.
 *
 * @packageDocumentation
 */
import type { AddressInfo, Socket } from 'node:net';
import { SMTPServer, type SMTPServerAddress, type SMTPServerDataStream, type SMTPServerError, type SMTPServerSession } from 'smtp-server';
import type { SMTPConnectionOptions } from 'smtp-server/lib/smtp-connection';
import type { KeyedCertificate } from '../certificates.ts';
import type { TlsContexts } from '../tls-contexts.ts';
import type { Exchange } from './exchange.ts';
import { ExchangeConnection } from './exchange-connection.ts';
import { ANNOUNCED_SIZE, HOST_NAME, REPLIES } from './exchange-replies.ts';
import { Transaction } from './transaction.ts';

/** A server that listens. */
export interface RunningSubmissionServer {
  readonly port: number;
  close(): Promise<void>;
}

/** How a handler of smtp-server reports back. */
type Callback = (error?: Error | null) => void;

/** Clients of a sandbox are few; a program that loses count is stopped here. */
const MOST_CONNECTIONS = 500;
/** RFC 5321 §4.5.3.2.7 asks for five minutes at least. */
const IDLE_TIMEOUT_MS = 300_000;
/** Sinks and jokes of the library that Exchange does not know. */
const UNKNOWN_COMMANDS = ['WIZ', 'SHELL', 'KILL', 'XCLIENT', 'XFORWARD'];

export async function startSubmissionServer(
  host: string,
  port: number,
  exchange: Exchange,
  contexts: TlsContexts,
  certificate: KeyedCertificate,
): Promise<RunningSubmissionServer> {
  const server = new SubmissionServer(exchange, contexts, certificate);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      resolve();
    });
  });
  server.on('error', (error) => exchange.deps.log.debug({ event: 'sandbox-session-failed', error }, 'a session with the sandbox broke'));
  return { port: (server.server.address() as AddressInfo).port, close: () => server.stop() };
}

class SubmissionServer extends SMTPServer {
  readonly #exchange: Exchange;
  readonly #contexts: TlsContexts;
  readonly #bySession = new WeakMap<SMTPServerSession, ExchangeConnection>();
  readonly #transactions = new WeakMap<SMTPServerSession, Transaction>();
  readonly #live = new Set<ExchangeConnection>();

  constructor(exchange: Exchange, contexts: TlsContexts, certificate: KeyedCertificate) {
    super({
      ...certificate,
      minVersion: 'TLSv1.2',
      name: HOST_NAME,
      heloResponse: '%s Hello %s',
      size: ANNOUNCED_SIZE,
      authMethods: ['LOGIN', 'XOAUTH2'],
      authRequiredMessage: REPLIES.notSignedIn,
      disabledCommands: UNKNOWN_COMMANDS,
      disableReverseLookup: true,
      hideDSN: false,
      maxClients: MOST_CONNECTIONS,
      socketTimeout: IDLE_TIMEOUT_MS,
      logger: false,
    });
    this.#exchange = exchange;
    this.#contexts = contexts;
  }

  override connect(socket: Socket, options?: SMTPConnectionOptions | null): void {
    const connection = new ExchangeConnection(this, socket, options ?? null, this.#exchange, this.#contexts);
    this.connections.add(connection);
    this.#live.add(connection);
    this.#bySession.set(connection.session, connection);
    connection.on('error', (error: Error) => this._onError(error));
    connection.init();
  }

  /** At once: the library's own waits for a turn of the event loop, in which a hasty client is told that it talks too soon. */
  override onConnect(_session: SMTPServerSession, callback: Callback): void {
    callback();
  }

  override onMailFrom(_address: SMTPServerAddress, session: SMTPServerSession, callback: Callback): void {
    const connection = this.#bySession.get(session);
    const signedIn = connection?.signedIn;
    if (connection === undefined || signedIn === undefined) return callback(refusal(`530 ${REPLIES.notSignedIn}`));
    const heard = connection.heardPath;
    const refused = this.#exchange.judgeReversePath(connection, signedIn, heard.address);
    if (refused !== undefined) return callback(refusal(refused));
    this.#transactions.set(session, new Transaction(connection, signedIn, heard));
    callback();
  }

  override onRcptTo(_address: SMTPServerAddress, session: SMTPServerSession, callback: Callback): void {
    const connection = this.#bySession.get(session);
    const transaction = this.#transactions.get(session);
    if (connection === undefined || transaction === undefined) return callback(refusal('503 5.5.2 Need mail command'));
    const refused = transaction.addForwardPath(connection.heardPath);
    callback(refused === undefined ? null : refusal(refused));
  }

  override onData(
    stream: SMTPServerDataStream,
    session: SMTPServerSession,
    callback: (error?: Error | null, message?: string) => void,
  ): void {
    const answer = (reply: string): void => (reply.startsWith('250') ? callback(null, reply.slice(4)) : callback(refusal(reply)));
    void this.#takeContent(this.#transactions.get(session), stream, answer);
  }

  async #takeContent(transaction: Transaction | undefined, stream: SMTPServerDataStream, answer: (reply: string) => void): Promise<void> {
    try {
      if (transaction === undefined) answer('503 5.5.2 Need rcpt command');
      else await transaction.takeContent(stream, answer);
    } catch (error) {
      // Mostly a client that left before the dot; then nobody reads the reply and the library drops it.
      this.#exchange.deps.log.debug({ event: 'sandbox-content-lost', error }, 'the sandbox did not get a message to its end');
      answer('451 4.4.2 Connection dropped');
    }
  }

  override onClose(session: SMTPServerSession): void {
    const connection = this.#bySession.get(session);
    if (connection !== undefined) this.#live.delete(connection);
  }

  /** Close the port and cut what is open: faults may hold sessions for ever. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.close(resolve);
      for (const connection of this.#live) connection.cut();
    });
  }
}

/** An error that makes smtp-server send this reply. */
function refusal(reply: string): SMTPServerError {
  return Object.assign(new Error(reply.slice(4)), { responseCode: Number(reply.slice(0, 3)) });
}

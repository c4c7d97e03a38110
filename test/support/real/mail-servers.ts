/**
 * A provider made of Debian's Postfix and Dovecot: submission, IMAP and POP3 on loopback, in front of an authorization server. Everything
 * lies under one temporary folder.
 *
 * @packageDocumentation
 */
import { createTestAuthority } from '../test-ca.ts';
import { type AuthorizationServer, startAuthorizationServer } from './authorization-server.ts';
import { createWorkFolder, type Daemon, eventually, type WorkFolder } from './daemon.ts';
import { startDovecot } from './dovecot.ts';
import { countMessages, readMailbox } from './mailbox.ts';
import { lowPort } from './ports.ts';
import { MAIL_DOMAIN, type PostfixSettings, queuedMessages, startPostfix } from './postfix.ts';

/** Who may submit; reading works for any address of the domain. The delegate may send as the shared mailbox, too. */
const LOGINS = ['billing', 'printers', 'delegate', 'app'];

export interface RealServers {
  readonly authorization: AuthorizationServer;
  /** Name of all mail servers, as in their certificates. */
  readonly host: 'localhost';
  readonly smtpPort: number;
  readonly imapPort: number;
  readonly pop3Port: number;
  /** Dovecot's LMTP, in clear. */
  readonly lmtpPort: number;
  /** Postfix for mail from elsewhere: no sign-in, STARTTLS offered. */
  readonly inboundPort: number;
  /** The private CA that issued the servers' certificates; it issued the one in `certFile` for `localhost`, too. */
  readonly caFile: string;
  readonly caPem: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly folder: WorkFolder;
  /**
   * Wait until everything submitted lies in mailboxes, then read INBOX of one: the stored octets of each message.
   *
   * @throws Error where something stays in Postfix's queue.
   */
  readMailbox(mailbox: string): Promise<Buffer[]>;
  countMessages(mailbox: string): Promise<number>;
  /** Nobody listens on the submission port any more, once what was submitted lies in mailboxes. Open sessions are cut. @throws As {@link readMailbox}. */
  stopSmtp(): Promise<void>;
  startSmtp(): Promise<void>;
  /** What Postfix logged. */
  smtpLog(): string;
  stop(): Promise<void>;
}

export interface RealServerSettings {
  /** Submission sessions that Postfix allows a peer at a time; 0, the default: any number. */
  readonly connectionLimit?: number;
}

/** Takes some seconds; packages must have been installed. */
export async function startRealServers(settings: RealServerSettings = {}): Promise<RealServers> {
  const folder = createWorkFolder();
  const authority = createTestAuthority();
  const issued = authority.issue({ hosts: ['localhost', '127.0.0.1'] });
  const caFile = folder.write('tls/ca.pem', authority.caPem);
  const certFile = folder.write('tls/cert.pem', issued.certPem);
  const keyFile = folder.write('tls/key.pem', issued.keyPem, 0o600);
  const authorization = await startAuthorizationServer(`app@${MAIL_DOMAIN}`);
  const [imapPort, pop3Port, smtpPort] = [await lowPort(), await lowPort(), await lowPort()];
  const [lmtpPort, inboundPort] = [await lowPort(), await lowPort()];
  const { introspectionUrl } = authorization;
  const dovecot = await startDovecot(folder, { imapPort, pop3Port, lmtpPort, introspectionUrl, certFile, keyFile });
  const senders = new Map([...LOGINS, 'shared'].map((local) => [address(local), address(local === 'shared' ? 'delegate' : local)]));
  const connectionLimit = settings.connectionLimit ?? 0;
  const postfixSettings: PostfixSettings = { port: smtpPort, inboundPort, certFile, keyFile, senders, connectionLimit };
  let postfix: Daemon = await startPostfix(folder, postfixSettings);
  const imap = { port: imapPort, caPem: authority.caPem };

  return {
    authorization,
    host: 'localhost',
    smtpPort,
    imapPort,
    pop3Port,
    lmtpPort,
    inboundPort,
    caFile,
    caPem: authority.caPem,
    certFile,
    keyFile,
    folder,
    async readMailbox(mailbox) {
      await untilDelivered(folder);
      return readMailbox(imap, mailbox, await authorization.mintAccessToken(mailbox));
    },
    async countMessages(mailbox) {
      return countMessages(imap, mailbox, await authorization.mintAccessToken(mailbox));
    },
    async stopSmtp() {
      // A Postfix that is killed between Dovecot's reply and its own record of it delivers once more when it is back.
      await untilDelivered(folder);
      await postfix.stop();
    },
    async startSmtp() {
      postfix = await startPostfix(folder, postfixSettings);
    },
    smtpLog: () => smtpLog(folder),
    async stop() {
      await postfix.stop();
      await dovecot.stop();
      await authorization.stop();
      folder.remove();
    },
  };
}

const address = (local: string): string => `${local}@${MAIL_DOMAIN}`;

async function untilDelivered(folder: WorkFolder): Promise<void> {
  const isDelivered = await eventually(() => queuedMessages(folder) === 0, 60_000);
  if (!isDelivered) throw new Error(`messages stay in Postfix's queue:\n${smtpLog(folder).slice(-3000)}`);
}

function smtpLog(folder: WorkFolder): string {
  return folder.read('postfix/postfix.log');
}

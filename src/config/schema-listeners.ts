/**
 * Schema of what Postern opens on this machine: `listeners` and `admin`.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { duration, flag, host, integer, path, port, secret, size } from './schema-parts.ts';

const tls = () => z.enum(['off', 'starttls', 'implicit']).prefault('off');

const tlsKeys = {
  tls: tls().describe(
    '`off`: clear text. `starttls`: clear text until the application asks for TLS. `implicit`: TLS from the first byte. The last two need `cert` and `key`.',
  ),
  cert: path().describe('Certificate chain in a PEM file.').optional(),
  key: path().describe('Private key of `cert` in a PEM file without a passphrase.').optional(),
  minTls: z
    .enum(['TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'])
    .prefault('TLSv1.2')
    .describe('Oldest TLS version accepted from applications. Lower it only for devices that know nothing newer.'),
};

const listenHost = () =>
  host().prefault('127.0.0.1').describe('Address to listen on. Anything but loopback needs clients with passwords or networks.');

export const smtpListenerSchema = z.strictObject({
  host: listenHost(),
  port: port().prefault(2525).describe('TCP port.'),
  ...tlsKeys,
  requireAuth: flag().prefault(false).describe('Ask for a user name and password also where the network of the peer would do.'),
  requireTls: flag()
    .prefault(false)
    .describe('Refuse passwords and messages until the connection is encrypted. Needs `tls: starttls` or `implicit`.'),
  maxSize: size()
    .describe(
      "Largest message, as on the wire. Default: the largest `limits.maxSize` among the accounts' providers, 35MB without accounts.",
    )
    .optional(),
  maxRecipients: integer(1, 10_000).prefault(500).describe('Most recipients of one message.'),
});

const timeouts = (idle: string) => ({
  loginTimeout: duration().prefault('1m').describe('An application that has not logged in may be silent for so long.'),
  idleTimeout: duration()
    .prefault(idle)
    .describe(
      'A session in which neither side has said anything for so long is ended. Providers have limits of their own, often 30 minutes.',
    ),
});

export const imapListenerSchema = z.strictObject({
  host: listenHost(),
  port: port().prefault(1143).describe('TCP port.'),
  ...tlsKeys,
  ...timeouts('24h'),
  capabilityInGreeting: flag()
    .prefault(true)
    .describe('The greeting says the capabilities, as most readers expect and Exchange does not. Off for a reader that stumbles over it.'),
  plainSearch: flag()
    .prefault(true)
    .describe(
      'Leave `CHARSET UTF-8` out of a SEARCH that is all ASCII; it finds the same. Exchange refuses the charset (`BADCHARSET`) whatever is searched for.',
    ),
  specialUse: flag()
    .prefault(false)
    .describe(
      'Where the server does not know SPECIAL-USE (Exchange), add `\\Sent`, `\\Drafts`, `\\Trash`, `\\Junk` or `\\Archive` to mailboxes with well-known English names in replies to LIST. A reader may then move its own sent or deleted messages there.',
    ),
});

export const pop3ListenerSchema = z.strictObject({
  host: listenHost(),
  port: port().prefault(1110).describe('TCP port.'),
  ...tlsKeys,
  ...timeouts('1h'),
});

export const listenersSchema = z.strictObject({
  smtp: z
    .array(smtpListenerSchema)
    .describe('Where applications submit mail. Default: one listener on 127.0.0.1:2525 if `listeners` is left out.')
    .optional(),
  imap: z.array(imapListenerSchema).describe('Where applications read mail with IMAP.').optional(),
  pop3: z.array(pop3ListenerSchema).describe('Where applications read mail with POP3.').optional(),
});

export const adminSchema = z.strictObject({
  host: host().prefault('127.0.0.1').describe('Address to listen on. Anything but loopback needs a password, and should have `tls`.'),
  port: port().prefault(8025).describe('TCP port.'),
  password: secret()
    .describe('Asked for by the pages, the API and `/metrics`: Basic (any user name), Bearer, or signing in on the page.')
    .optional(),
  passwordHash: secret().describe('Instead of `password`: what `postern hash-password` prints.').optional(),
  tls: z.enum(['off', 'implicit']).prefault('off').describe('`implicit`: HTTPS, with `cert` and `key`.'),
  cert: path().describe('Certificate chain in a PEM file.').optional(),
  key: path().describe('Private key of `cert` in a PEM file without a passphrase.').optional(),
  hostnames: z
    .array(host())
    .describe(
      'Names under which it may be reached, besides its addresses, `localhost` and the name of the machine. Requests for other names are refused (DNS rebinding).',
    )
    .optional(),
  subjects: flag()
    .prefault(true)
    .describe(
      'Keep the subjects of the last 2,000 messages, in memory only, so that page and API can show and search them. They are never in the log, in metrics or traces.',
    ),
});

export type ListenerInput = Omit<MailboxListenerInput, 'loginTimeout' | 'idleTimeout'>;
export type MailboxListenerInput = z.output<typeof pop3ListenerSchema>;
export type ImapListenerInput = z.output<typeof imapListenerSchema>;
export type SmtpListenerInput = z.output<typeof smtpListenerSchema>;
export type AdminInput = z.output<typeof adminSchema>;

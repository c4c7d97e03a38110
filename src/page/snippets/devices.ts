/** Devices and mail programs: settings that somebody types into forms. */
import { type Application, type AppSettings, lines } from './application.ts';

const PANEL_TLS = { off: 'none (SSL/TLS off)', starttls: 'STARTTLS', implicit: 'SSL/TLS' } as const;
const THUNDERBIRD_TLS = { off: 'None', starttls: 'STARTTLS', implicit: 'SSL/TLS' } as const;

const panel = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    `SMTP server:     ${host}`,
    `Port:            ${port}`,
    `Encryption:      ${PANEL_TLS[tls]}`,
    username === undefined
      ? 'Authentication:  none'
      : ['Authentication:  SMTP AUTH (PLAIN or LOGIN)', `User name:       ${username}`, `Password:        ${password}`],
    `Sender address:  ${from}`,
  );

const thunderbird = ({ host, port, tls, username }: AppSettings): string =>
  lines(
    'Account settings > Outgoing server (SMTP)',
    `Server name:            ${host}`,
    `Port:                   ${port}`,
    `Connection security:    ${THUNDERBIRD_TLS[tls]}`,
    `Authentication method:  ${username === undefined ? 'No authentication' : tls === 'off' ? 'Password, transmitted insecurely' : 'Normal password'}`,
    username !== undefined && `User name:              ${username}`,
  );

export const DEVICES: readonly Application[] = [
  {
    id: 'printer',
    title: 'Printer or scanner panel',
    language: 'text',
    notes: [
      'Names differ by maker: look for *SMTP*, *E-mail* or *Scan to e-mail*. Many take the sender from an address of the device: it must be one that the client may send as.',
      'Where there is no field for a password, make the device a client by its address (`networks`).',
      'Old devices know no TLS newer than 1.0: leave encryption off on a trusted network, or set `minTls` of the listener.',
    ],
    render: panel,
  },
  {
    id: 'thunderbird',
    title: 'Thunderbird',
    language: 'text',
    notes: [
      'The identity that sends must have an address that the client may send as.',
      'To read the mailbox as well, give Postern a listener for IMAP, and take the same user name and password for the incoming server.',
    ],
    render: thunderbird,
  },
];

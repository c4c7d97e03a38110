/** Servers and command lines: settings that stand in files. */
import { type Application, type AppSettings, lines } from './application.ts';

const aem = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    '# com.day.cq.mailer.DefaultMailService.config',
    `smtp.host="${escaped(host)}"`,
    `smtp.port=I"${port}"`,
    username !== undefined && [`smtp.user="${escaped(username)}"`, `smtp.password="${escaped(password)}"`],
    `from.address="${escaped(from)}"`,
    `smtp.ssl=B"${tls === 'implicit'}"`,
    `smtp.starttls=B"${tls === 'starttls'}"`,
    `smtp.requiretls=B"${tls === 'starttls'}"`,
  );

/** In a value of Apache Felix: quotes, backslashes, and the signs that would begin something there. */
const escaped = (text: string): string => text.replace(/["\\=]/g, String.raw`\$&`);

const postfix = ({ host, port, tls, from, username, password }: AppSettings): string => {
  const relay = `[${host}]:${port}`;
  return lines(
    '# /etc/postfix/main.cf',
    'inet_interfaces = loopback-only',
    'mydestination =',
    `relayhost = ${relay}`,
    '# Names of /etc/hosts count, too: Postfix asks the DNS alone otherwise.',
    'smtp_host_lookup = dns, native',
    '# Whatever the local sender is: the mailbox sends it.',
    `sender_canonical_maps = static:${from}`,
    `smtp_tls_security_level = ${tls === 'off' ? 'none' : 'secure'}`,
    tls !== 'off' && `smtp_tls_secure_cert_match = ${host}`,
    tls === 'implicit' && 'smtp_tls_wrappermode = yes',
    username !== undefined && [
      'smtp_sasl_auth_enable = yes',
      'smtp_sasl_security_options = noanonymous',
      'smtp_sasl_password_maps = texthash:/etc/postfix/sasl_passwd',
      '',
      '# /etc/postfix/sasl_passwd (0600)',
      `${relay} ${username}:${password}`,
    ],
  );
};

const msmtp = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    '# /etc/msmtprc (0600, or readable for the group that sends)',
    'account default',
    `host ${host}`,
    `port ${port}`,
    `from ${from}`,
    `tls ${tls === 'off' ? 'off' : 'on'}`,
    tls !== 'off' && `tls_starttls ${tls === 'starttls' ? 'on' : 'off'}`,
    username === undefined ? 'auth off' : ['auth plain', `user ${word(username)}`, `password ${word(password)}`],
  );

/** msmtp takes everything between quotes as it is. */
const word = (text: string): string => (/[\s"#]/.test(text) ? `"${text}"` : text);

const curl = ({ host, port, tls, from, username, password }: AppSettings): string =>
  lines(
    "printf 'From: %s\\nTo: %s\\nSubject: Subject\\n\\nText\\n' \\",
    `  ${shell(from)} someone@example.com |`,
    `  curl --silent --show-error ${tls === 'implicit' ? 'smtps' : 'smtp'}://${host.includes(':') ? `[${host}]` : host}:${port} ${tls === 'starttls' ? '--ssl-reqd ' : ''}\\`,
    username !== undefined && `    --user ${shell(`${username}:${password}`)} \\`,
    `    --mail-from ${shell(from)} --mail-rcpt someone@example.com --upload-file -`,
  );

const shell = (text: string): string => (/^[A-Za-z0-9@._:+-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`);

export const SERVERS: readonly Application[] = [
  {
    id: 'aem',
    title: 'AEM (Day CQ Mail Service)',
    language: 'properties',
    notes: [
      'The same fields are at `/system/console/configMgr`, *Day CQ Mail Service*. A file of this name belongs into `apps/…/config` of your project, or into `crx-quickstart/install`.',
      'AEM as a Cloud Service reaches other hosts only through its egress proxy (advanced networking): `smtp.host` is then the host of the proxy, `smtp.port` the forwarded port.',
    ],
    render: aem,
  },
  {
    id: 'postfix',
    title: 'Postfix null client',
    language: 'text',
    notes: [
      'For mail of cron, `mail` and `sendmail` on a machine. `sender_canonical_maps` rewrites the reverse-path and `From`; leave it out where the client may send as others (`senders`, or `onOtherSender: rewrite`).',
      '`texthash:` needs no `postmap`. Run `postfix reload` after a change. A private CA goes into `smtp_tls_CAfile`.',
      'A refusal comes back as a bounce to the local sender: read the log of Postern for the reason and the remedy.',
    ],
    render: postfix,
  },
  {
    id: 'msmtp',
    title: 'msmtp (sendmail, PHP mail())',
    language: 'text',
    notes: [
      'For `mail()` of PHP, set `sendmail_path = "/usr/bin/msmtp -t"` in `php.ini`. The package `msmtp-mta` of Debian makes it `/usr/sbin/sendmail`.',
      'Without TLS, `auth on` would refuse to send a password; `auth plain` does.',
    ],
    render: msmtp,
  },
  {
    id: 'curl',
    title: 'Command line (curl)',
    language: 'sh',
    notes: ['To try a client in a second. `--verbose` shows the dialogue.'],
    render: curl,
  },
];

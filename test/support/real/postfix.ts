/**
 * Debian's Postfix 3.7 as the submission half of a provider: STARTTLS required, XOAUTH2 only (through Dovecot), one may send only as
 * oneself, mail stays on this machine. Certain local parts are refused or deferred, so that tests can see what becomes of such replies.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Daemon, startDaemon, type WorkFolder, waitForPort } from './daemon.ts';
import { dovecotSockets } from './dovecot.ts';

const run = promisify(execFile);

export const MAIL_DOMAIN = 'postern.test';

/** What Postfix answers to RCPT for these local parts. */
const REFUSED_RECIPIENTS: Readonly<Record<string, string>> = {
  refused: '550 5.1.1 No such mailbox here',
  policy: '550 5.7.1 Delivery not authorized, message refused',
  deferred: '451 4.7.500 Server busy, come back later',
  full: '452 4.2.2 Mailbox full',
};
/** What Postfix answers after the final dot where one of these is among the recipients. */
const REFUSED_CONTENT: Readonly<Record<string, string>> = {
  'refused-content': '554 5.6.0 Message content rejected',
  'deferred-content': '451 4.3.0 Content scanner is busy',
};

export interface PostfixSettings {
  readonly port: number;
  /** For mail from elsewhere, to mailboxes here: no sign-in, STARTTLS offered. */
  readonly inboundPort: number;
  readonly certFile: string;
  readonly keyFile: string;
  /** Reverse-paths, and the login that may use each. */
  readonly senders: ReadonlyMap<string, string>;
  /** Sessions that one peer may have open at a time; 0: any number. */
  readonly connectionLimit: number;
}

/** Write the configuration and start. Calling it again, after a stop, goes on with the same queue. */
export async function startPostfix(folder: WorkFolder, settings: PostfixSettings): Promise<Daemon> {
  const config = folder.file('postfix/config/main.cf').replace('/main.cf', '');
  folder.write('postfix/config/main.cf', mainConfiguration(folder, settings));
  folder.write('postfix/config/master.cf', masterConfiguration(settings));
  folder.write('postfix/config/recipients', table(REFUSED_RECIPIENTS));
  folder.write('postfix/config/content', table(REFUSED_CONTENT));
  folder.write('postfix/config/senders', [...settings.senders].map((pair) => `${pair.join(' ')}\n`).join(''));
  if (!existsSync(folder.file('postfix/queue/pid'))) {
    await run('install', ['-d', '-o', 'root', folder.file('postfix/queue')]);
    await run('install', ['-d', '-o', 'postfix', folder.file('postfix/data')]);
    // Creates the queue folders with the owners that Postfix wants.
    await run('/usr/sbin/postfix', ['-c', config, 'check']);
  }
  const daemon = startDaemon(folder, '/usr/lib/postfix/sbin/master', ['-c', config, '-d'], 'postfix/master.log');
  await waitForPort(settings.port, daemon, () => folder.read('postfix/postfix.log'));
  return daemon;
}

/** Messages accepted and not yet handed to a mailbox. */
export function queuedMessages(folder: WorkFolder): number {
  const queues = ['maildrop', 'incoming', 'active', 'deferred'];
  return queues
    .flatMap((name) => readdirSync(folder.file(`postfix/queue/${name}`), { withFileTypes: true, recursive: true }))
    .filter((entry) => entry.isFile()).length;
}

function table(entries: Readonly<Record<string, string>>): string {
  return Object.entries(entries)
    .map(([local, reply]) => `${local}@${MAIL_DOMAIN} ${reply}\n`)
    .join('');
}

function mainConfiguration(folder: WorkFolder, settings: PostfixSettings): string {
  const sockets = dovecotSockets(folder);
  const config = folder.file('postfix/config');
  return `compatibility_level = 3.6
queue_directory = ${folder.file('postfix/queue')}
data_directory = ${folder.file('postfix/data')}
maillog_file = ${folder.file('postfix/postfix.log')}
maillog_file_prefixes = ${folder.path}
myhostname = smtp.${MAIL_DOMAIN}
mydomain = ${MAIL_DOMAIN}
mydestination =
mynetworks =
alias_maps =
alias_database =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
smtpd_peername_lookup = no
default_process_limit = 200
in_flow_delay = 0

# Everything stays here.
virtual_mailbox_domains = ${MAIL_DOMAIN}
virtual_mailbox_maps = static:all
virtual_transport = lmtp:unix:${sockets.lmtp}
default_transport = error:5.4.4 nothing leaves this machine
relay_transport = error:5.4.4 nothing leaves this machine

smtpd_tls_security_level = encrypt
smtpd_tls_auth_only = yes
smtpd_tls_chain_files = ${settings.keyFile}, ${settings.certFile}
smtpd_tls_session_cache_database =
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = unix:${sockets.auth}
smtpd_sasl_authenticated_header = yes
smtpd_sender_login_maps = texthash:${config}/senders
smtpd_sender_restrictions = reject_sender_login_mismatch
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access texthash:${config}/recipients
smtpd_end_of_data_restrictions = check_recipient_access texthash:${config}/content
smtpd_client_connection_count_limit = ${settings.connectionLimit}
smtpd_recipient_limit = 500
smtpd_error_sleep_time = 0
# As Postfix was before it learned of SMTP smuggling: whether a relay lets it through must show.
smtpd_forbid_bare_newline = no
smtpd_forbid_unauth_pipelining = no
# Tests provoke refusals by the dozen on one session; the default of 20 would end it with 421.
smtpd_hard_error_limit = 1000
# As Microsoft 365: 35 MB. line_length_limit stays at its default of 2,048, as on most servers.
message_size_limit = 36700160
mailbox_size_limit = 0
virtual_mailbox_limit = 0

# Deliver octet for octet what was submitted.
local_header_rewrite_clients =
message_drop_headers =
always_add_missing_headers = no
lmtp_line_length_limit = 0
disable_mime_output_conversion = yes
lmtp_destination_recipient_limit = 1
`;
}

/** What any Postfix needs besides those that let mail in or out. */
export const SERVICES = `pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
proxywrite unix - - n - 1 proxymap
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
discard unix - - n - - discard
lmtp unix - - n - - lmtp
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`;

function masterConfiguration({ port, inboundPort }: PostfixSettings): string {
  return `127.0.0.1:${port} inet n - n - - smtpd
127.0.0.1:${inboundPort} inet n - n - - smtpd
  -o smtpd_tls_security_level=may
  -o smtpd_sasl_auth_enable=no
  -o smtpd_sender_restrictions=
  -o smtpd_relay_restrictions=permit_auth_destination,reject
${SERVICES}`;
}

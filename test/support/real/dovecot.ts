/**
 * Debian's Dovecot 2.3 as the mailbox half of a provider: IMAP and POP3 on implicit TLS, OAuth only, access tokens checked at the
 * authorization server; LMTP and the SASL service for Postfix.
 *
 * @packageDocumentation
 */
import { chmodSync, mkdirSync } from 'node:fs';
import { type Daemon, startDaemon, type WorkFolder, waitForPort } from './daemon.ts';

export interface DovecotSettings {
  readonly imapPort: number;
  readonly pop3Port: number;
  /** LMTP without TLS, on loopback. */
  readonly lmtpPort: number;
  readonly introspectionUrl: string;
  readonly certFile: string;
  readonly keyFile: string;
}

/** UNIX sockets for Postfix. */
export const dovecotSockets = (folder: WorkFolder): { auth: string; lmtp: string } => ({
  auth: folder.file('dovecot/run/auth-postfix'),
  lmtp: folder.file('dovecot/run/lmtp-postfix'),
});

export async function startDovecot(folder: WorkFolder, settings: DovecotSettings): Promise<Daemon> {
  const oauth = folder.write(
    'dovecot/oauth2.conf.ext',
    `introspection_mode = post
introspection_url = ${settings.introspectionUrl}
username_attribute = username
active_attribute = active
active_value = true
`,
    0o600,
  );
  const config = folder.write('dovecot/dovecot.conf', configuration(folder, settings, oauth));
  mkdirSync(folder.file('dovecot/mail'));
  // Mail is stored under the account `mail`.
  chmodSync(folder.file('dovecot/mail'), 0o777);
  const daemon = startDaemon(folder, '/usr/sbin/dovecot', ['-F', '-c', config], 'dovecot/dovecot.log');
  await waitForPort(settings.imapPort, daemon, () => folder.read('dovecot/dovecot.log'));
  return daemon;
}

function configuration(folder: WorkFolder, settings: DovecotSettings, oauth: string): string {
  return `base_dir = ${folder.file('dovecot/run')}
state_dir = ${folder.file('dovecot/state')}
instance_name = ${folder.path.split('/').at(-1)}
log_path = ${folder.file('dovecot/dovecot.log')}
protocols = imap pop3 lmtp
listen = 127.0.0.1
ssl = required
ssl_cert = <${settings.certFile}
ssl_key = <${settings.keyFile}
disable_plaintext_auth = yes
auth_mechanisms = xoauth2 oauthbearer
auth_verbose = yes
auth_failure_delay = 0
default_client_limit = 2000
default_process_limit = 500
mail_max_userip_connections = 200
first_valid_uid = 1
mail_location = maildir:${folder.file('dovecot/mail')}/%Lu
# The messages live as long as the tests.
mail_fsync = never
passdb {
  driver = oauth2
  mechanisms = xoauth2 oauthbearer
  args = ${oauth}
}
userdb {
  driver = static
  args = uid=mail gid=mail home=${folder.file('dovecot/mail')}/%Lu allow_all_users=yes
}
service imap-login {
  inet_listener imap {
    port = 0
  }
  inet_listener imaps {
    port = ${settings.imapPort}
    ssl = yes
  }
}
service pop3-login {
  inet_listener pop3 {
    port = 0
  }
  inet_listener pop3s {
    port = ${settings.pop3Port}
    ssl = yes
  }
}
service lmtp {
  unix_listener lmtp-postfix {
    mode = 0666
  }
  inet_listener lmtp {
    port = ${settings.lmtpPort}
  }
}
service auth {
  unix_listener auth-postfix {
    mode = 0666
  }
}
# No waiting after a refused login.
service anvil {
  unix_listener anvil-auth-penalty {
    mode = 0
  }
}
`;
}

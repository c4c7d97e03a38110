/**
 * What can go wrong, as a value an operator can act on.
 *
 * A problem says what happened, whether it heals by itself, and the exact step that fixes it. It is one source for the log, the CLI, the
 * pages and docs/errors.md (generated from {@link PROBLEMS}; a test fails when that file is stale). What a client reads on the wire is a
 * {@link ./reply.ts | Reply} and is kept apart: neither holds a secret.
 *
 * @packageDocumentation
 */

/** Whether waiting is enough. `after-repair`: mail waits or is deferred until the operator has acted. */
export type Healing = 'by-itself' | 'after-repair' | 'never';

/** One row of the catalogue. */
export interface ProblemKind {
  /** One sentence: what happened. */
  readonly summary: string;
  readonly heals: Healing;
  /** One or two sentences: the exact step, with command or portal path. */
  readonly remedy: string;
}

/** Problems by code. Rooms with a finer table of their own (Entra errors, upstream replies) use these codes and replace the texts. */
export const PROBLEMS = {
  TOKEN_ENDPOINT_UNREACHABLE: {
    summary: 'The token endpoint could not be reached.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes. Else check DNS, proxy and firewall for the host of the token URL: postern doctor ACCOUNT.',
  },
  TOKEN_ENDPOINT_BUSY: {
    summary: 'The token endpoint answered that it is busy or broken (429 or 5xx).',
    heals: 'by-itself',
    remedy: 'Nothing: Postern waits as long as the endpoint asks and tries again. The account is not marked bad.',
  },
  TOKEN_ENDPOINT_NONSENSE: {
    summary: 'The token endpoint answered with something that is not a token response.',
    heals: 'by-itself',
    remedy: 'If it goes on, a proxy or portal may answer in its place: open the token URL with curl from this machine and look.',
  },
  TOKEN_REAUTH_REQUIRED: {
    summary: 'The refresh token is no longer accepted; somebody has to sign in again.',
    heals: 'after-repair',
    remedy: 'Sign in as the mailbox and store the new refresh token: postern login ACCOUNT (or replace the refreshToken secret file).',
  },
  TOKEN_POLICY: {
    summary: 'A rule of the organisation refuses this sign-in (Conditional Access, disabled user, missing consent).',
    heals: 'after-repair',
    remedy: 'Ask the tenant administrator to look up the trace id in Entra admin centre > Sign-in logs and allow this application.',
  },
  TOKEN_MISCONFIGURED: {
    summary: 'The provider refuses the configured client id, secret, tenant or scope.',
    heals: 'after-repair',
    remedy: 'Correct the named key under accounts[].auth in postern.yaml; the stored refresh token stays valid and is used again.',
  },
  TOKEN_LOOP: {
    summary: 'The provider says that this client asks for the same token again and again.',
    heals: 'by-itself',
    remedy: 'Nothing: Postern pauses for at least five minutes. If it comes back, report it with the log lines around it.',
  },
  TOKEN_MISSING: {
    summary: 'The account has neither a stored refresh token nor one in its configuration.',
    heals: 'after-repair',
    remedy: 'Set accounts[].auth.refreshToken, or sign in: postern login ACCOUNT.',
  },
  TOKEN_CREDENTIAL_EXPIRED: {
    summary: 'The certificate that the application proves itself with has ended; nothing was sent.',
    heals: 'after-repair',
    remedy:
      'Make a new certificate, upload it (Entra admin centre > App registrations > the app > Certificates & secrets), then replace the files under auth.certificate.',
  },
  TOKEN_CREDENTIAL_UNREADABLE: {
    summary: 'The token by which the platform vouches for the application could not be read from its file.',
    heals: 'by-itself',
    remedy:
      'Check auth.federatedTokenFile. In Kubernetes: the pod needs the label azure.workload.identity/use: "true" and an annotated service account.',
  },
  TOKEN_COMMAND_FAILED: {
    summary: 'The program that prints the access token failed.',
    heals: 'by-itself',
    remedy:
      'Run it by hand as the user that runs Postern, with an almost empty environment (env -i PATH="$PATH" HOME="$HOME" …), and look.',
  },
  TOKEN_STORE_FAILED: {
    summary: 'The token store could not be read or written.',
    heals: 'after-repair',
    remedy: 'Check free space, owner and permissions (0700) of state.dir and that state.keyFile is the key the state was written with.',
  },
  TOKEN_STORE_LOCKED: {
    summary: 'Another process has been using the stored tokens of the account for too long.',
    heals: 'by-itself',
    remedy:
      'Nothing, if it passes. Else end the other Postern that uses this state.dir (its process id is named), or give it one of its own.',
  },
  IMPORT_STATE_FAILED: {
    summary: 'What was taken over from email-oauth2-proxy could not be written or read.',
    heals: 'after-repair',
    remedy:
      'Make imported/ in state.dir writable for this user and free some space; the application then logs in again. Its old password still counts.',
  },
  SIGN_IN_UNAVAILABLE: {
    summary: 'Nobody can sign in for this account in this way.',
    heals: 'after-repair',
    remedy:
      'Signing in is for accounts with grant: refresh_token, and needs authorizeUrl (or deviceUrl, for --device) of the provider. See docs/providers.md.',
  },
  SIGN_IN_LISTENER_FAILED: {
    summary: 'The address on this machine to which the browser is sent after the sign-in could not be opened.',
    heals: 'after-repair',
    remedy: 'Leave the port out of the redirect URI, so that any free one is taken, or sign in without it: postern login ACCOUNT --paste.',
  },
  SIGN_IN_EXPIRED: {
    summary: 'Nobody completed the sign-in in time. Nothing was stored.',
    heals: 'after-repair',
    remedy: 'Start again: postern login ACCOUNT.',
  },
  SIGN_IN_REFUSED: {
    summary: 'The provider, or the person at it, refused the sign-in. Nothing was stored.',
    heals: 'after-repair',
    remedy: 'Read the reason; it names the step. Then start again: postern login ACCOUNT.',
  },
  SIGN_IN_ANSWER_INVALID: {
    summary: 'What came back from the browser is not the answer to this sign-in. Nothing was stored.',
    heals: 'after-repair',
    remedy: 'Start again with postern login ACCOUNT, and use the address of the page that this very sign-in ends at.',
  },
  SIGN_IN_WRONG_MAILBOX: {
    summary: 'Somebody else than the configured mailbox signed in. Nothing was stored.',
    heals: 'after-repair',
    remedy:
      'Sign in again as the mailbox; a private browser window helps where another user is remembered. If the user who signed in may send as the mailbox, name it as smtpUser.',
  },
  SIGN_IN_LINK_INVALID: {
    summary: 'A link to sign in is not, or no longer, good. Nothing was changed.',
    heals: 'never',
    remedy:
      'Make another one: on the page under Accounts, Sign in again; or postern login ACCOUNT --link. If it was used by nobody whom you know, see in the log who opened it (sign-in-link-opened).',
  },
  SIGN_IN_NO_REFRESH_TOKEN: {
    summary: 'The sign-in gave no refresh token, so the account could not go on by itself. Nothing was stored.',
    heals: 'after-repair',
    remedy:
      'Add offline_access to the scopes (Microsoft), or access_type: offline and prompt: consent to authorizeParameters (Google); then sign in again.',
  },
  TOKEN_CONTENT_WRONG: {
    summary: 'The access token is for another resource, tenant or permission than the account needs; mail servers will refuse it.',
    heals: 'after-repair',
    remedy: 'Correct scopes, tenant or permissions as postern doctor ACCOUNT says; then sign in again where it says so.',
  },
  SECRET_ENDING: {
    summary: 'A certificate, client secret or refresh token has ended or ends within 30 days; the account stops working with it.',
    heals: 'after-repair',
    remedy: 'Make a new one before that day and put it into the configuration; Postern takes it over without a restart.',
  },
  SECRET_UNREADABLE: {
    summary: 'A file with a secret of an account cannot be read now.',
    heals: 'after-repair',
    remedy: 'Make the file readable for the user that runs Postern and for nobody else (chmod 600), and not empty.',
  },
  CLOCK_WRONG: {
    summary: 'The clock of this machine and that of the provider differ by more than five minutes.',
    heals: 'after-repair',
    remedy: 'Set the clock and keep it right: timedatectl set-ntp true. A container or virtual machine takes it from its host.',
  },
  STATE_KEY_UNUSABLE: {
    summary: 'The key file of the state cannot be used. Nothing was read or written.',
    heals: 'after-repair',
    remedy: 'Make state.keyFile a file of the user that runs Postern, with mode 0600, holding the key the state was written with.',
  },
  POP3_STATE_FAILED: {
    summary: 'How POP3 is served for the accounts (pop3.json in the state directory) could not be read or written.',
    heals: 'after-repair',
    remedy:
      'Check free space, owner and permissions (0700) of state.dir; delete pop3.json if it is damaged. Until then it is found out anew after each restart; accounts[].pop3 says it once and for all.',
  },
  UPSTREAM_UNREACHABLE: {
    summary: 'The upstream could not be reached (DNS, connect or network).',
    heals: 'by-itself',
    remedy: 'Check that this machine may reach the host and port named: postern doctor ACCOUNT. Many networks block port 25, some 587.',
  },
  UPSTREAM_TLS_FAILED: {
    summary: 'The upstream did not offer TLS, or its certificate was not accepted. Nothing was sent.',
    heals: 'after-repair',
    remedy: 'If a firewall inspects mail, exempt the host or name its CA in providers.NAME.caFile. Postern never goes on in clear text.',
  },
  UPSTREAM_TIMEOUT: {
    summary: 'The upstream did not answer in time.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes. The log line names the step that took too long.',
  },
  UPSTREAM_PROTOCOL: {
    summary: 'The upstream sent something that is not the protocol expected.',
    heals: 'by-itself',
    remedy: 'Check host and port of the provider; a captive portal or another service may answer there.',
  },
  UPSTREAM_LOST: {
    summary:
      'The connection to the upstream was lost in the middle of a transaction, before the message was complete, or of a session that reads.',
    heals: 'by-itself',
    remedy: 'Nothing: the message was not delivered and the application was told to try again.',
  },
  UPSTREAM_AMBIGUOUS: {
    summary: 'The connection was lost after the whole message was sent and before the upstream answered: it may have been delivered.',
    heals: 'by-itself',
    remedy: 'Look for the Message-ID in the mailbox before sending it again by hand; a retry may deliver it twice.',
  },
  UPSTREAM_AUTH_REFUSED: {
    summary: 'The upstream refused the access token twice, the second time a fresh one.',
    heals: 'after-repair',
    remedy: 'Check mailbox and smtpUser, the scopes, and that SMTP AUTH is enabled for the mailbox: postern doctor ACCOUNT.',
  },
  UPSTREAM_PASSWORD_REFUSED: {
    summary: 'The upstream refused user name and password. They are not tried again, since each further try may lock the mailbox.',
    heals: 'after-repair',
    remedy: 'Correct accounts[].auth.password and smtpUser and start Postern again; better, use OAuth for the account (docs/providers.md).',
  },
  UPSTREAM_SMTP_AUTH_DISABLED: {
    summary: 'SMTP AUTH is switched off for the mailbox or the tenant; a new token cannot help.',
    heals: 'after-repair',
    remedy: 'In Exchange Online PowerShell: Set-CASMailbox -Identity MAILBOX -SmtpClientAuthenticationDisabled $false (wait some minutes).',
  },
  UPSTREAM_XOAUTH2_MISSING: {
    summary: 'The upstream does not offer XOAUTH2. The token was not sent.',
    heals: 'after-repair',
    remedy: 'Check host and port of the provider; submission is smtp.office365.com:587 for Microsoft 365.',
  },
  UPSTREAM_MAILBOX_CLOSED: {
    summary: 'The upstream accepts the token but does not open the mailbox for it (IMAP, POP3).',
    heals: 'after-repair',
    remedy: 'Check accounts[].mailbox, its licence, the permission of the user or application on it, and that IMAP and POP3 are on for it.',
  },
  UPSTREAM_MAILBOX_IN_USE: {
    summary: 'All sessions that the mailbox may have with IMAP or POP3 are in use.',
    heals: 'by-itself',
    remedy:
      'Nothing, if it passes. Else close applications that read the mailbox and are not needed, or raise limits.mailboxSessions as far as the provider allows.',
  },
  UPSTREAM_MISCONFIGURED: {
    summary: 'A setting of the mailbox, the tenant or the provider keeps the upstream from taking mail of this account.',
    heals: 'after-repair',
    remedy: 'Read the reply in the log line and correct the setting that it names: postern doctor ACCOUNT.',
  },
  UPSTREAM_BLOCKED: {
    summary: 'The provider has blocked this mailbox or tenant from sending.',
    heals: 'after-repair',
    remedy:
      'Find out what was sent, then lift the block: Microsoft Defender portal > Email & collaboration > Review > Restricted entities.',
  },
  UPSTREAM_QUOTA: {
    summary: 'The mailbox or tenant has used up what the provider lets it send in a day.',
    heals: 'by-itself',
    remedy: 'Nothing: the window slides. If it happens often, spread the load over more mailboxes.',
  },
  UPSTREAM_BUSY: {
    summary: 'All upstream connections of the account were in use for too long, or the upstream asked to slow down.',
    heals: 'by-itself',
    remedy: 'Nothing. If it happens often, spread the load over more mailboxes: a mailbox has three connections and 30 messages a minute.',
  },
  UPSTREAM_REFUSED: {
    summary: 'The upstream refused the sender, a recipient or the content; its reply was passed on.',
    heals: 'never',
    remedy: 'Read the reply: it names the address or rule. The application must correct the message.',
  },
  UPSTREAM_DEFERRED: {
    summary: 'The upstream cannot take the message now; its reply was passed on.',
    heals: 'by-itself',
    remedy: 'Nothing: the application tries again.',
  },
  CLIENT_UNKNOWN: {
    summary: 'A connection gave a user name that no client in the configuration has, or came from a network that none names.',
    heals: 'after-repair',
    remedy: 'Add the user name or the network under clients: in postern.yaml.',
  },
  CLIENT_PASSWORD_WRONG: {
    summary: 'A client gave a wrong password.',
    heals: 'after-repair',
    remedy: 'Correct the password in the application, or set a new one under clients: (postern hash-password).',
  },
  CLIENT_THROTTLED: {
    summary: 'A client or network made too many failed logins or sent too fast, and has to wait.',
    heals: 'by-itself',
    remedy: 'Correct the application; raise clients[].rate if the pace is wanted.',
  },
  CLIENT_TOO_MANY_SESSIONS: {
    summary: 'A client has as many IMAP and POP3 sessions open as it may have.',
    heals: 'by-itself',
    remedy: 'Nothing, if it passes. Else let the application close its sessions, or raise clients[].mailboxSessions.',
  },
  CLIENT_TLS_FAILED: {
    summary: 'A client and a listener could not agree on TLS.',
    heals: 'after-repair',
    remedy: 'Give the application the encryption setting of the listener it uses: none, STARTTLS or implicit TLS (SSL).',
  },
  SENDER_NOT_ALLOWED: {
    summary: 'A client used a sender address that it may not use.',
    heals: 'after-repair',
    remedy: "Add the address to clients[].senders, or let the application send as the account's mailbox.",
  },
  MESSAGE_TOO_LARGE: {
    summary: 'The message is larger than the listener or the account allows.',
    heals: 'never',
    remedy: 'Send less, or raise maxSize of the listener and limits.maxSize of the provider as far as the mailbox allows.',
  },
  MESSAGE_MALFORMED: {
    summary: 'The message or a command breaks the rules in a way that cannot be repaired.',
    heals: 'never',
    remedy: 'Correct the application; the reply names the rule.',
  },
  MESSAGE_LOOP: {
    summary: 'The message has passed too many servers and probably goes in a circle.',
    heals: 'never',
    remedy: 'Look at its Received fields for two servers that send to each other; a rule that redirects to this relay is the usual cause.',
  },
  REPLY_UNDELIVERED: {
    summary: 'The application closed the connection before the reply to its message; it may not have read it.',
    heals: 'never',
    remedy: 'The message was dealt with as the reply says. The application may send it again: give it a longer time-out.',
  },
  MESSAGE_REPEATED: {
    summary:
      'The application sent a message again that has been accepted: it did not wait for the answer. It has got the same answer now, and the message was not taken twice.',
    heals: 'never',
    remedy: 'Nothing has to be done about this message. Give the application a longer time-out if this happens often.',
  },
  SUBMISSION_ABORTED: {
    summary: 'The application closed the connection before the message was complete. Nothing was delivered.',
    heals: 'never',
    remedy: "Look at the application's own time-outs if this was not wanted.",
  },
  CONFIG_REJECTED: {
    summary: 'The changed configuration cannot be used; the last good one stays in use.',
    heals: 'after-repair',
    remedy:
      'Correct what is named and save the file: it is read again at once. postern check lists every problem. Do not restart before that.',
  },
  CONFIG_NOT_WRITTEN: {
    summary: 'What somebody set up on the admin page could not be written into the configuration.',
    heals: 'after-repair',
    remedy:
      'Make the file and its folder writable for the user that Postern runs as, or put the lines that the page shows into the file by hand, with the secret itself where it shows `[secret]`: they are taken over at once.',
  },
  CONFIG_NEEDS_RESTART: {
    summary: 'The configuration has changed in a way that a running relay does not take over.',
    heals: 'after-repair',
    remedy: 'Restart Postern when it suits you: everything else in the configuration is in use already.',
  },
  SERVICE_MANAGER_NOT_TOLD: {
    summary:
      'The service manager waits to be told that Postern is up, and could not be told. It may stop Postern, or start it again, when its patience ends.',
    heals: 'after-repair',
    remedy:
      'Install systemd-notify where Postern can find it, and let it speak (NotifyAccess=all in the unit), or have nobody wait: Type=exec in the unit, --sdnotify=ignore with podman.',
  },
  CONFIG_INVALID: {
    summary: 'The configuration has errors.',
    heals: 'after-repair',
    remedy: 'Correct the lines named; postern check lists all of them.',
  },
  FILES_TOO_FEW: {
    summary: 'Postern may open too few files (and connections) to do its work.',
    heals: 'after-repair',
    remedy:
      'Raise the limit: LimitNOFILE= of the systemd unit, --ulimit nofile= of the container, ulimit -n in a shell; 1024 is enough for most.',
  },
  LISTENER_FAILED: {
    summary: 'A listener could not be opened.',
    heals: 'after-repair',
    remedy:
      'Another program may hold the port (ss -ltnp), or a port below 1024 needs a privilege. Change listeners: or stop the other one.',
  },
  SANDBOX_FAILED: {
    summary: 'The sandbox could not be started.',
    heals: 'after-repair',
    remedy:
      'Free its ports (8026 for HTTP, 2587 for SMTP; ss -ltnp shows who holds them), and let this user write to the folder sandbox in state.dir.',
  },
  SPOOL_FULL: {
    summary: 'The queue is at its limit, or the disk it is on has too little room left.',
    heals: 'by-itself',
    remedy:
      'It drains by itself once the upstream takes mail again. Else free space on the disk of state.dir, or raise delivery.queueLimit.',
  },
  SPOOL_FAILED: {
    summary: 'The queue could not be written or read. The message was not accepted and will not be delivered.',
    heals: 'after-repair',
    remedy: 'Check the disk of state.dir: kernel log (dmesg), mount options, permissions (0700), limit of open files.',
  },
  SPOOL_DAMAGED: {
    summary: 'A part of the queue on disk does not match its checksum. What it belongs to was set aside whole and is not delivered.',
    heals: 'never',
    remedy: 'Look at the .json file in the quarantine folder of the queue; check the disk. The message may have to be sent again.',
  },
  SPOOL_LOCKED: {
    summary: 'Another process uses the queue.',
    heals: 'after-repair',
    remedy: 'Stop the other Postern, or give this one a state.dir of its own.',
  },
  SPOOL_FORMAT_NEWER: {
    summary: 'The queue was written by a newer Postern. Nothing was read or changed.',
    heals: 'after-repair',
    remedy: 'Start the newer version again, let it drain the queue, then go back.',
  },
  SPOOL_ENTRY_UNKNOWN: {
    summary: 'There is no such message in the queue; it may have been delivered or dropped meanwhile.',
    heals: 'never',
    remedy: 'List what is there: postern queue list.',
  },
  ALERT_UNDELIVERED: {
    summary: 'A webhook did not take an alert.',
    heals: 'by-itself',
    remedy:
      'Nothing, if it passes: an alert is offered again for an hour. Else check the URL under alerts[].webhook, and that this machine may reach its host.',
  },
  ALERT_RECORD_FAILED: {
    summary: 'The record of the alerts that were sent could not be read or written; after a restart one may be sent again.',
    heals: 'after-repair',
    remedy: 'Check free space, owner and permissions (0700) of state.dir. A damaged alerts.json there is replaced with the next alert.',
  },
  DEAD_LETTER: {
    summary: 'A message could not be delivered, and nobody could be told: it is kept for you to look at.',
    heals: 'after-repair',
    remedy:
      'postern queue show ID says why. Save it with postern queue export ID and send it by another way if it matters, then postern queue drop ID.',
  },
  PACE_STORE_FAILED: {
    summary: 'The record of how much each account has sent today could not be read or written.',
    heals: 'after-repair',
    remedy:
      'Check free space and permissions (0700) of state.dir. Until then Postern counts from its start, and the provider may refuse more.',
  },
  HELD_BY_OPERATOR: {
    summary: 'An operator has put the message on hold.',
    heals: 'after-repair',
    remedy: 'Let it go with postern queue release ID, or discard it with postern queue drop ID.',
  },
  FETCH_CURSOR_FAILED: {
    summary: 'How far a fetch rule has got could not be read or written. Nothing more is fetched by it meanwhile.',
    heals: 'after-repair',
    remedy:
      'Free some space and make fetch/ in state.dir writable for this user. Where a file in it is damaged: restore it, or begin anew with postern fetch reset RULE --yes.',
  },
  FETCH_SINK_FAILED: {
    summary: 'A fetched message could not be written where it should go. It stays in the mailbox.',
    heals: 'by-itself',
    remedy: 'Free some space and make the directory under fetch[].to writable for this user; the message is offered again by itself.',
  },
  FETCH_NOT_TAKEN: {
    summary: 'The server or program that a fetch rule hands messages to does not take one now. It stays in the mailbox.',
    heals: 'by-itself',
    remedy: 'See what the other side says in the cause, and whether fetch[].to names it rightly; the message is offered again by itself.',
  },
  FETCH_REFUSED: {
    summary: 'The server or program that a fetch rule hands messages to refuses one for good. It stays in the mailbox.',
    heals: 'after-repair',
    remedy:
      'See what the other side says in the cause. After fetch[].tries refusals the message is set aside; when the reason is gone: postern fetch run RULE --aside.',
  },
  FETCH_SINK_UNREACHABLE: {
    summary: 'Where fetched messages should go could not be reached, or broke off. The message stays in the mailbox.',
    heals: 'by-itself',
    remedy:
      'Nothing, if it passes: the message is offered again. Else check that what fetch[].to names runs, and that a firewall lets this machine reach it.',
  },
  FETCH_SINK_INSECURE: {
    summary: 'No secure connection to where fetched messages should go; nothing was sent. The message stays in the mailbox.',
    heals: 'after-repair',
    remedy:
      'Give the server a certificate for the name in fetch[].to, from an authority that this machine knows, and let it offer STARTTLS.',
  },
  FETCH_SINK_AMBIGUOUS: {
    summary: 'The message was handed over whole and not confirmed. It may have been taken; it stays in the mailbox and is offered again.',
    heals: 'by-itself',
    remedy: 'Nothing: should it arrive twice, both have the same key (the id of the first Received field, or the Idempotency-Key).',
  },
  FETCH_SINK_NONSENSE: {
    summary: 'Where fetched messages should go does not speak the protocol that it should. The message stays in the mailbox.',
    heals: 'by-itself',
    remedy: 'Check host, port and kind under fetch[].to: another service may answer there. The message is offered again.',
  },
  FETCH_PARTLY_REFUSED: {
    summary: 'Some recipients have the message, others refuse it for good. It stays in the mailbox.',
    heals: 'after-repair',
    remedy: 'Correct the recipients named in the cause. Those that have it do not get it again while Postern runs.',
  },
  FETCH_SINK_TURNED_AWAY: {
    summary: 'The mail server that fetched messages should go to takes nothing from this machine. The message stays in the mailbox.',
    heals: 'after-repair',
    remedy:
      'Let the server take mail from this machine without a sign-in, and check that lmtp: or smtp: under fetch[].to names what it speaks.',
  },
  FETCH_WEBHOOK_MOVED: {
    summary:
      'The webhook that fetched messages should go to answered with a redirect, which is not followed. The message stays in the mailbox.',
    heals: 'after-repair',
    remedy: 'Name the final URL in fetch[].to.webhook. curl -i -X POST URL shows where it points.',
  },
  FETCH_FORM_UNFIT: {
    summary: 'The message cannot be put into JSON for the webhook: too large, or not to be parsed. It stays in the mailbox.',
    heals: 'after-repair',
    remedy: 'Set format: rfc822 under fetch[].to, which takes any message of any size; then postern fetch run RULE --aside.',
  },
  FETCH_COMMAND_FAILED: {
    summary:
      'The program that fetched messages should go to could not be started, failed, or took too long. The message stays in the mailbox.',
    heals: 'by-itself',
    remedy: 'Run it by hand as the user that runs Postern, with a message on standard input; docs/fetch.md says what its exit codes mean.',
  },
  FETCH_MESSAGE_UNREADABLE: {
    summary: 'The provider does not give out a message that is in the mailbox.',
    heals: 'by-itself',
    remedy:
      'Nothing, if it passes. Else open the message in another program: if it fails there too, remove it or report it to the provider.',
  },
  FETCH_SET_ASIDE: {
    summary: 'Messages could not be fetched, or were refused, again and again. They stay in the mailbox and are not tried any more.',
    heals: 'after-repair',
    remedy: 'postern fetch list shows them with their problem. When it is solved: postern fetch run RULE --aside.',
  },
  FETCH_CHANGE_FAILED: {
    summary: 'A message was handed on, but could not be marked, moved or deleted in its mailbox. It is not handed on again.',
    heals: 'by-itself',
    remedy: 'Check that the mailbox under fetch[].then exists and that the account may write to the mailbox; it is tried again by itself.',
  },
  FETCH_RULE_UNKNOWN: {
    summary: 'There is no such fetch rule.',
    heals: 'never',
    remedy: 'postern fetch list shows the rules.',
  },
  API_REQUEST_INVALID: {
    summary: 'A request to the API or the control socket cannot be understood.',
    heals: 'never',
    remedy: 'Correct the request; the cause names the part. postern help lists commands and options.',
  },
  API_UNAUTHORIZED: {
    summary: 'A request to the admin port came without the right password, or after too many wrong ones.',
    heals: 'never',
    remedy: 'Send admin.password: curl --user admin:PASSWORD, a header Authorization: Bearer PASSWORD, or sign in on the page.',
  },
  API_FORBIDDEN: {
    summary: 'A request to the admin port came under a foreign name, or from a page of another origin, and was not served.',
    heals: 'never',
    remedy:
      'Use the address of the admin port, or a name listed in admin.hostnames. A script of a page has to send X-CSRF-Token from /api/v1/session.',
  },
  TRACES_MISCONFIGURED: {
    summary: 'The environment asks for OpenTelemetry traces in a way that cannot be followed. Mail is relayed; no traces are exported.',
    heals: 'after-repair',
    remedy: 'Correct the OTEL_ variable named in the cause (docs/operations.md, "Traces for OpenTelemetry") and restart.',
  },
  TRACES_NOT_EXPORTED: {
    summary: 'The collector did not take traces. Mail is relayed; spans that find no room are dropped and counted.',
    heals: 'by-itself',
    remedy:
      'If it goes on, check OTEL_EXPORTER_OTLP_ENDPOINT, its headers and the collector; /metrics counts what was lost: postern_spans_total.',
  },
  CONTROL_SOCKET_FAILED: {
    summary: 'The control socket could not be opened. Mail is relayed, but postern queue cannot be used while the relay runs.',
    heals: 'after-repair',
    remedy: 'Look at control.sock in state.dir: nothing else may be there, and the folder must be writable. Then restart.',
  },
  CONTROL_UNREACHABLE: {
    summary: 'The running Postern could not be asked over its control socket, or gave no sensible answer.',
    heals: 'after-repair',
    remedy: 'Run the command as the user that runs Postern, with the same configuration and the same version.',
  },
  INTERNAL: {
    summary: 'A defect in Postern. The message, if any, was not accepted.',
    heals: 'never',
    remedy: 'Report it with the log lines around it.',
  },
} as const satisfies Record<string, ProblemKind>;

/** A code of the catalogue. */
export type ProblemCode = keyof typeof PROBLEMS;

/** One occurrence. */
export interface Problem {
  readonly code: ProblemCode;
  /** One line: what happened here, with host, port, step or reply; never a secret. */
  readonly cause: string;
  readonly heals: Healing;
  readonly remedy: string;
}

/** An occurrence of `code`; texts that a finer table knows better replace those of the catalogue. */
export function problem(code: ProblemCode, cause?: string, finer: { heals?: Healing; remedy?: string } = {}): Problem {
  const kind: ProblemKind = PROBLEMS[code];
  return { code, cause: cause ?? kind.summary, heals: finer.heals ?? kind.heals, remedy: finer.remedy ?? kind.remedy };
}

/** An I/O operation that failed in a known way. Thrown by ports; refusals of single messages are values, not exceptions. */
export class ProblemError extends Error {
  override readonly name: string = 'ProblemError';
  readonly problem: Problem;
  constructor(what: Problem, options?: ErrorOptions) {
    super(`${what.code}: ${what.cause}`, options);
    this.problem = what;
  }
}

/**
 * Mail programs as people run them, each told to fetch all of INBOX into files.
 *
 * Every program may put fields of its own in front and choose line ends and the final line end; the rest has to be as it was sent.
 *
 * @packageDocumentation
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { RunningProcess } from '../process.ts';
import type { SampleMessage } from './messages.ts';
import type { ClientTls } from './submit.ts';

export interface ReadingOrder {
  readonly protocol: 'imap' | 'pop3';
  readonly port: number;
  readonly tls: ClientTls;
  readonly caFile: string;
  readonly username: string;
  readonly password: string;
  /** Empty; the program gets it for itself. */
  readonly folder: string;
  /** How many messages there are, for programs that ask one by one. */
  readonly count: number;
}

export interface Reader {
  readonly name: string;
  /** Where Debian installs it. */
  readonly file: string;
  /** Debian's package. */
  readonly package: string;
  readonly ways: readonly { readonly protocol: 'imap' | 'pop3'; readonly tls: ClientTls }[];
  /** It writes header fields anew: folded otherwise, one blank behind the colon. */
  readonly rewritesFields?: true;
  /** Kinds of message (messages.ts) that it stores otherwise than it got them, whoever serves them. */
  readonly spoils?: readonly string[];
  /** Messages as the program stored them. */
  read(order: ReadingOrder): Promise<Buffer[]>;
}

const SCRIPT = fileURLToPath(new URL('mail_reader.py', import.meta.url));
const HOST = 'localhost';
const ways = (protocol: 'imap' | 'pop3', ...levels: ClientTls[]) => levels.map((tls) => ({ protocol, tls }));

/** Why the program cannot be tried here; undefined where it can. */
export function whyMissing(reader: Reader): string | undefined {
  return existsSync(reader.file) ? undefined : `${reader.name} is not installed; apt-get install ${reader.package}`;
}

export const READERS: readonly Reader[] = [
  {
    name: 'curl',
    file: '/usr/bin/curl',
    package: 'curl',
    ways: [...ways('imap', 'off', 'starttls', 'implicit'), ...ways('pop3', 'off', 'starttls', 'implicit')],
    async read(order) {
      const scheme = `${order.protocol}${order.tls === 'implicit' ? 's' : ''}`;
      const args = ['--silent', '--show-error', '--max-time', '60', '--user', `${order.username}:${order.password}`];
      if (order.tls !== 'off') args.push('--ssl-reqd', '--cacert', order.caFile);
      for (let number = 1; number <= order.count; number += 1) {
        const what = order.protocol === 'imap' ? `INBOX;MAILINDEX=${number}` : `${number}`;
        const url = `${scheme}://${HOST}:${order.port}/${what}`;
        await run('/usr/bin/curl', [...args, '--output', join(order.folder, `${number}.eml`), url], order);
      }
      return filesOf(order.folder);
    },
  },
  {
    name: 'imaplib and poplib',
    file: '/usr/bin/python3',
    package: 'python3',
    ways: [...ways('imap', 'off', 'starttls', 'implicit'), ...ways('pop3', 'off', 'starttls', 'implicit')],
    async read(order) {
      await run('/usr/bin/python3', scriptArguments(order.protocol, order), order, order.password);
      return filesOf(order.folder);
    },
  },
  {
    name: 'mutt',
    file: '/usr/bin/mutt',
    package: 'mutt',
    ways: [...ways('imap', 'off', 'implicit'), ...ways('pop3', 'implicit')],
    async read(order) {
      const { folder, protocol, port, username, password } = order;
      const scheme = `${protocol === 'pop3' ? 'pop' : 'imap'}${order.tls === 'implicit' ? 's' : ''}`;
      const kept = join(folder, 'kept');
      const settings = [
        `set folder="${folder}" spoolfile="${scheme}://${HOST}:${port}/${protocol === 'imap' ? 'INBOX' : ''}"`,
        `set ${protocol === 'pop3' ? 'pop' : 'imap'}_user="${username}" ${protocol === 'pop3' ? 'pop' : 'imap'}_pass="${password}"`,
        `set ssl_starttls=no ssl_force_tls=no certificate_file="${order.caFile}" ssl_usesystemcerts=no ssl_verify_host=yes`,
        'set mbox_type=Maildir confirmcreate=no confirmappend=no delete=no quit=yes copy=no mail_check=600 wait_key=no',
        `push "<tag-pattern>~A<enter><tag-prefix><copy-message>${kept}<enter><quit>"`,
      ];
      const file = join(folder, 'muttrc');
      writeFileSync(file, `${settings.join('\n')}\n`, { mode: 0o600 });
      // It wants a terminal; script(1) gives it one.
      await run('/usr/bin/script', ['-qec', `stty rows 50 cols 120; mutt -n -F '${file}'`, '/dev/null'], order);
      // Fields that it adds to what it stores.
      return maildir(kept).map((message) => without(message, /^(?:Content-Length|Lines): \d+\r?\n/gm));
    },
  },
  {
    name: 'fetchmail',
    file: '/usr/bin/fetchmail',
    package: 'fetchmail',
    // Its own buffer of 8 KB tears them.
    spoils: ['lines longer than 998'],
    ways: [...ways('imap', 'off', 'starttls', 'implicit'), ...ways('pop3', 'off', 'starttls', 'implicit')],
    async read(order) {
      const { folder, protocol, port, username, password, tls, caFile } = order;
      const { got, save } = collector(folder);
      const secure = { off: "sslproto ''", starttls: 'sslproto tls1.2+', implicit: 'ssl' }[tls];
      const check = tls === 'off' ? '' : `sslcertck sslcertfile "${caFile}"`;
      const file = join(folder, 'fetchmailrc');
      const user = `username "${username}" password "${password}" ${secure} ${check} fetchall keep no rewrite mda "${save}"`;
      writeFileSync(file, `set invisible\npoll ${HOST} service ${port} protocol ${protocol} ${user}\n`, { mode: 0o600 });
      await run('/usr/bin/fetchmail', ['--nodetach', '--nosyslog', '--fetchmailrc', file, '--idfile', join(folder, 'ids')], order);
      return filesOf(got);
    },
  },
  {
    name: 'mbsync',
    file: '/usr/bin/mbsync',
    package: 'isync',
    ways: ways('imap', 'off', 'starttls', 'implicit'),
    async read(order) {
      const { folder, port, username, password, tls, caFile } = order;
      const secure = { off: 'None', starttls: 'STARTTLS', implicit: 'IMAPS' }[tls];
      const lines = [
        `IMAPAccount app\nHost ${HOST}\nPort ${port}\nUser ${username}\nPass "${password}"\nSSLType ${secure}\nAuthMechs *`,
        ...(tls === 'off' ? [] : [`CertificateFile ${caFile}`, 'SystemCertificates no']),
        '\nIMAPStore far\nAccount app',
        `\nMaildirStore near\nPath ${folder}/\nInbox ${folder}/INBOX`,
        `\nChannel all\nFar :far:\nNear :near:\nPatterns INBOX\nCreate Near\nSync Pull\nSyncState ${folder}/state`,
      ];
      const file = join(folder, 'mbsyncrc');
      writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      await run('/usr/bin/mbsync', ['--config', file, 'all'], order);
      // The mark with which it finds its own copies again.
      return maildir(join(folder, 'INBOX')).map((message) => without(message, /^X-TUID: .*\r?\n/m));
    },
  },
  {
    name: 'getmail',
    file: '/usr/bin/getmail',
    package: 'getmail6',
    rewritesFields: true,
    ways: [...ways('imap', 'off', 'implicit'), ...ways('pop3', 'off', 'implicit')],
    async read(order) {
      const { folder, protocol, port, username, password, tls, caFile } = order;
      const { got, save } = collector(folder);
      const kind = `Simple${protocol.toUpperCase()}${tls === 'implicit' ? 'SSL' : ''}Retriever`;
      const lines = [
        `[retriever]\ntype = ${kind}\nserver = ${HOST}\nport = ${port}\nusername = ${username}\npassword = ${password}`,
        ...(tls === 'implicit' ? [`ca_certs = ${caFile}`] : []),
        // As root it delivers into no Maildir of its own.
        `[destination]\ntype = MDA_external\npath = ${save}\nallow_root_commands = true`,
        '[options]\nread_all = true\ndelete = false\ndelivered_to = false\nreceived = false',
      ];
      writeFileSync(join(folder, 'getmailrc'), `${lines.join('\n')}\n`, { mode: 0o600 });
      await run('/usr/bin/getmail', [`--getmaildir=${folder}`, '--rcfile=getmailrc'], order);
      // A field that it adds behind the others where it speaks IMAP.
      return filesOf(got).map((message) => without(message, /^X-getmail-retrieved-from-mailbox: .*\r?\n/m));
    },
  },
  {
    name: 'offlineimap',
    file: '/usr/bin/offlineimap',
    package: 'offlineimap3',
    rewritesFields: true,
    ways: ways('imap', 'off', 'implicit'),
    async read(order) {
      const { folder, port, username, password, tls, caFile } = order;
      const secure = tls === 'implicit' ? `ssl = yes\nsslcacertfile = ${caFile}` : 'ssl = no\nstarttls = no';
      const lines = [
        `[general]\naccounts = app\nmetadata = ${folder}/meta\nsocktimeout = 60`,
        '[Account app]\nlocalrepository = near\nremoterepository = far',
        `[Repository near]\ntype = Maildir\nlocalfolders = ${folder}/mail`,
        `[Repository far]\ntype = IMAP\nremotehost = ${HOST}\nremoteport = ${port}\nremoteuser = ${username}\nremotepass = ${password}`,
        `${secure}\nreadonly = True\nfolderfilter = lambda name: name == 'INBOX'`,
      ];
      const file = join(folder, 'offlineimaprc');
      writeFileSync(file, `${lines.join('\n')}\n`, { mode: 0o600 });
      await run('/usr/bin/offlineimap', ['-c', file, '-o', '-u', 'basic'], order);
      return maildir(join(folder, 'mail/INBOX'));
    },
  },
];

/**
 * Python's imaplib, waiting in IDLE.
 *
 * @returns Once it waits.
 */
export async function startIdling(order: ReadingOrder): Promise<{ notice(): Promise<string> }> {
  const waiting = new RunningProcess('/usr/bin/python3', scriptArguments('idle', order), { input: `${order.password}\n` });
  await waiting.until(/^IDLING$/m);
  return {
    async notice() {
      const [, line = ''] = await waiting.until(/^IDLING\n(.+)\n/m);
      const { code, stderr } = await waiting.end();
      if (code !== 0) throw new Error(`imaplib ended with ${code}: ${stderr}`);
      return line;
    },
  };
}

function scriptArguments(what: string, { port, tls, caFile, username, folder }: ReadingOrder): string[] {
  return [SCRIPT, what, HOST, String(port), tls, caFile, username, folder];
}

/** In seconds, for `timeout`. A program that syncs every message takes its time beside tests that fill the disk. */
const PATIENCE_S = '240';

/** @throws Error with what it said, where it fails or hangs (124). */
async function run(file: string, args: readonly string[], { folder }: ReadingOrder, input = ''): Promise<void> {
  const env = { HOME: folder, TERM: 'xterm', LANG: 'C' };
  const { code, stdout, stderr } = await new RunningProcess('/usr/bin/timeout', [PATIENCE_S, file, ...args], {
    env,
    cwd: folder,
    input: `${input}\n`,
  }).end();
  if (code !== 0) throw new Error(`${file} ended with ${code}:\n${stdout.slice(-1500)}${stderr.slice(-1500)}`);
}

/** A program for delivery that puts each message into a file of its own. */
function collector(folder: string): { readonly got: string; readonly save: string } {
  const got = join(folder, 'got');
  mkdirSync(got);
  const save = join(folder, 'save.sh');
  writeFileSync(save, `#!/bin/sh\nexec cat >"$(mktemp '${got}/XXXXXXXX')"\n`, { mode: 0o755 });
  return { got, save };
}

const maildir = (folder: string): Buffer[] => filesOf(join(folder, 'new')).concat(filesOf(join(folder, 'cur')));

function filesOf(folder: string): Buffer[] {
  if (!existsSync(folder)) return [];
  const files = readdirSync(folder).map((name) => join(folder, name));
  return files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file));
}

const without = (message: Buffer, field: RegExp): Buffer => Buffer.from(message.toString('latin1').replace(field, ''), 'latin1');

/** All that has its own danger on the way out: stuffed dots, 8-bit octets, long lines, a last line without an end, size. */
export const KINDS = [
  'leading dots',
  'Latin-1',
  'UTF-8',
  'noise of 8-bit octets',
  'lines longer than 998',
  'From at line start',
  'white space at line ends',
  'many empty lines at the end',
  'no body',
  'no line end at the end',
  'words of the protocol',
  'a megabyte of 8-bit octets',
];

/** From the first field on, with LF for line ends and one at the end where a program has put none: what all programs agree upon. */
function essence(stored: Buffer): string {
  const text = stored.toString('latin1', stored.indexOf('X-Postern-Test: ', 0, 'latin1')).replaceAll('\r\n', '\n');
  return text.endsWith('\n') ? text : `${text}\n`;
}

/** Each field in one line, with one blank behind its colon. */
function evenFields(message: Buffer): Buffer {
  const text = essence(message);
  const end = text.indexOf('\n\n');
  return Buffer.from(
    text
      .slice(0, end)
      .replace(/\n[ \t]+/g, ' ')
      .replace(/^([\w-]+):[ \t]*/gm, '$1: ') + text.slice(end),
    'latin1',
  );
}

const idOf = (stored: Buffer): string | undefined => /^X-Postern-Test: (\S+)/.exec(essence(stored))?.[1];

/** Where the two part, for people; undefined where they do not. */
function difference(wanted: Buffer, stored: Buffer | undefined): string | undefined {
  if (stored === undefined) return 'is not there';
  const [one, other] = [essence(wanted), essence(stored)];
  if (one === other) return undefined;
  let at = 0;
  while (one[at] === other[at]) at += 1;
  const around = (text: string): string => JSON.stringify(text.slice(Math.max(0, at - 20), at + 40));
  return `${around(one)} has become ${around(other)} at ${at}`;
}

/** What a program has made of messages that it was to store as they are; empty where nothing. */
export function changesIn(reader: Reader, messages: readonly SampleMessage[], read: readonly Buffer[]): string[] {
  const byId = new Map(read.map((stored) => [idOf(stored), stored]));
  return messages.flatMap(({ id, kind, content }) => {
    if (reader.spoils?.includes(kind) === true) return [];
    const stored = byId.get(id);
    const what =
      reader.rewritesFields === true ? difference(evenFields(content), stored && evenFields(stored)) : difference(content, stored);
    return what === undefined ? [] : [`${kind}: ${what}`];
  });
}

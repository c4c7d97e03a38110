/**
 * Debian's Postfix as a null client: sends what local programs give to `sendmail` to a relay, with the settings that Postern shows for it.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { type Daemon, eventually, startDaemon, type WorkFolder } from './daemon.ts';
import { SERVICES } from './postfix.ts';

const run = promisify(execFile);

export interface NullClient {
  readonly daemon: Daemon;
  /** As a program on the machine would. @param content - With its header section. */
  sendmail(content: string, recipient: string): Promise<void>;
  /** What it has logged. */
  log(): string;
}

/** Mail goes out by `smtp`. */
const OUT = `smtp unix - - n - - smtp
relay unix - - n - - smtp
local unix - n n - - local
`;

/** @param shown - Contents of main.cf, then of sasl_passwd, as the page shows them; what places and authorities of this test need comes before. */
export async function startNullClient(folder: WorkFolder, name: string, shown: string, caFile: string): Promise<NullClient> {
  const [main = '', passwords = ''] = shown.split(/^# \/etc\/postfix\/sasl_passwd.*$/m);
  const passwordFile = folder.write(`${name}/config/sasl_passwd`, passwords, 0o600);
  const [queue, data, logFile] = [folder.file(`${name}/queue`), folder.file(`${name}/data`), folder.file(`${name}/mail.log`)];
  const places = `compatibility_level = 3.6
queue_directory = ${queue}
data_directory = ${data}
maillog_file = ${logFile}
maillog_file_prefixes = ${folder.path}
myhostname = client.postern.test
alias_maps =
alias_database =
smtp_tls_CAfile = ${caFile}
`;
  const config = folder
    .write(`${name}/config/main.cf`, places + main.replaceAll('/etc/postfix/sasl_passwd', passwordFile))
    .replace('/main.cf', '');
  folder.write(`${name}/config/master.cf`, SERVICES + OUT);
  await run('install', ['-d', '-o', 'root', queue]);
  await run('install', ['-d', '-o', 'postfix', data]);
  // Creates the queue folders with the owners that Postfix wants.
  await run('/usr/sbin/postfix', ['-c', config, 'check']);
  const daemon = startDaemon(folder, '/usr/lib/postfix/sbin/master', ['-c', config, '-d'], `${name}/master.log`);
  const log = (): string => (existsSync(logFile) ? readFileSync(logFile, 'utf8') : '');
  const isUp = await eventually(() => log().includes('daemon started'), 20_000);
  if (!isUp) {
    await daemon.stop();
    throw new Error(`the null client does not start:\n${log()}${folder.read(`${name}/master.log`)}`);
  }
  return {
    daemon,
    log,
    async sendmail(content, recipient) {
      const sending = run('/usr/sbin/sendmail', ['-C', config, '-i', recipient]);
      sending.child.stdin?.end(content);
      await sending;
    },
  };
}

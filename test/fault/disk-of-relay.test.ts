/**
 * A whole relay, as a process, on a disk that fails it: each message that is not on the disk is answered with 4yz and never delivered later, and once the
 * disk is mended the same process goes on.
 *
 * Calls of the kernel are made to fail by strace, file descriptors are taken away by prlimit, room by a file system of 1 MB: the relay itself is the one
 * that is shipped.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it, type TestContext } from 'vitest';
import { mailboxOf, PASSWORD, RelayLab, type RelayStart } from '../campaign/relay-lab.ts';
import { projectRoot } from '../support/process.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const run = promisify(execFile);
const MEGABYTE = 1024 * 1024;
/** Beyond what a record takes: content that gets a file of its own. */
const LARGE = 400_000;
/** A user that owns nothing here. */
const NOBODY = 65_534;

let lab: RelayLab;
let app: SmtpTalk;
/** Subjects of messages that were answered with 250, and of all others. */
const accepted: string[] = [];
const refused: string[] = [];

beforeEach(async () => {
  accepted.length = 0;
  refused.length = 0;
  lab = await RelayLab.open({ accounts: 1, mode: 'queue' });
}, 60_000);
afterEach(() => lab.close());

/** A relay that works: it has taken and delivered a message. Its port. */
async function startSound(settings: RelayStart = {}): Promise<number> {
  const { port } = await lab.start(settings);
  app = await signIn(port);
  await submit('before', 100);
  await arrived('before');
  return port;
}

async function signIn(port: number): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(port);
  await talk.reply();
  await talk.ask('EHLO app.test');
  const answer = await talk.ask(`AUTH PLAIN ${Buffer.from(`\0a0\0${PASSWORD}`).toString('base64')}`);
  if (!answer.startsWith('235')) throw new Error(answer);
  return talk;
}

/** Submit a message on the connection that is open, and note what was said of it. */
async function submit(subject: string, octets: number): Promise<string> {
  const ask = async (): Promise<string> => {
    for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<anna@example.test>']) {
      const answer = await app.ask(command);
      if (!answer.startsWith('250')) return answer;
    }
    const answer = await app.ask('DATA');
    if (!answer.startsWith('354')) return answer;
    app.send(`Subject: ${subject}\r\n\r\n${'An ordinary line of text.\r\n'.repeat(Math.ceil(octets / 27))}`);
    return app.ask('.');
  };
  const answer = await ask();
  (answer.startsWith('250') ? accepted : refused).push(subject);
  if (!answer.startsWith('250')) await app.ask('RSET');
  return answer;
}

async function arrived(subject: string): Promise<void> {
  while (!lab.sandbox.messages.list().some((message) => message.subject === subject))
    await new Promise((resolve) => setTimeout(resolve, 20));
}

/** A message goes through, on the connection that saw the failure and on a new one. */
async function expectMended(name: string, port: number): Promise<void> {
  for (const octets of [100, LARGE]) {
    const subject = `${name}, mended, ${octets}`;
    expect(await submit(subject, octets)).toMatch(/^250 /);
    await arrived(subject);
  }
  const other = await signIn(port);
  expect(await other.ask('NOOP')).toMatch(/^250 /);
  other.destroy();
}

/** The relay ends and starts again on a sound disk: nothing comes back. */
async function expectNothingRevived(settings: RelayStart = {}): Promise<void> {
  app.destroy();
  await lab.stop();
  const { port } = await lab.start(settings);
  app = await signIn(port);
  await submit('after the restart', 100);
  await arrived('after the restart');
  const received = lab.sandbox.messages.list().map(({ subject }) => subject);
  expect(received.sort()).toEqual([...accepted].sort());
  expect(refused.length).toBeGreaterThan(0);
  app.destroy();
  await lab.stop();
}

/** Skips the test, with the reason in its name, where it cannot be run on this machine. */
function need(context: TestContext, what: 'root' | 'strace' | 'prlimit'): void {
  if (what === 'root') {
    if (process.getuid?.() !== 0) context.skip('not run: mounting and changing users need root');
    return;
  }
  if (['/usr/bin', '/usr/local/bin', '/bin'].every((folder) => !existsSync(join(folder, what)))) {
    context.skip(`not run: there is no ${what} on this machine (Debian package ${what === 'strace' ? 'strace' : 'util-linux'})`);
  }
}

describe('D03 a call that fails with EIO', () => {
  const cases = [
    { name: 'write', calls: 'pwritev,pwritev2,pwrite64', fails: [100, LARGE] },
    { name: 'fsync of a file', calls: 'fdatasync', fails: [100, LARGE] },
    { name: 'rename', calls: 'rename,renameat,renameat2', fails: [LARGE] },
    { name: 'fsync of a directory', calls: 'fsync', fails: [LARGE] },
  ];

  it.for(cases)('$name: 4yz, and on with the next message once it works', { timeout: 60_000 }, async ({ name, calls, fails }, context) => {
    need(context, 'strace');
    const port = await startSound();
    for (const octets of fails) {
      const mend = await injectInto(calls);
      const answers = [await submit(`${name}, ${octets}, first`, octets), await submit(`${name}, ${octets}, second`, octets)];
      const seen = await mend();
      expect(answers).toEqual([expect.stringMatching(/^4\d\d /), expect.stringMatching(/^4\d\d /)]);
      expect(seen).toContain('(INJECTED)');
      await expectMended(`${name}, ${octets}`, port);
    }
    await expectNothingRevived();
  });
});

/** From now on calls of the relay fail with EIO, until the returned function is called; it returns what strace has seen. */
async function injectInto(calls: string): Promise<() => Promise<string>> {
  const args = ['-f', '-p', String(lab.pid), '-e', `trace=${calls}`, '-e', `inject=${calls}:error=EIO`];
  const tracer = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  let seen = '';
  await new Promise<void>((resolve, reject) => {
    tracer.once('error', reject).once('exit', () => reject(new Error(`strace ended: ${seen}`)));
    tracer.stderr.setEncoding('utf8').on('data', (text: string) => {
      seen += text;
      if (seen.includes('attached')) resolve();
    });
  });
  return async () => {
    const ended = new Promise((resolve) => tracer.once('close', resolve));
    tracer.kill('SIGINT'); // Detaches.
    await ended;
    return seen;
  };
}

it('no file can be opened (EMFILE): 4yz, and on with the next message once some can', async (context) => {
  need(context, 'prlimit');
  const port = await startSound();
  const limit = (files: number): void => void execFileSync('prlimit', ['--pid', String(lab.pid), `--nofile=${files}:`]);
  limit(3); // Those that are open stay so.
  expect(await submit('EMFILE, large', LARGE)).toMatch(/^4\d\d /);
  limit(1_024);
  await expectMended('EMFILE', port);
  await expectNothingRevived();
}, 60_000);

it('D06 a directory that cannot be written to: 4yz, and on with the next message once it can', async (context) => {
  need(context, 'root');
  const isReadable = await run('setpriv', [`--reuid=${NOBODY}`, '--clear-groups', 'test', '-r', `${projectRoot}dist/main.js`]).catch(
    () => undefined,
  );
  if (isReadable === undefined) context.skip('not run: another user cannot read this project');
  const port = await startSound({ user: NOBODY });
  const folders = ['content', 'segments'].map((name) => join(lab.spoolDirectory, name));
  for (const folder of folders) chmodSync(folder, 0o500);
  expect(await submit('read-only, large', LARGE)).toMatch(/^4\d\d /);
  for (const folder of folders) chmodSync(folder, 0o700);
  await expectMended('read-only', port);
  await expectNothingRevived({ user: NOBODY });
}, 60_000);

describe('a full disk', () => {
  const mount = (...args: string[]): void => void execFileSync('mount', args);
  const room = (megabytes: number): void => mount('-o', `remount,size=${megabytes}m`, lab.spoolDirectory);

  it('D05 R09 of 1 MB from the start: 452 before the content, and on with the next message once it is larger', async (context) => {
    need(context, 'root');
    rmSync(lab.spoolDirectory, { recursive: true, force: true });
    mkdirSync(lab.spoolDirectory, { recursive: true });
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', lab.spoolDirectory);
    try {
      const { port } = await lab.start();
      app = await signIn(port);
      expect(await submit('full, small', 100)).toMatch(/^452 4\.3\.1 /);
      expect(await submit('full, large', LARGE)).toMatch(/^452 4\.3\.1 /);
      room(300);
      await untilAccepted('full');
      await expectMended('full', port);

      // It fills up while the relay runs: what was prepared before still takes small messages, and large ones find no room.
      const used = await usedMegabytes();
      writeFileSync(join(lab.spoolDirectory, 'filler'), Buffer.alloc(65 * MEGABYTE));
      room(Math.ceil(used) + 65);
      expect(await untilRefused('filled')).toMatch(/^452 4\.3\.1 /);
      rmSync(join(lab.spoolDirectory, 'filler'));
      room(300);
      await untilAccepted('filled');
      await expectMended('filled', port);
      await expectNothingRevived();
    } finally {
      await lab.stop();
      execFileSync('umount', ['-l', lab.spoolDirectory]);
    }
  }, 60_000);

  async function usedMegabytes(): Promise<number> {
    const { stdout } = await run('df', ['--output=used', '-B1', lab.spoolDirectory]);
    return Number(stdout.split('\n')[1]) / MEGABYTE;
  }

  /** The relay asks the disk for its room once a second. */
  async function untilAccepted(name: string): Promise<void> {
    for (let tries = 0; !(await submit(`${name}, small, ${tries}`, 100)).startsWith('250'); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function untilRefused(name: string): Promise<string> {
    for (let tries = 0; ; tries += 1) {
      const answer = await submit(`${name}, large, ${tries}`, 2.5 * MEGABYTE);
      if (!answer.startsWith('250')) return answer;
    }
  }
});

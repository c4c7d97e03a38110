/**
 * A whole relay, as a process, on a disk that fails it: each message that is not on the disk is answered with 4yz and never delivered later, and once the
 * disk is mended the same process goes on.
 *
 * Calls of the kernel are made to fail by strace, file descriptors are taken away by prlimit, room by a file system of 1 MB: the relay itself is the one
 * that is shipped.
 */
import { execFile, execFileSync } from 'node:child_process';
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';
import { LARGE, need, RelayOnDisk } from '../support/relay-on-disk.ts';

const run = promisify(execFile);
const MEGABYTE = 1024 * 1024;
/** A user that owns nothing here. */
const NOBODY = 65_534;

let stage: RelayOnDisk;
beforeEach(async () => {
  stage = await RelayOnDisk.open();
}, 60_000);
afterEach(() => stage.close());

describe('D03 a call that fails with EIO', () => {
  const cases = [
    { name: 'write', calls: 'pwritev,pwritev2,pwrite64', fails: [100, LARGE] },
    { name: 'fsync of a file', calls: 'fdatasync', fails: [100, LARGE] },
    { name: 'rename', calls: 'rename,renameat,renameat2', fails: [LARGE] },
    { name: 'fsync of a directory', calls: 'fsync', fails: [LARGE] },
  ];

  it.for(cases)('$name: 4yz, and on with the next message once it works', { timeout: 60_000 }, async ({ name, calls, fails }, context) => {
    need(context, 'strace');
    const port = await stage.startSound();
    for (const octets of fails) {
      const mend = await stage.injectInto(calls);
      const answers = [await stage.submit(`${name}, ${octets}, first`, octets), await stage.submit(`${name}, ${octets}, second`, octets)];
      const seen = await mend();
      expect(answers).toEqual([expect.stringMatching(/^4\d\d /), expect.stringMatching(/^4\d\d /)]);
      expect(seen).toContain('(INJECTED)');
      await stage.expectMended(`${name}, ${octets}`, port);
    }
    await stage.expectNothingRevived();
  });
});

it('no file can be opened (EMFILE): 4yz, and on with the next message once some can', async (context) => {
  need(context, 'prlimit');
  const port = await stage.startSound();
  const limit = (files: number): void => void execFileSync('prlimit', ['--pid', String(stage.lab.pid), `--nofile=${files}:`]);
  limit(3); // Those that are open stay so.
  expect(await stage.submit('EMFILE, large', LARGE)).toMatch(/^4\d\d /);
  limit(1_024);
  await stage.expectMended('EMFILE', port);
  await stage.expectNothingRevived();
}, 60_000);

it('D06 a directory that cannot be written to: 4yz, and on with the next message once it can', async (context) => {
  need(context, 'root');
  const isReadable = await run('setpriv', [`--reuid=${NOBODY}`, '--clear-groups', 'test', '-r', `${projectRoot}dist/main.js`]).catch(
    () => undefined,
  );
  if (isReadable === undefined) context.skip('not run: another user cannot read this project');
  const port = await stage.startSound({ user: NOBODY });
  const folders = ['content', 'segments'].map((name) => join(stage.lab.spoolDirectory, name));
  for (const folder of folders) chmodSync(folder, 0o500);
  expect(await stage.submit('read-only, large', LARGE)).toMatch(/^4\d\d /);
  for (const folder of folders) chmodSync(folder, 0o700);
  await stage.expectMended('read-only', port);
  await stage.expectNothingRevived({ user: NOBODY });
}, 60_000);

describe('a full disk', () => {
  const mount = (...args: string[]): void => void execFileSync('mount', args);
  const room = (megabytes: number): void => mount('-o', `remount,size=${megabytes}m`, stage.lab.spoolDirectory);

  it('D05 R09 of 1 MB from the start: 452 before the content, and on with the next message once it is larger', async (context) => {
    need(context, 'root');
    rmSync(stage.lab.spoolDirectory, { recursive: true, force: true });
    mkdirSync(stage.lab.spoolDirectory, { recursive: true });
    mount('-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', stage.lab.spoolDirectory);
    try {
      const { port } = await stage.lab.start();
      await stage.connect(port);
      expect(await stage.submit('full, small', 100)).toMatch(/^452 4\.3\.1 /);
      expect(await stage.submit('full, large', LARGE)).toMatch(/^452 4\.3\.1 /);
      room(300);
      await untilAccepted('full');
      await stage.expectMended('full', port);

      // It fills up while the relay runs: what was prepared before still takes small messages, and large ones find no room.
      const used = await usedMegabytes();
      writeFileSync(join(stage.lab.spoolDirectory, 'filler'), Buffer.alloc(65 * MEGABYTE));
      room(Math.ceil(used) + 65);
      expect(await untilRefused('filled')).toMatch(/^452 4\.3\.1 /);
      rmSync(join(stage.lab.spoolDirectory, 'filler'));
      room(300);
      await untilAccepted('filled');
      await stage.expectMended('filled', port);
      await stage.expectNothingRevived();
    } finally {
      await stage.lab.stop();
      execFileSync('umount', ['-l', stage.lab.spoolDirectory]);
    }
  }, 60_000);

  async function usedMegabytes(): Promise<number> {
    const { stdout } = await run('df', ['--output=used', '-B1', stage.lab.spoolDirectory]);
    return Number(stdout.split('\n')[1]) / MEGABYTE;
  }

  /** The relay asks the disk for its room once a second. */
  async function untilAccepted(name: string): Promise<void> {
    for (let tries = 0; !(await stage.submit(`${name}, small, ${tries}`, 100)).startsWith('250'); tries += 1) {
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  async function untilRefused(name: string): Promise<string> {
    for (let tries = 0; ; tries += 1) {
      const answer = await stage.submit(`${name}, large, ${tries}`, 2.5 * MEGABYTE);
      if (!answer.startsWith('250')) return answer;
    }
  }
});

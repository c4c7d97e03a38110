/**
 * A whole relay, as a process, on a disk that takes nothing for reasons other than a broken device: read-only, a quota that is used up, no inode left; and on one that
 * takes its time. As in disk-of-relay.test.ts, calls of the kernel are made to fail by strace.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mailboxOf } from '../campaign/relay-lab.ts';
import { LARGE, need, RelayOnDisk, signIn } from '../support/relay-on-disk.ts';

let stage: RelayOnDisk;
beforeEach(async () => {
  stage = await RelayOnDisk.open();
}, 60_000);
afterEach(() => stage.close());

describe('D06 a disk that takes nothing for another reason', () => {
  const cases = [
    { name: 'EROFS at rename', calls: 'rename,renameat,renameat2', error: 'EROFS', octets: LARGE, code: /^451 4\.3\.0 / },
    { name: 'EDQUOT at write', calls: 'pwritev,pwritev2,pwrite64', error: 'EDQUOT', octets: 100, code: /^452 4\.3\.1 / },
    {
      name: 'EDQUOT at write of a large message',
      calls: 'pwritev,pwritev2,pwrite64',
      error: 'EDQUOT',
      octets: LARGE,
      code: /^452 4\.3\.1 /,
    },
  ];

  it.for(cases)('$name: 4yz, nothing is left of it, and on without a restart', { timeout: 60_000 }, async (each, context) => {
    need(context, 'strace');
    const port = await stage.startSound();
    const mend = await stage.injectInto(each.calls, `error=${each.error}`);
    const answer = await stage.submit(each.name, each.octets);
    expect(await mend()).toContain('(INJECTED)');
    expect(answer).toMatch(each.code);
    expect(readdirSync(join(stage.lab.spoolDirectory, 'content'))).toEqual([]);
    await stage.expectMended(each.name, port);
    await stage.expectNothingRevived();
  });

  it('no inode is left: 4yz, and on once there are some', { timeout: 60_000 }, async (context) => {
    need(context, 'root');
    rmSync(stage.lab.spoolDirectory, { recursive: true, force: true });
    mkdirSync(stage.lab.spoolDirectory, { recursive: true });
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300m,nr_inodes=64', 'tmpfs', stage.lab.spoolDirectory]);
    try {
      const port = await stage.startSound();
      let fillers = 0;
      const fill = (): void => {
        for (;;) writeFileSync(join(stage.lab.spoolDirectory, `filler-${(fillers += 1)}`), '');
      };
      expect(fill).toThrow('ENOSPC');
      expect(await stage.submit('no inode, large', LARGE)).toMatch(/^45[12] 4\.3\.[01] /);
      for (const name of readdirSync(stage.lab.spoolDirectory))
        if (name.startsWith('filler-')) rmSync(join(stage.lab.spoolDirectory, name));
      await pause(1_100); // The relay asks the disk for its room once a second.
      await stage.expectMended('no inode', port);
      await stage.expectNothingRevived();
    } finally {
      await stage.lab.stop();
      execFileSync('umount', ['-l', stage.lab.spoolDirectory]);
    }
  });
});

it('D17 a sync that takes five seconds keeps its own message waiting, and no other session', { timeout: 60_000 }, async (context) => {
  need(context, 'strace');
  const port = await stage.startSound();
  const bystander = await signIn(port);
  const mend = await stage.injectInto('fdatasync', 'delay_enter=5000000');
  const began = performance.now();
  const slow = stage.submit('slow sync', 100);
  // The first word to each step of another session comes while the disk is busy.
  for (const command of ['NOOP', `MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<anna@example.test>', 'RSET', 'NOOP']) {
    expect(await bystander.ask(command)).toMatch(/^250 /);
  }
  const third = await signIn(port);
  const others = performance.now() - began;
  expect(await slow).toMatch(/^250 /);
  const waited = performance.now() - began;
  expect(await mend()).toContain('(DELAYED)');
  expect(waited).toBeGreaterThan(4_500);
  expect(others).toBeLessThan(waited - 1_000);
  bystander.destroy();
  third.destroy();
  await stage.arrived('slow sync');
  await stage.expectMended('slow sync', port);
});

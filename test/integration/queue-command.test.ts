/** `postern queue` as operators run it: a process of its own, beside a relay or alone. */
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { spoolDirectory } from '../../src/app/open-spool.ts';
import { queueRoutes } from '../../src/admin/queue-routes.ts';
import { SpoolQueue } from '../../src/admin/spool-queue.ts';
import { openControlServer } from '../../src/app/control-door.ts';
import { seconds } from '../../src/core/clock.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import { systemFiles } from '../../src/platform/files.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { cleanUp, newFolder } from '../support/control-stage.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { openSpool } from '../support/open-spool.ts';
import { type Finished, postern } from '../support/process.ts';
import { accept, id, newMessage } from '../support/spool-messages.ts';

const HELD = { code: 'UPSTREAM_BLOCKED', since: systemClock.now(), cause: 'the mailbox is blocked' } as const;
const WIRE = Buffer.from('Subject: Gr\xfc\xdfe\r\n\r\n..\r\n..dot\r\nlast\r\n', 'latin1');
const PLAIN = Buffer.from('Subject: Gr\xfc\xdfe\r\n\r\n.\r\n.dot\r\nlast\r\n', 'latin1');

interface Site {
  readonly folder: string;
  readonly stateDir: string;
  run(...args: string[]): Promise<Finished>;
}

const ends: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of ends.splice(0)) await end();
  await cleanUp();
});

function newSite(): Site {
  const folder = newFolder();
  writeFileSync(join(folder, 'postern.yaml'), 'state: { dir: ./var }\nclients: [{ name: local, networks: ["127.0.0.0/8"] }]\n');
  const config = join(folder, 'postern.yaml');
  return {
    folder,
    stateDir: join(folder, 'var'),
    run: (...args) => postern(['queue', '--config', config, ...args], { cwd: folder }).end(),
  };
}

const settingsOf = ({ stateDir }: Site) => ({ state: { dir: stateDir, keyFile: join(stateDir, 'master.key') } });

async function fill(spool: Spool): Promise<void> {
  const acceptedAt = systemClock.now();
  await accept(spool, newMessage(1, { acceptedAt }), WIRE);
  await accept(
    spool,
    newMessage(2, { acceptedAt, account: 'scans', hold: HELD, forwardPaths: [{ address: 'a@x.test' }, { address: 'b@x.test' }] }),
  );
}

/** A spool with two messages. `served`: open in this process, with a control server; else closed. */
async function siteWithMail(isServed: boolean): Promise<{ site: Site; spool: Spool }> {
  const site = newSite();
  const log = new MemoryLog();
  mkdirSync(site.stateDir, { mode: 0o700 });
  const spool = await openSpool(systemFiles, { dir: spoolDirectory(settingsOf(site)), clock: systemClock, log, segmentSize: 1024 * 1024 });
  await fill(spool);
  if (isServed) {
    const routes = queueRoutes(new SpoolQueue({ spool, clock: systemClock, log }));
    const server = await openControlServer(settingsOf(site), () => Promise.resolve(routes), log);
    if (server === undefined) throw new Error(JSON.stringify(log.lines));
    ends.push(async () => {
      await server.close(seconds(5));
      await spool.close();
    });
  } else await spool.close();
  return { site, spool };
}

describe.each([
  ['beside a relay', true],
  ['alone', false],
])('%s, it', (_, isServed) => {
  it('lists, filters and shows', async () => {
    const { site } = await siteWithMail(isServed);
    const listed = await site.run('list');
    expect(listed).toMatchObject({ code: 0, stderr: '' });
    expect(listed.stdout.split('\n').map((line) => line.slice(0, 16).trim())).toEqual(['ID', id(1), id(2), '']);
    const filtered = await site.run('list', '--held', '--code', 'UPSTREAM_BLOCKED', '--account', 'scans', '--json');
    expect(filtered.code).toBe(0);
    expect(JSON.parse(filtered.stdout)).toMatchObject({
      matching: 1,
      items: [
        {
          queueId: id(2),
          hold: { code: 'UPSTREAM_BLOCKED' },
          recipients: [{ address: 'a@x.test', state: 'pending' }, { address: 'b@x.test' }],
        },
      ],
    });
    const shown = await site.run('show', id(2).toLowerCase());
    expect(shown).toMatchObject({ code: 0, stderr: '' });
    expect(shown.stdout).toMatch(/^Held .*the mailbox is blocked \[UPSTREAM_BLOCKED\]$/m);
    expect(shown.stdout).toMatch(/^ {2}Subject: message/m);
  });

  it('exports octet by octet, to a file that was not there', async () => {
    const { site } = await siteWithMail(isServed);
    expect(await site.run('export', id(1), 'out.eml')).toEqual({ code: 0, stdout: '', stderr: '' });
    const file = join(site.folder, 'out.eml');
    expect(readFileSync(file).equals(PLAIN)).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await site.run('export', id(2), 'out.eml');
    expect(again.code).toBe(1);
    expect(again.stderr).toMatch(/EEXIST/);
    expect(readFileSync(file).equals(PLAIN)).toBe(true);
    expect((await site.run('export', id(2))).stdout).toMatch(/^Subject: message Q0+2\r\n/);
  });

  it('changes what is named or matches', async () => {
    const { site } = await siteWithMail(isServed);
    expect((await site.run('hold', id(1))).stdout).toBe(`${id(1)}: held\n`);
    expect(JSON.parse((await site.run('list', '--held', '--json')).stdout)).toMatchObject({ matching: 2 });
    const released = await site.run('release', '--code', 'HELD_BY_OPERATOR', '--json');
    expect(JSON.parse(released.stdout)).toEqual({ changed: [id(1)], unknown: [] });
    const retried = await site.run('retry', '--account', 'scans');
    expect(retried.stdout).toBe(`${id(2)}: due now${isServed ? '' : ' (once postern serve runs again)'}\n`);
    expect(await site.run('drop', id(1))).toMatchObject({ code: 2, stdout: '' });
    expect(await site.run('drop', id(1), '--yes')).toMatchObject({ code: 0, stdout: `${id(1)}: dropped\n` });
    const rest = JSON.parse((await site.run('list', '--json')).stdout);
    expect(rest).toMatchObject({ matching: 1, items: [{ queueId: id(2) }] });
    expect(rest.items[0]).not.toHaveProperty('hold');
  });

  it('says what it does not know, with exit code 1', async () => {
    const { site } = await siteWithMail(isServed);
    const outcomes = [
      await site.run('show', 'Q999999999999999'),
      await site.run('show', 'nonsense'),
      await site.run('export', 'Q999999999999999', 'out.eml'),
      await site.run('retry', 'Q999999999999999'),
      await site.run('retry', 'nonsense'),
    ];
    for (const outcome of outcomes) {
      expect(outcome.code).toBe(1);
      expect(outcome.stdout).toBe('');
      expect(outcome.stderr).toMatch(/there is no message (Q999999999999999|NONSENSE) in the queue/);
    }
    expect(existsSync(join(site.folder, 'out.eml'))).toBe(false);
    const partly = await site.run('hold', id(1), 'Q999999999999999');
    expect(partly).toMatchObject({ code: 1, stdout: `${id(1)}: held\n` });
  });
});

describe('where there is no queue, it', () => {
  it('finds nothing, and makes nothing', async () => {
    const site = newSite();
    expect(await site.run('list')).toEqual({ code: 0, stdout: 'The queue is empty.\n', stderr: '' });
    expect((await site.run('list', '--held')).stdout).toBe('No message in the queue matches.\n');
    expect((await site.run('show', id(1))).code).toBe(1);
    expect(existsSync(site.stateDir)).toBe(false);
  });
});

describe('where the queue is in use without a control socket, it', () => {
  it('says by whom', async () => {
    const { site } = await siteWithMail(false);
    const spool = await openSpool(systemFiles, { dir: spoolDirectory(settingsOf(site)), clock: systemClock });
    ends.push(() => spool.close());
    const outcome = await site.run('list');
    expect(outcome.code).toBe(1);
    expect(outcome.stderr).toMatch(new RegExp(`process ${process.pid} uses .* \\[SPOOL_LOCKED\\]`));
  });
});

describe('where the arguments are wrong, it', () => {
  it.each([[['purge']], [['list', '--limit', 'x']], [['show']], [['retry']], [[]]])('says so: %j', async (args) => {
    const outcome = await newSite().run(...args);
    expect(outcome.code).toBe(2);
    expect(outcome.stderr).toMatch(/^postern: /);
  });
});

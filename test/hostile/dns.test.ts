/** What the system's resolver makes of a DNS server that misbehaves, and what the relay makes of that: a network of its own, with a server of ours on port 53. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';

const run = promisify(execFile);

interface Outcome {
  readonly name: string;
  readonly tookMs: number;
  readonly [field: string]: unknown;
}

it('N02 a name that is not resolved is a 451 within ten seconds, whatever is wrong with DNS', { timeout: 60_000 }, async (context) => {
  const folder = await mkdtemp(join(tmpdir(), 'postern-dns-'));
  try {
    await writeFile(join(folder, 'resolv.conf'), 'nameserver 127.0.0.1\n');
    await writeFile(join(folder, 'nsswitch.conf'), 'hosts: files dns\n');
    const network = ['--dev-bind', '/', '/', '--unshare-net', '--cap-add', 'ALL'];
    const files = ['resolv.conf', 'nsswitch.conf'].flatMap((name) => ['--ro-bind', join(folder, name), `/etc/${name}`]);
    const program = [process.execPath, '--import', 'tsx', join(projectRoot, 'test/support/faulty-resolver.ts')];
    const obstacle = await run('bwrap', [...network, 'true']).then(
      () => undefined,
      (error: Error) => error.message,
    );
    if (obstacle !== undefined) context.skip(`not run: bubblewrap makes no network of its own here (${obstacle})`);
    const { stdout } = await run('bwrap', [...network, ...files, '--chdir', projectRoot, ...program], { maxBuffer: 1_000_000 });
    const outcomes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Outcome);
    expect(outcomes.map(({ name }) => name)).toEqual(['dropped', 'servfail', 'refused', 'nxdomain', 'empty', 'loop', 'garbage']);
    for (const outcome of outcomes) {
      expect(outcome).toMatchObject({
        stage: 'connect',
        code: 451,
        enhancedCode: '4.4.1',
        problem: 'UPSTREAM_UNREACHABLE',
        heals: 'by-itself',
      });
      expect(outcome.tookMs).toBeLessThan(11_000);
      expect(outcome['cause']).toContain(`${outcome.name}.test`);
    }
  } finally {
    await rm(folder, { recursive: true });
  }
});

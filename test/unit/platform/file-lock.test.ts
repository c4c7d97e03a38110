import { spawn } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type LockOutcome, lockFile } from '../../../src/platform/file-lock.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-lock-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

async function locked(outcome: Promise<LockOutcome>): Promise<() => Promise<void>> {
  const found = await outcome;
  if (found.kind === 'held') throw new Error(`held by ${found.holder}`);
  return found.release;
}

/** A process that takes the lock and waits to be killed. */
async function holdElsewhere(path: string): Promise<() => Promise<void>> {
  const module = fileURLToPath(new URL('../../../src/platform/file-lock.ts', import.meta.url));
  const program = `const { lockFile } = await import(${JSON.stringify(module)}); console.log((await lockFile(${JSON.stringify(path)})).kind); setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const said = await new Promise<string>((resolve) => child.stdout.setEncoding('utf8').once('data', resolve));
  expect(said).toBe('locked\n');
  return async () => {
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
  };
}

describe('a lock', () => {
  it('is held by one, and free again when it is released', async () => {
    const path = join(directory, 'one');
    const release = await locked(lockFile(path));
    expect(await lockFile(path)).toEqual({ kind: 'held', holder: `process ${process.pid}` });
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await release();
    await (await locked(lockFile(path)))();
    expect((await readdir(directory)).filter((name) => name.startsWith('one'))).toEqual([]);
  });

  it('goes to one of many that ask at once', async () => {
    const path = join(directory, 'many');
    const outcomes = await Promise.all(Array.from({ length: 10 }, () => lockFile(path)));
    expect(outcomes.filter(({ kind }) => kind === 'locked')).toHaveLength(1);
  });

  it('of a living process is respected; of a killed one it is not', async () => {
    const path = join(directory, 'killed');
    const kill = await holdElsewhere(path);
    expect(await lockFile(path)).toMatchObject({ kind: 'held' });
    await kill();
    const began = performance.now();
    await (await locked(lockFile(path)))();
    expect(performance.now() - began).toBeLessThan(4_000); // It was looked up, not watched.
  });

  it('of a process whose id was given to another is free', async () => {
    const path = join(directory, 'reused');
    const release = await locked(lockFile(path));
    const holder = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await release();
    await writeFile(path, JSON.stringify({ ...holder, startedAt: '1' }));
    await (await locked(lockFile(path)))();
  });

  it('of a holder that cannot be looked up is respected while it is renewed, and then taken', async () => {
    const path = join(directory, 'elsewhere');
    const release = await locked(lockFile(path));
    const holder = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
    await release();
    await writeFile(path, JSON.stringify({ ...holder, namespace: 'pid:[1]' }));
    const renewal = setInterval(() => void utimes(path, new Date(), new Date()), 200);
    expect(await lockFile(path)).toEqual({ kind: 'held', holder: `process ${process.pid}` });
    clearInterval(renewal);
    await (await locked(lockFile(path)))();
  }, 20_000);

  it('that is empty or nonsense, as after a power cut, is watched and then taken', async () => {
    const path = join(directory, 'empty');
    await writeFile(path, '');
    await (await locked(lockFile(path)))();
  }, 20_000);
});

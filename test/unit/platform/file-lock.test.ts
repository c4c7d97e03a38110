import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
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

/** What a process leaves that was killed with the lock. */
async function leaveStale(path: string): Promise<void> {
  const release = await locked(lockFile(path));
  const holder = JSON.parse(await readFile(path, 'utf8')) as Record<string, unknown>;
  await release();
  await writeFile(path, JSON.stringify({ ...holder, startedAt: '1' }));
}

describe('a stale lock', () => {
  it('goes to one of many that find it at once, and fails for none', async () => {
    const path = join(directory, 'stale');
    for (let round = 0; round < 40; round += 1) {
      await leaveStale(path);
      const outcomes = await Promise.all(Array.from({ length: 8 }, () => lockFile(path)));
      const winners = outcomes.filter((outcome) => outcome.kind === 'locked');
      expect(winners).toHaveLength(1);
      await winners[0]?.release();
      expect((await readdir(directory)).filter((name) => name.includes('stale'))).toEqual([]);
    }
  });

  it('whose heir was killed before it had succeeded goes to the next', async () => {
    const path = join(directory, 'heir');
    // Stops where the heir has its file and has not yet looked whether it is in time.
    await leaveStale(path);
    const stale = await readFile(path, 'utf8');
    const mark = createHash('sha256').update(`:${stale}`).digest('hex').slice(0, 32);
    await writeFile(`${path}.after-${mark}`, stale.replace(/"nonce":"\w+"/, '"nonce":"0123456789abcdef"'));
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => lockFile(path)));
    const winners = outcomes.filter((outcome) => outcome.kind === 'locked');
    expect(winners).toHaveLength(1);
    await winners[0]?.release();
    expect((await readdir(directory)).filter((name) => name.startsWith('heir'))).toEqual([]);
  });

  it('is held by one at a time where many processes take it, give it back and are killed with it', async () => {
    const path = join(directory, 'crowd');
    const program = fileURLToPath(new URL('../../support/lock-contender.ts', import.meta.url));
    await leaveStale(path);
    const runs = Array.from({ length: 6 }, async () => {
      const child = spawn(process.execPath, ['--import', 'tsx', program, path, join(directory, 'guard'), '20'], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      let said = '';
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
      const signal = await new Promise((resolve) => child.once('close', (_code, by) => resolve(by)));
      return { said, signal };
    });
    expect(await Promise.all(runs)).toEqual(Array.from({ length: 6 }, () => ({ said: '', signal: 'SIGKILL' })));
  }, 60_000);
});

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

  it('D11 of a living process is respected; of a killed one it is not', async () => {
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

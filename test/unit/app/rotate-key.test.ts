/** A new key for the state: nothing stored is lost, wherever the rotation is killed and whoever saves meanwhile. */
import { link, mkdtemp, open, readFile, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Rotation, type RotationOrder, rotateStateKey } from '../../../src/app/rotate-key.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import type { FileOperations } from '../../../src/platform/atomic-file.ts';
import { newKey, openStateKeys, replaceKeys } from '../../../src/platform/key-file.ts';
import { FileTokenStore } from '../../../src/token/file-token-store.ts';
import { grant } from '../../contract/token-store.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const ACCOUNTS = ['billing', 'sales', 'noreply'];
let base: string;
let keyFile: string;
const log = new MemoryLog();
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'postern-rotate-'));
  keyFile = join(base, 'master.key');
});
afterEach(async () => {
  await rm(base, { recursive: true });
});

/** A store as a process that starts now would open it. */
async function openStore(): Promise<FileTokenStore> {
  return new FileTokenStore({ directory: join(base, 'tokens'), masterKey: await openStateKeys(keyFile), log });
}

async function fill(): Promise<void> {
  const store = await openStore();
  for (const [index, account] of ACCOUNTS.entries()) await store.save(account, grant(index + 1));
}

async function expectAllReadable(): Promise<void> {
  const store = await openStore();
  for (const [index, account] of ACCOUNTS.entries()) expect(await store.load(account)).toEqual(grant(index + 1));
}

const rotate = (changes: Partial<RotationOrder> = {}): Promise<Rotation> =>
  rotateStateKey({ state: { dir: base, keyFile }, accounts: ACCOUNTS, isResealOnly: false, log, ...changes });

const linesOf = async (path = keyFile): Promise<string[]> => (await readFile(path, 'latin1')).trim().split('\n');

/** Runs `steps` operations; then the process is dead: nothing it does reaches the disk. */
function dyingAfter(steps: number): FileOperations {
  let left = steps;
  const step = <Args extends unknown[], Result>(call: (...args: Args) => Promise<Result>) => {
    return async (...args: Args): Promise<Result> => {
      left -= 1;
      if (left < 0) throw new Error('killed');
      return call(...args);
    };
  };
  return { open: step(open), rename: step(rename), link: step(link), unlink: step(unlink) };
}

async function problemOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof ProblemError)) throw new Error(`expected a ProblemError, got ${String(error)}`);
  return error.problem;
}

describe('rotateStateKey', () => {
  it('L06 encrypts everything with a new key and forgets the old one', async () => {
    await fill();
    const [before] = await linesOf();
    expect(await rotate()).toEqual({ resealed: 3, keys: 1, needed: 1, left: [] });
    const after = await linesOf();
    expect(after).toHaveLength(1);
    expect(after).not.toContain(before);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
    await expectAllReadable();
  });

  it('may be killed at any step, and run again', async () => {
    let kills = 0;
    for (let steps = 0; ; steps += 1) {
      await rm(base, { recursive: true });
      await fill();
      const outcome = await rotate({ operations: dyingAfter(steps) }).catch((error: unknown) => error);
      await expectAllReadable();
      const isKilled = outcome instanceof Error || (outcome as Rotation).left.length > 0;
      if (!isKilled) break;
      kills += 1;
      expect(await rotate()).toMatchObject({ keys: 1, needed: 1, left: [] });
      await expectAllReadable();
    }
    // Two changes of the key file and three grants, three operations each: the new file, its name, the directory.
    expect(kills).toBe(15);
  });

  it('is seen by a Postern that runs: it reads what was encrypted anew, and saves with the new key', async () => {
    await fill();
    const running = await openStore();
    expect(await running.load('billing')).toEqual(grant(1));
    await rotate();
    expect(await running.load('billing')).toEqual(grant(1));
    await running.save('sales', grant(7));
    expect(await (await openStore()).load('sales')).toEqual(grant(7));
  });

  it('loses nothing that a running Postern saves meanwhile', async () => {
    await fill();
    const running = await openStore();
    let isOver = false;
    let generation = 10;
    const saving = (async () => {
      while (!isOver) {
        await running.exclusively('billing', async () => {
          await running.load('billing');
          generation += 1;
          await running.save('billing', grant(generation));
        });
      }
    })();
    for (let count = 0; count < 5; count += 1) expect((await rotate()).left).toEqual([]);
    isOver = true;
    await saving;
    expect(await (await openStore()).load('billing')).toEqual(grant(generation));
  });

  it('L06 keeps an old key as long as something needs it, and says what', async () => {
    await fill();
    const rotation = await rotate({ accounts: ['billing', 'sales'] });
    expect(rotation).toMatchObject({ resealed: 2, keys: 2, needed: 2 });
    expect(rotation.left).toEqual([
      { file: expect.stringMatching(/noreply\..*grant$/), why: expect.stringContaining('no configured account') },
    ]);
    await expectAllReadable();
    expect(await rotate()).toEqual({ resealed: 3, keys: 1, needed: 1, left: [] });
  });

  it('keeps a damaged grant as it is, and says so', async () => {
    await fill();
    const path = (await openStore()).pathOf('sales');
    await writeFile(path, 'broken');
    expect((await rotate()).left).toEqual([{ file: path, why: expect.stringContaining('damaged') }]);
    expect(await readFile(path, 'utf8')).toBe('broken');
  });

  it('replaces what a link leads to', async () => {
    await fill();
    const real = join(base, 'real.key');
    await rename(keyFile, real);
    await symlink(real, keyFile);
    const [before] = await linesOf(real);
    await rotate();
    expect(await linesOf(real)).not.toContain(before);
    await expectAllReadable();
  });

  it('with --reseal leaves the key file alone and tells how many keys are needed', async () => {
    await fill();
    const { keys } = await openStateKeys(keyFile);
    await replaceKeys(keyFile, [newKey(), ...keys]);
    const before = await linesOf();
    expect(await rotate({ isResealOnly: true })).toEqual({ resealed: 3, keys: 2, needed: 1, left: [] });
    expect(await linesOf()).toEqual(before);
    expect(await rotate({ isResealOnly: true })).toMatchObject({ resealed: 0 });
    await writeFile(keyFile, `${before[0]}\n`);
    await expectAllReadable();
  });

  it("replaces no key file of somebody else, and with --reseal needs not to (a Kubernetes secret is root's)", async () => {
    await fill();
    const before = await linesOf();
    const { uid } = await stat(keyFile);
    const user = vi.spyOn(process, 'geteuid').mockReturnValue(uid + 1);
    try {
      expect(await problemOf(rotate())).toMatchObject({ code: 'STATE_KEY_UNUSABLE', cause: `${keyFile} belongs to user ${uid}` });
      expect(await rotate({ isResealOnly: true })).toEqual({ resealed: 0, keys: 1, needed: 1, left: [] });
    } finally {
      user.mockRestore();
    }
    expect(await linesOf()).toEqual(before);
  });

  it('does nothing where there is no key, or another rotation runs', async () => {
    expect(await problemOf(rotate())).toMatchObject({ code: 'STATE_KEY_UNUSABLE', cause: expect.stringContaining('no key file') });
    await fill();
    const before = await linesOf();
    const outcomes = await Promise.allSettled([rotate(), rotate(), rotate()]);
    const refused = outcomes.filter(({ status }) => status === 'rejected');
    expect(refused.length).toBeLessThan(3);
    for (const outcome of refused) expect(String((outcome as PromiseRejectedResult).reason)).toContain('is rotating the key');
    expect(await linesOf()).not.toEqual(before);
    await expectAllReadable();
  });
});

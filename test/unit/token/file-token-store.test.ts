import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/core/problem.ts';
import { FileTokenStore } from '../../../src/token/file-token-store.ts';
import { grant } from '../../contract/token-store.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { problemOf } from './manager-stage.ts';

const KEY = Buffer.alloc(32, 7);
let base: string;
let directory: string;
let log: MemoryLog;
let store: FileTokenStore;
beforeEach(async () => {
  base = await mkdtemp(join(tmpdir(), 'postern-tokens-'));
  directory = join(base, 'state', 'tokens');
  log = new MemoryLog();
  store = open();
});
afterEach(async () => {
  await rm(base, { recursive: true });
});
const open = (masterKey: Uint8Array = KEY): FileTokenStore => new FileTokenStore({ directory, masterKey, log });
const modeOf = async (path: string): Promise<number> => (await stat(path)).mode & 0o777;

describe('the files', () => {
  it('L03 are 0600 in a directory of 0700, one per account, with a name that can be read', async () => {
    await store.save('Billing/ERP', grant(1));
    await store.save('sales', grant(1));
    expect(await modeOf(directory)).toBe(0o700);
    const names = await readdir(directory);
    expect(names.sort()).toEqual([
      expect.stringMatching(/^billing-erp\.[0-9a-f]{16}\.grant$/),
      expect.stringMatching(/^sales\.[0-9a-f]{16}\.grant$/),
    ]);
    for (const name of names) expect(await modeOf(join(directory, name))).toBe(0o600);
  });

  it('show no secret, and no two saves look alike', async () => {
    await store.save('billing', grant(1));
    const first = await readFile(store.pathOf('billing'), 'utf8');
    await store.save('billing', grant(1));
    const second = await readFile(store.pathOf('billing'), 'utf8');
    const decoded = Buffer.from((JSON.parse(first) as { sealed: string }).sealed, 'base64').toString('latin1');
    for (const secret of ['refresh-1', 'access-1', 'seed-digest']) expect(first + second + decoded).not.toContain(secret);
    expect(first).not.toBe(second);
  });

  it('with too wide permissions are corrected, with a warning', async () => {
    await store.save('billing', grant(1));
    await chmod(directory, 0o755);
    await chmod(store.pathOf('billing'), 0o644);
    expect(await open().load('billing')).toEqual(grant(1));
    expect(await modeOf(directory)).toBe(0o700);
    expect(await modeOf(store.pathOf('billing'))).toBe(0o600);
    expect(log.of('permissions-corrected').map(({ file }) => file)).toEqual([directory, store.pathOf('billing')]);
  });

  it('that a killed process left half written are removed at the next start', async () => {
    await store.save('billing', grant(1));
    const left = join(directory, '.billing.grant.0123456789abcdef.tmp');
    await writeFile(left, 'half');
    await utimes(left, 1, 1);
    expect(await open().load('billing')).toEqual(grant(1));
    expect(await readdir(directory)).toHaveLength(1);
  });
});

describe('what cannot be read', () => {
  /** Why loading fails, having made sure that every octet is as it was. */
  async function refusalOf(reader: FileTokenStore, account: string): Promise<string> {
    const path = reader.pathOf(account);
    const before = await readFile(path);
    const { code, cause } = await problemOf(reader.load(account));
    if (code !== 'TOKEN_STORE_FAILED' || !cause.includes(path) || cause.includes('refresh-1'))
      throw new Error(`wrong problem: ${code} ${cause}`);
    if (!before.equals(await readFile(path))) throw new Error('the file was changed');
    return cause;
  }

  it('L06 with the wrong key is refused and said so, and is good again with the right one', async () => {
    await store.save('billing', grant(1));
    expect(await refusalOf(open(Buffer.alloc(32, 8)), 'billing')).toMatch(
      /written with another key \(id [0-9a-f]{16}, ours is [0-9a-f]{16}\)/,
    );
    expect(await store.load('billing')).toEqual(grant(1));
  });

  it('since it belongs to another account is refused', async () => {
    await store.save('billing', grant(1));
    await writeFile(store.pathOf('sales'), await readFile(store.pathOf('billing')), { mode: 0o600 });
    expect(await refusalOf(store, 'sales')).toMatch('belongs to another account');
  });

  it('when any single octet of it is changed, nothing else than the saved grant comes out', async () => {
    await store.save('billing', grant(1));
    const path = store.pathOf('billing');
    const good = await readFile(path);
    for (let index = 0; index < good.length; index += 7) {
      const bad = Buffer.from(good);
      bad[index] = (bad[index] ?? 0) ^ 0x15;
      await writeFile(path, bad);
      const loaded = await store.load('billing').catch((error: unknown) => (error instanceof ProblemError ? error.problem.code : error));
      expect(['TOKEN_STORE_FAILED', grant(1)]).toContainEqual(loaded); // The second where the octet is a bit of base64 that carries nothing.
    }
  });

  it('when it is cut short anywhere', async () => {
    await store.save('billing', grant(1));
    const path = store.pathOf('billing');
    const good = await readFile(path);
    for (let length = 0; length < good.length - 1; length += 29) {
      await writeFile(path, good.subarray(0, length));
      expect(await refusalOf(store, 'billing')).toMatch(/damaged|not a grant file/);
    }
  });

  it.each([
    ['an empty object', '{}', 'not a grant file'],
    ['a list', '[]', 'not a grant file'],
    ['null', 'null', 'no JSON object'],
    ['a later format', '{"format":"postern-grant","version":2}', 'version 2, this Postern knows version 1'],
    ['an envelope without a key', '{"format":"postern-grant","version":1}', 'keyId'],
    ['2 MB of nothing', '\0'.repeat(2_000_000), 'not a grant file'],
  ])('since it is %s', async (_what, content, why) => {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await writeFile(store.pathOf('billing'), content, { mode: 0o600 });
    expect(await refusalOf(store, 'billing')).toMatch(why);
  });

  it('with a shortened authentication tag', async () => {
    await store.save('billing', grant(1));
    const envelope = JSON.parse(await readFile(store.pathOf('billing'), 'utf8')) as Record<string, string>;
    envelope['tag'] = Buffer.from(envelope['tag'] ?? '', 'base64')
      .subarray(0, 4)
      .toString('base64');
    await writeFile(store.pathOf('billing'), JSON.stringify(envelope));
    expect(await refusalOf(store, 'billing')).toMatch('nonce or tag');
  });

  it('L03 since it is a symbolic link', async () => {
    await store.save('billing', grant(1));
    await symlink(store.pathOf('billing'), store.pathOf('sales'));
    expect((await problemOf(store.load('sales'))).code).toBe('TOKEN_STORE_FAILED');
  });
});

describe('a failed save', () => {
  it('is told and leaves the old grant', async () => {
    await store.save('billing', grant(1));
    const operations = {
      open: async () => {
        throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
      },
      rename: async () => {},
      link: async () => {},
      unlink: async () => {},
    };
    const full = new FileTokenStore({ directory, masterKey: KEY, log, operations });
    expect(await problemOf(full.save('billing', grant(2)))).toMatchObject({
      code: 'TOKEN_STORE_FAILED',
      cause: expect.stringContaining('ENOSPC') as string,
    });
    expect(await store.load('billing')).toEqual(grant(1));
  });

  it('for want of a directory works once there is one', async () => {
    await writeFile(join(base, 'state'), 'in the way');
    expect((await problemOf(store.save('billing', grant(1)))).code).toBe('TOKEN_STORE_FAILED');
    await rm(join(base, 'state'));
    await store.save('billing', grant(1));
    expect(await store.load('billing')).toEqual(grant(1));
  });

  it('does not come of a directory that was removed meanwhile: it is made again, with a warning, and locks are kept in it', async () => {
    await store.save('billing', grant(1));
    await rm(directory, { recursive: true });
    await store.save('billing', grant(2));
    expect(await store.load('billing')).toEqual(grant(2));
    expect(await modeOf(directory)).toBe(0o700);
    await rm(join(base, 'state'), { recursive: true });
    expect(await store.load('billing')).toBeUndefined();
    await rm(directory, { recursive: true });
    const locked = await store.exclusively('billing', async () => {
      await store.save('billing', grant(3));
      return readdir(directory);
    });
    expect(locked.some((name) => name.endsWith('.lock'))).toBe(true);
    expect(log.of('token-folder-remade')).toHaveLength(3);
    expect(log.of('grant-lock-failed')).toEqual([]);
  });
});

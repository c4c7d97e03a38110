import { chmod, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/core/problem.ts';
import { keyText, loadOrCreateKey, openStateKeys, replaceKeys } from '../../../src/platform/key-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-key-'));
  path = join(directory, 'var', 'master.key');
});
afterEach(async () => {
  await rm(directory, { recursive: true });
});

async function problemOf(promise: Promise<unknown>) {
  const error: unknown = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ProblemError);
  return (error as ProblemError).problem;
}

describe('loadOrCreateKey', () => {
  it('creates a key of 32 octets at the first start and finds it at the next', async () => {
    const key = await loadOrCreateKey(path);
    expect(key).toHaveLength(32);
    expect(Buffer.from(await loadOrCreateKey(path))).toEqual(Buffer.from(key));
    expect((await readFile(path, 'latin1')).trim()).toBe(Buffer.from(key).toString('base64'));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect((await stat(join(directory, 'var'))).mode & 0o777).toBe(0o700);
  });

  it('gives all of many processes that start together the same key', async () => {
    const keys = await Promise.all(Array.from({ length: 16 }, async () => loadOrCreateKey(path)));
    expect(new Set(keys.map((key) => Buffer.from(key).toString('hex'))).size).toBe(1);
    expect(await readdir(join(directory, 'var'))).toEqual(['master.key']);
  });

  it('follows a symbolic link, as Kubernetes mounts secrets', async () => {
    const real = join(directory, 'real.key');
    const linked = join(directory, 'linked.key');
    const key = await loadOrCreateKey(real);
    await symlink(real, linked);
    expect(Buffer.from(await loadOrCreateKey(linked))).toEqual(Buffer.from(key));
  });

  it.each([0o640, 0o604, 0o620, 0o644, 0o666])('L03 refuses a key that others may read or write (mode %o)', async (mode) => {
    await loadOrCreateKey(path);
    const before = await readFile(path);
    await chmod(path, mode);
    const { code, cause, remedy } = await problemOf(loadOrCreateKey(path));
    expect(code).toBe('STATE_KEY_UNUSABLE');
    expect(cause).toContain(`mode 0${mode.toString(8)}`);
    expect(remedy).toContain('chmod 600');
    expect(await readFile(path)).toEqual(before);
  });

  it.each([
    ['empty', ''],
    ['too short', Buffer.alloc(31, 1).toString('base64')],
    ['too long', Buffer.alloc(33, 1).toString('base64')],
    ['hex', Buffer.alloc(32, 1).toString('hex')],
    ['raw octets', '\0'.repeat(32)],
    ['a key and something else', `${Buffer.alloc(32, 1).toString('base64')}\n# the old one`],
    ['one key on two lines', `${Buffer.alloc(16, 1).toString('base64')}\n${Buffer.alloc(16, 2).toString('base64')}`],
    ['huge', 'A'.repeat(5000)],
  ])('refuses a file that is %s, and leaves it', async (_what, content) => {
    const file = join(directory, 'bad.key');
    await writeFile(file, content, { mode: 0o600 });
    const { code, cause } = await problemOf(loadOrCreateKey(file));
    expect(code).toBe('STATE_KEY_UNUSABLE');
    expect(cause).toContain(file);
    expect(cause).not.toContain(content.slice(0, 10) || 'nothing');
    expect(await readFile(file, 'latin1')).toBe(content);
  });

  it('says so where the path is a directory', async () => {
    expect((await problemOf(loadOrCreateKey(directory))).code).toBe('STATE_KEY_UNUSABLE');
  });
});

describe('several keys', () => {
  const one = Buffer.alloc(32, 1);
  const two = Buffer.alloc(32, 2);
  const hex = (keys: readonly Uint8Array[]): string[] => keys.map((key) => Buffer.from(key).toString('hex'));

  it('are read newest first, whatever the line ends', async () => {
    await loadOrCreateKey(path);
    await writeFile(path, `${keyText(two)}\r\n\n${keyText(one)}`);
    expect(hex((await openStateKeys(path)).keys)).toEqual(hex([two, one]));
    expect(hex([await loadOrCreateKey(path)])).toEqual(hex([two]));
  });

  it('are replaced whole, and seen by who looks again', async () => {
    const keys = await openStateKeys(path);
    const known = keys.keys[0];
    await replaceKeys(path, [two, known]);
    expect(hex(keys.keys)).toEqual(hex([known]));
    expect(hex(await keys.reread())).toEqual(hex([two, known]));
    expect(hex(keys.keys)).toEqual(hex([two, known]));
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    expect(await readdir(join(directory, 'var'))).toEqual(['master.key']);
  });

  it('that cannot be read again leave those known', async () => {
    const keys = await openStateKeys(path);
    const known = hex(keys.keys);
    await writeFile(path, 'broken');
    expect((await problemOf(keys.reread())).code).toBe('STATE_KEY_UNUSABLE');
    await rm(path);
    expect((await problemOf(keys.reread())).cause).toContain('vanished');
    expect(hex(keys.keys)).toEqual(known);
  });
});

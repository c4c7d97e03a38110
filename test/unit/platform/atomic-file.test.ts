import { constants } from 'node:fs';
import {
  type FileHandle,
  link,
  mkdir,
  mkdtemp,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createFile, type FileOperations, removeStaleTemporaries, replaceFile } from '../../../src/platform/atomic-file.ts';

let directory: string;
let path: string;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-atomic-'));
  path = join(directory, 'grant');
});
afterEach(async () => {
  // What "died" with its file open.
  for (const handle of opened.splice(0)) await handle.close().catch(() => undefined);
  await rm(directory, { recursive: true });
});

const opened: FileHandle[] = [];

/** The real file system, with something done at each step. A write takes at most `longestWrite` octets, as on a disk that is nearly full. */
function watched(atStep: (step: string) => Promise<void>, longestWrite = 100): FileOperations {
  return {
    async open(file, flags, mode) {
      const kind = (flags & constants.O_DIRECTORY) === 0 ? 'file' : 'directory';
      await atStep(`open ${kind}`);
      const handle = await open(file, flags, mode);
      opened.push(handle);
      return wrap(handle, kind, atStep, longestWrite);
    },
    async rename(from, to) {
      await atStep('rename');
      await rename(from, to);
    },
    async link(existing, to) {
      await atStep('link');
      await link(existing, to);
    },
    async unlink(file) {
      await atStep('unlink');
      await unlink(file);
    },
  };
}

function wrap(handle: FileHandle, kind: string, atStep: (step: string) => Promise<void>, longestWrite: number): FileHandle {
  const steps = {
    async write(buffer: Uint8Array, offset: number, length: number) {
      await atStep(`write ${kind}`);
      return handle.write(buffer, offset, Math.min(length, longestWrite));
    },
    async sync() {
      await atStep(`sync ${kind}`);
      await handle.sync();
    },
    async close() {
      await handle.close();
    },
  };
  return steps as unknown as FileHandle;
}

const OLD = Buffer.from('old '.repeat(100));
const NEW = Buffer.from('new '.repeat(75));

describe('replaceFile', () => {
  it('creates with mode 0600 and replaces', async () => {
    await replaceFile(path, OLD);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await replaceFile(path, NEW);
    expect(await readFile(path)).toEqual(NEW);
    expect(await readdir(directory)).toEqual(['grant']);
  });

  it('syncs the file before it is renamed, and the directory after', async () => {
    const steps: string[] = [];
    await replaceFile(path, NEW, { operations: watched(async (step) => void steps.push(step)) });
    expect(steps).toEqual([
      'open file',
      'write file',
      'write file',
      'write file',
      'sync file',
      'rename',
      'open directory',
      'sync directory',
    ]);
    expect(await readFile(path)).toEqual(NEW);
  });

  it.each(['open file', 'write file', 'sync file', 'rename'])(
    'keeps the old content and leaves nothing behind when "%s" fails',
    async (bad) => {
      await replaceFile(path, OLD);
      const operations = watched(async (step) => {
        if (step === bad) throw Object.assign(new Error('EIO: the test says so'), { code: 'EIO' });
      });
      await expect(replaceFile(path, NEW, { operations })).rejects.toThrow('EIO');
      expect(await readFile(path)).toEqual(OLD);
      expect(await readdir(directory)).toEqual(['grant']);
    },
  );

  it.each(['open directory', 'sync directory'])('says so when "%s" fails, and can be repeated', async (bad) => {
    await replaceFile(path, OLD);
    const operations = watched(async (step) => {
      if (step === bad) throw new Error('EIO: the test says so');
    });
    await expect(replaceFile(path, NEW, { operations })).rejects.toThrow('EIO');
    await replaceFile(path, NEW);
    expect(await readFile(path)).toEqual(NEW);
  });

  it('does not take a disk that writes nothing for one that has written', async () => {
    await replaceFile(path, OLD);
    const operations = watched(async () => {}, 0);
    await expect(replaceFile(path, NEW, { operations })).rejects.toThrow('wrote 0 of 300 octets');
    expect(await readFile(path)).toEqual(OLD);
  });

  it('leaves old or new, whole, when the process dies at any step', async () => {
    const outcomes: string[] = [];
    for (let deadStep = 0; deadStep < 9; deadStep += 1) {
      await replaceFile(path, OLD);
      let step = 0;
      const died = new Promise<'died'>((resolve) => {
        const operations = watched(async () => {
          if (step === deadStep) {
            resolve('died');
            await new Promise(() => {}); // Nothing that comes after is ever done.
          }
          step += 1;
        });
        void replaceFile(path, NEW, { operations }).then(() => resolve('died'));
      });
      await died;
      const content = await readFile(path);
      expect([OLD.toString(), NEW.toString()]).toContain(content.toString());
      outcomes.push(content.equals(OLD) ? 'old' : 'new');
    }
    expect(outcomes).toEqual(['old', 'old', 'old', 'old', 'old', 'old', 'new', 'new', 'new']);
  });
});

describe('createFile', () => {
  it('lets one of many win, and everyone finds its content', async () => {
    const contents = Array.from({ length: 16 }, (_, index) => Buffer.from(`content ${index}`));
    const won = await Promise.all(contents.map(async (content) => createFile(path, content)));
    expect(won.filter(Boolean)).toHaveLength(1);
    expect(await readFile(path)).toEqual(contents[won.indexOf(true)]);
    expect(await readdir(directory)).toEqual(['grant']);
  });

  it('works where there are no hard links', async () => {
    const operations: FileOperations = {
      ...watched(async () => {}),
      link: async () => {
        throw Object.assign(new Error('EPERM: operation not permitted'), { code: 'EPERM' });
      },
    };
    expect(await createFile(path, NEW, { operations })).toBe(true);
    expect(await createFile(path, OLD, { operations })).toBe(false);
    expect(await readFile(path)).toEqual(NEW);
    expect(await readdir(directory)).toEqual(['grant']);
  });
});

describe('removeStaleTemporaries', () => {
  it('removes what a killed process left, and nothing else', async () => {
    const stale = '.grant.0123456789abcdef.tmp';
    const fresh = '.grant.fedcba9876543210.tmp';
    for (const name of [stale, fresh, 'grant', 'notes.tmp']) await writeFile(join(directory, name), 'x');
    for (const name of [stale, 'grant', 'notes.tmp']) await utimes(join(directory, name), 1, 1);
    await removeStaleTemporaries(directory);
    expect((await readdir(directory)).sort()).toEqual([fresh, 'grant', 'notes.tmp']);
  });

  it('may run in several processes at once', async () => {
    const names = Array.from({ length: 100 }, (_, index) => `.grant.${String(index).padStart(16, '0')}.tmp`);
    for (const name of names) await writeFile(join(directory, name), 'x');
    for (const name of names) await utimes(join(directory, name), 1, 1);
    const outcomes = await Promise.all(Array.from({ length: 8 }, () => removeStaleTemporaries(directory)));
    expect(outcomes.flat()).toEqual([]);
    expect(await readdir(directory)).toEqual([]);
  });

  it('tells what it cannot remove, and removes the rest', async () => {
    const folder = join(directory, '.a.0123456789abcdef.tmp');
    const file = join(directory, '.b.0123456789abcdef.tmp');
    await mkdir(folder); // unlink fails for it, whoever runs the tests.
    await writeFile(file, 'x');
    for (const path of [folder, file]) await utimes(path, 1, 1);
    expect(await removeStaleTemporaries(directory)).toEqual([{ path: folder, error: expect.any(Error) as Error }]);
    expect(await readdir(directory)).toEqual(['.a.0123456789abcdef.tmp']);
  });
});

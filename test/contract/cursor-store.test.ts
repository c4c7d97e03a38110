import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Cursor, startingCursor } from '../../src/core/fetch-cursor.ts';
import { FileCursorStore } from '../../src/fetch/file-cursor-store.ts';
import { MemoryCursorStore } from '../support/memory-cursor-store.ts';
import { cursorStoreContract } from './cursor-store.ts';

const root = mkdtempSync(join(tmpdir(), 'postern-cursor-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function newDirectory(): string {
  count += 1;
  return join(root, String(count));
}

const stores: FileCursorStore[] = [];
afterAll(async () => {
  for (const store of stores) await store.close();
});
function opened(directory: string, mostChanges?: number): FileCursorStore {
  const store = new FileCursorStore(directory, mostChanges);
  stores.push(store);
  return store;
}

cursorStoreContract('MemoryCursorStore', async () => {
  const saved = new Map<string, Cursor>();
  const paused = new Set<string>();
  return () => new MemoryCursorStore(saved, paused);
});

cursorStoreContract('FileCursorStore', async () => {
  const directory = newDirectory();
  return () => opened(directory);
});

const FIRST = startingCursor('["billing","INBOX"]', 3n, 0);
const failed = expect.objectContaining({ problem: expect.objectContaining({ code: 'FETCH_CURSOR_FAILED' }) });
const written = async (): Promise<{ readonly directory: string; readonly file: string }> => {
  const directory = newDirectory();
  const store = opened(directory);
  await store.replace('a', FIRST);
  await store.save('a', { kind: 'reached', uid: 5 });
  await store.save('a', { kind: 'reached', uid: 6 });
  return { directory, file: join(directory, 'a.cursor') };
};

describe('the file of a cursor', () => {
  it('is for its owner alone', async () => {
    const { directory, file } = await written();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('is good at whatever octet a kill has torn off the last change, and later changes are not glued to the rest', async () => {
    const { directory, file } = await written();
    const { size } = statSync(file);
    const lastLine = readFileSync(file, 'utf8').trimEnd().split('\n').at(-1) ?? '';
    for (let left = size - 1; left >= size - lastLine.length - 1; left -= 1) {
      truncateSync(file, left);
      const torn = readFileSync(file);
      const store = opened(directory);
      expect(await store.load('a')).toMatchObject({ lastUid: 5 });
      await store.save('a', { kind: 'reached', uid: 77 });
      expect(await opened(directory).load('a')).toMatchObject({ lastUid: 77 });
      writeFileSync(file, torn);
    }
  });

  it.each(['{}\n', 'x\n', '[]\n', '{"version":2}\n', 'no line end'])(
    'is said to be unusable where it is %j: mail would come twice',
    async (text) => {
      const { directory, file } = await written();
      writeFileSync(file, text);
      await expect(opened(directory).load('a')).rejects.toEqual(failed);
    },
  );

  it('is said to be unusable where a line within is damaged', async () => {
    const { directory, file } = await written();
    appendFileSync(file, '{"kind":"reached"}\n');
    await expect(opened(directory).load('a')).rejects.toEqual(failed);
  });

  it('is written anew now and then, so it does not grow without end', async () => {
    const { directory, file } = await written();
    const store = opened(directory, 50);
    await store.load('a');
    for (let uid = 10; uid < 220; uid += 1) await store.save('a', { kind: 'reached', uid });
    expect(readFileSync(file, 'utf8').split('\n').length).toBeLessThan(55);
    expect(await opened(directory).load('a')).toMatchObject({ lastUid: 219 });
  });

  it('takes changes again after one could not be written', async () => {
    const directory = newDirectory();
    const store = opened(directory);
    await store.replace('a', FIRST);
    await store.close();
    rmSync(directory, { recursive: true });
    writeFileSync(directory, 'a file in the place of the folder');
    const broken = opened(directory);
    await expect(broken.replace('a', FIRST)).rejects.toEqual(failed);
    await expect(broken.save('a', { kind: 'reached', uid: 4 })).rejects.toEqual(failed);
    rmSync(directory);
    mkdirSync(directory);
    await broken.save('a', { kind: 'reached', uid: 4 });
    expect(await opened(directory).load('a')).toMatchObject({ lastUid: 4 });
  });
});

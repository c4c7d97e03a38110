import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { FilePaceStore } from '../../src/delivery/file-pace-store.ts';
import { MemoryPaceStore } from '../support/memory-pace-store.ts';
import { paceStoreContract } from './pace-store.ts';

const root = mkdtempSync(join(tmpdir(), 'postern-pace-'));
afterAll(() => rmSync(root, { recursive: true, force: true }));

let count = 0;
function newPath(): string {
  count += 1;
  return join(root, String(count), 'pace.json');
}

paceStoreContract('MemoryPaceStore', async () => {
  const store = new MemoryPaceStore();
  return () => store;
});

paceStoreContract('FilePaceStore', async () => {
  const path = newPath();
  return () => new FilePaceStore(path);
});

const failed = expect.objectContaining({ problem: expect.objectContaining({ code: 'PACE_STORE_FAILED' }) });

describe('the file', () => {
  it('is for its owner alone, and nothing else is left beside it', async () => {
    const path = newPath();
    await new FilePaceStore(path).save(new Map());
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(path, '..'))).toEqual(['pace.json']);
  });

  it.each([
    '',
    '{',
    '[]',
    '{"version":2,"accounts":[]}',
    '{"version":1,"accounts":[["a",[[1]]]]}',
    '{"version":1,"accounts":[["a",[[1,-1]]]]}',
  ])('is said to be unusable where it is %j', async (text) => {
    const path = newPath();
    await new FilePaceStore(path).save(new Map());
    writeFileSync(path, text);
    await expect(new FilePaceStore(path).load()).rejects.toEqual(failed);
  });

  it('says so where it cannot be written', async () => {
    const path = newPath();
    writeFileSync(join(root, String(count)), 'a file in the place of the folder');
    await expect(new FilePaceStore(path).save(new Map())).rejects.toEqual(failed);
    chmodSync(join(root, String(count)), 0o600);
  });
});

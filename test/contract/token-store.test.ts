import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { FileTokenStore } from '../../src/token/file-token-store.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenStore } from '../support/memory-token-store.ts';
import { tokenStoreContract } from './token-store.ts';

const directories: string[] = [];
afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

tokenStoreContract('MemoryTokenStore', async () => {
  const store = new MemoryTokenStore();
  return { store, reopen: () => store };
});

tokenStoreContract('FileTokenStore', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'postern-tokens-'));
  directories.push(directory);
  const open = () => new FileTokenStore({ directory: join(directory, 'tokens'), masterKey: Buffer.alloc(32, 7), log: new MemoryLog() });
  return { store: open(), reopen: open };
});

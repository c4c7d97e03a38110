import { mkdtemp, rm, stat, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type OpenFile, octetsOf, readFully, systemFiles, writeFully } from '../../../src/platform/files.ts';
import { FaultFileSystem } from '../../support/fault-file-system.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-files-'));
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

describe('the file system', () => {
  it('makes directories 0700 and files 0600, and makes what exists private', async () => {
    const nested = join(directory, 'a', 'b');
    await systemFiles.makeDirectory(nested);
    await systemFiles.makeDirectory(nested);
    const file = await systemFiles.open(join(nested, 'f'), 'create');
    await file.close();
    expect((await stat(nested)).mode & 0o777).toBe(0o700);
    expect((await stat(join(nested, 'f'))).mode & 0o777).toBe(0o600);
    await expect(systemFiles.open(join(nested, 'f'), 'create')).rejects.toMatchObject({ code: 'EEXIST' });
    await expect(systemFiles.open(join(nested, 'g'), 'update')).rejects.toMatchObject({ code: 'ENOENT' });
    expect(await systemFiles.list(nested)).toEqual(['f']);
  });

  it('follows no symbolic link', async () => {
    await symlink('/etc/passwd', join(directory, 'link'));
    await expect(systemFiles.open(join(directory, 'link'), 'read')).rejects.toMatchObject({ code: 'ELOOP' });
  });

  it('writes pieces at a place and reads them back', async () => {
    const file = await systemFiles.open(join(directory, 'pieces'), 'create');
    const pieces = Array.from({ length: 3000 }, (_, index) => Buffer.from(`piece ${index};`)); // More than one call takes.
    await writeFully(file, [Buffer.alloc(0), ...pieces], 10);
    await file.datasync();
    const into = Buffer.alloc(octetsOf(pieces) + 100);
    expect(await readFully(file, into, 10)).toBe(octetsOf(pieces));
    expect(into.subarray(0, octetsOf(pieces)).equals(Buffer.concat(pieces))).toBe(true);
    await file.truncate(12);
    expect(await file.size()).toBe(12);
    await file.close();
    expect(await systemFiles.freeOctets(directory)).toBeGreaterThan(0);
  });
});

describe('writing fully', () => {
  const pieces = ['ab', 'cde', '', 'f', 'ghij'].map((text) => Buffer.from(text));

  it('goes on after each short write', async () => {
    for (const most of [1, 2, 3, 7]) {
      const written = Buffer.alloc(10);
      const file = {
        write: async (rest: readonly Uint8Array[], at: number) => Buffer.concat(rest).copy(written, at, 0, most),
      } as unknown as OpenFile;
      await writeFully(file, pieces, 0);
      expect(written.toString()).toBe('abcdefghij');
    }
  });

  it('fails where a write takes nothing, and where the next one fails', async () => {
    const nothing = { write: async () => 0 } as unknown as OpenFile;
    await expect(writeFully(nothing, pieces, 0)).rejects.toThrow('took none');
    const disk = new MemoryDisk();
    await disk.makeDirectory('/d');
    disk.capacity = 4;
    const file = await new FaultFileSystem(disk).open('/d/f', 'create');
    await expect(writeFully(file, pieces, 0)).rejects.toMatchObject({ code: 'ENOSPC' });
    expect(disk.read('/d/f').toString()).toBe('abcd');
  });
});

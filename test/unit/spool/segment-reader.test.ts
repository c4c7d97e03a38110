import { describe, expect, it } from 'vitest';
import type { FileSystem, OpenFile } from '../../../src/platform/files.ts';
import { SegmentReader } from '../../../src/spool/segment-reader.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { MemoryLog } from '../../support/memory-log.ts';

const TAG = '0123456789abcdef';
const pathOf = (number: number): string => `/log/${String(number).padStart(10, '0')}-${TAG}.seg`;

/** Two segments, and what is opened and closed. */
async function lab() {
  const disk = new MemoryDisk();
  await disk.makeDirectory('/log');
  for (const number of [1, 2]) {
    const file = await disk.open(pathOf(number), 'create');
    await file.write([Buffer.from(`segment ${number}`)], 0);
    await file.close();
  }
  const steps: string[] = [];
  const files: Pick<FileSystem, 'open'> = {
    open: async (path, mode) => {
      const file = await disk.open(path, mode);
      steps.push(`open ${path}`);
      const close = async (): Promise<void> => void steps.push(`close ${path}`);
      return { read: (into: Uint8Array, position: number) => file.read(into, position), close } as OpenFile;
    },
  };
  const known = new Set([1, 2]);
  const reader = new SegmentReader({ files, log: new MemoryLog(), pathOf: (number) => (known.has(number) ? pathOf(number) : undefined) });
  return { reader, steps, disk, known };
}

const text = async (file: OpenFile): Promise<string> => {
  const octets = Buffer.alloc(100);
  return octets.subarray(0, await file.read(octets, 0)).toString();
};

describe('a reader of segments', () => {
  it('opens a segment once for as long as no other is read', async () => {
    const { reader, steps } = await lab();
    expect(await Promise.all([1, 1, 1].map((number) => reader.read(number, text)))).toEqual(Array(3).fill('segment 1'));
    expect(await reader.read(1, async (_, tag) => tag.toString('hex'))).toBe(TAG);
    expect(steps).toEqual([`open ${pathOf(1)}`]);
    expect(await reader.read(2, text)).toBe('segment 2');
    await reader.close();
    expect(steps.toSorted()).toEqual([1, 2].flatMap((number) => [`open ${pathOf(number)}`, `close ${pathOf(number)}`]).toSorted());
  });

  it('closes what is no longer kept when the last has read it, and not before', async () => {
    const { reader, steps } = await lab();
    let go: () => void = () => {};
    const held = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = [0, 1].map(() =>
      reader.read(1, async (file) => {
        await held;
        return text(file);
      }),
    );
    await reader.read(2, text);
    expect(steps).not.toContain(`close ${pathOf(1)}`);
    go();
    expect(await Promise.all(slow)).toEqual(['segment 1', 'segment 1']);
    await reader.read(2, text);
    expect(steps.filter((step) => step === `close ${pathOf(1)}`)).toHaveLength(1);
  });

  it('lets go of a segment that was removed', async () => {
    const { reader, steps, disk, known } = await lab();
    await reader.read(1, text);
    await disk.unlink(pathOf(1));
    known.delete(1);
    reader.forget(2);
    expect(await reader.read(1, text)).toBe('segment 1');
    reader.forget(1);
    await expect(reader.read(1, text)).rejects.toMatchObject({ code: 'ENOENT' });
    await reader.close();
    expect(steps).toEqual([`open ${pathOf(1)}`, `close ${pathOf(1)}`]);
  });

  it('looks afresh after a failure, of the disk or of who reads', async () => {
    const { reader, steps } = await lab();
    await expect(reader.read(1, () => Promise.reject(new Error('stale')))).rejects.toThrow('stale');
    expect(await reader.read(1, text)).toBe('segment 1');
    await reader.close();
    expect(steps.toSorted()).toEqual([1, 1].flatMap((number) => [`open ${pathOf(number)}`, `close ${pathOf(number)}`]).toSorted());
  });
});

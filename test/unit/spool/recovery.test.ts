import { describe, expect, it } from 'vitest';
import { hours } from '../../../src/core/clock.ts';
import type { SegmentSpool } from '../../../src/spool/segment-spool.ts';
import { FaultFileSystem } from '../../support/fault-file-system.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { DIR, openSpool, seededRandom } from '../../support/open-spool.ts';
import {
  accept,
  at,
  contentOf,
  DELIVERED,
  done,
  FAILED,
  HOLD,
  id,
  list,
  newMessage,
  PENDING,
  read,
  retry,
} from '../../support/spool-messages.ts';

const CONTENT = `${DIR}/content`;
const SEGMENTS = `${DIR}/segments`;

async function claim(spool: SegmentSpool, name: string): Promise<{ queueId: ReturnType<typeof id>; fence: number }> {
  const lease = await spool.claim(id(name), 'worker', at(hours(1)));
  if (lease === undefined) throw new Error(`no lease on ${name}`);
  return lease;
}

const names = async (spool: SegmentSpool): Promise<string[]> => (await list(spool.entries())).map(({ queueId }) => queueId);

describe('after a restart', () => {
  it('entries are as they were left, in the same order', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    const forwardPaths = [{ address: 'a@example.com' }, { address: 'b@example.com' }];
    await accept(spool, newMessage('done'));
    await accept(spool, newMessage('tried', { forwardPaths }));
    await accept(spool, newMessage('large'), contentOf('large', 300_000));
    await accept(spool, newMessage('held'));
    await accept(spool, newMessage('dropped'));
    await spool.settleAttempt(await claim(spool, 'done'), done(DELIVERED));
    await spool.settleAttempt(await claim(spool, 'tried'), { ...retry(at(5000), DELIVERED, PENDING), warnedAt: at(1) });
    await spool.hold(id('held'), HOLD);
    await spool.drop(id('dropped'));
    const before = await list(spool.entries());
    await spool.close();

    const again = await openSpool(disk);
    expect(await list(again.entries())).toEqual(before);
    expect(before.map(({ queueId }) => queueId)).toEqual(['tried', 'large', 'held'].map(id));
    expect(await read(again, id('large'))).toEqual(contentOf('large', 300_000));
    expect(await read(again, id('tried'))).toEqual(contentOf(id('tried')));
    expect(again.recovery).toMatchObject({ entries: 3, ambiguous: 0, quarantined: 0, debrisOctets: 0 });
    expect(disk.paths(CONTENT)).toHaveLength(1);
  });

  it('new entries come after the old ones, over many restarts', async () => {
    const disk = new MemoryDisk();
    for (let start = 0; start < 8; start += 1) {
      const spool = await openSpool(disk, { random: seededRandom(start) });
      await accept(spool, newMessage(100 - start));
      await spool.close();
    }
    expect(await names(await openSpool(disk))).toEqual(Array.from({ length: 8 }, (_, start) => id(100 - start)));
  });

  it('a report and what it settled are both there, or neither is', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    await accept(spool, newMessage('cause'));
    const draft = await spool.openDraft({ account: 'billing', isReport: true });
    await draft.write(contentOf('report'));
    await spool.settleAttempt(
      await claim(spool, 'cause'),
      { ...retry(at(1), { ...FAILED, isReported: true }) },
      { draft, message: newMessage('report') },
    );
    const again = await openSpool(disk.afterKill());
    expect(await names(again)).toEqual(['cause', 'report'].map(id));
    expect((await again.entry(id('cause')))?.recipients[0]?.status).toMatchObject({ kind: 'failed', isReported: true });
  });

  it('what was being transmitted when the process was killed is ambiguous, also after the next restart; nothing else is', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    for (const name of ['begun', 'claimed', 'released', 'settled']) await accept(spool, newMessage(name));
    await spool.beginTransmission(await claim(spool, 'begun'));
    await claim(spool, 'claimed');
    const released = await claim(spool, 'released');
    await spool.beginTransmission(released);
    await spool.release(released);
    const settled = await claim(spool, 'settled');
    await spool.beginTransmission(settled);
    await spool.settleAttempt(settled, retry(at(1), PENDING));

    const killed = disk.afterKill();
    const again = await openSpool(killed);
    const ambiguous = async (opened: SegmentSpool): Promise<string[]> =>
      (await list(opened.entries())).flatMap((entry) => (entry.isAmbiguous ? [entry.queueId] : []));
    expect(await ambiguous(again)).toEqual([id('begun')]);
    expect(again.recovery.ambiguous).toBe(1);
    await again.settleAttempt(await claim(again, 'begun'), retry(at(1), PENDING));
    await again.close();
    expect(await ambiguous(await openSpool(killed))).toEqual([id('begun')]);
  });

  it('fences go on where they had been', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    await accept(spool, newMessage('a'));
    for (let attempt = 0; attempt < 3; attempt += 1) await spool.settleAttempt(await claim(spool, 'a'), retry(at(0), PENDING));
    await spool.close();
    expect((await claim(await openSpool(disk), 'a')).fence).toBe(4);
  });

  it('content files that no entry names are removed, and so is what was not finished', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk, { inlineLimit: 1000 });
    await accept(spool, newMessage('kept'), contentOf('kept', 5000));
    await (await spool.openDraft({ account: 'billing' })).write(contentOf('arriving', 5000));
    expect(disk.paths(CONTENT)).toHaveLength(2);
    const killed = disk.afterKill();
    killed.replace(`${CONTENT}/0123456789abcdef.wire`, Buffer.from('nobody names me'));
    killed.replace(`${SEGMENTS}/0000000009-0123456789abcdef.seg.new`, Buffer.alloc(100));
    const again = await openSpool(killed, { random: seededRandom(2) });
    expect(killed.paths(CONTENT)).toHaveLength(1);
    expect(killed.paths(SEGMENTS)).toHaveLength(1);
    expect(await read(again, id('kept'))).toEqual(contentOf('kept', 5000));
  });

  it('D11 a lock that is held keeps a second one out; a newer format too, and nothing is touched', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    await accept(spool, newMessage('a'));
    await expect(openSpool(disk)).rejects.toMatchObject({ problem: { code: 'SPOOL_LOCKED' } });
    await spool.close();
    const [path = ''] = disk.paths(SEGMENTS);
    const newer = Buffer.from(disk.read(path));
    newer.writeUInt32LE(2, 16);
    const { crc32 } = await import('node:zlib');
    newer.writeUInt32LE(crc32(newer.subarray(0, 60)), 60);
    disk.replace(path, newer);
    disk.replace(`${CONTENT}/0123456789abcdef.wire`, Buffer.from('not touched'));
    await expect(openSpool(disk)).rejects.toMatchObject({ problem: { code: 'SPOOL_FORMAT_NEWER' } });
    expect(disk.read(path).equals(newer)).toBe(true);
    expect(disk.paths(CONTENT)).toHaveLength(1);
    await expect(openSpool(disk)).rejects.toMatchObject({ problem: { code: 'SPOOL_FORMAT_NEWER' } }); // The lock was given back.
  });
});

describe('segments', () => {
  it('are removed once nothing in them is needed', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk, { segmentSize: 32 * 1024 });
    for (let round = 0; round < 100; round += 1) {
      await accept(spool, newMessage(round), contentOf(round, 4000));
      await spool.settleAttempt(await claim(spool, String(round)), done(DELIVERED));
    }
    await spool.close();
    expect(disk.paths(SEGMENTS).length).toBeLessThanOrEqual(3);
    expect(await names(await openSpool(disk))).toEqual([]);
  });

  it('are not pinned by messages on hold, which are moved and keep their state and order', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk, { segmentSize: 32 * 1024, inlineLimit: 5000 });
    const held = ['h1', 'h2', 'h3'];
    for (const name of held) {
      await accept(spool, newMessage(name), contentOf(name, name === 'h2' ? 9000 : 1000));
      await spool.settleAttempt(await claim(spool, name), retry(at(7), PENDING));
      await spool.hold(id(name), HOLD);
    }
    await spool.beginTransmission(await spool.claim(id('h1'), 'x', at(1)).then((lease) => lease ?? { queueId: id('h1'), fence: 0 }));
    const before = await list(spool.entries());
    for (let round = 0; round < 100; round += 1) {
      await accept(spool, newMessage(round), contentOf(round, 4000));
      await spool.settleAttempt(await claim(spool, String(round)), done(DELIVERED));
    }
    const most = disk.paths(SEGMENTS).length;
    await spool.close();
    expect(most).toBeLessThanOrEqual(5); // 400 KB went through 32 KB segments.
    const again = await openSpool(disk);
    expect(await list(again.entries())).toEqual(before);
    expect(await read(again, id('h1'))).toEqual(contentOf('h1', 1000));
    expect(await read(again, id('h2'))).toEqual(contentOf('h2', 9000));
  });

  it('take no more than half of what a small disk has free', async () => {
    const disk = new MemoryDisk();
    disk.capacity = 1024 * 1024;
    const spool = await openSpool(disk, { segmentSize: 64 * 1024 * 1024 });
    await accept(spool, newMessage('a'));
    expect(disk.usedOctets).toBeLessThanOrEqual(512 * 1024);
  });
});

describe('a disk that is full', () => {
  it('R09 is met before the content comes, leaves room for outcomes, and is used again when it has room', async () => {
    const disk = new MemoryDisk();
    disk.capacity = 400_000;
    const spool = await openSpool(disk, { segmentSize: 64 * 1024, inlineLimit: 8000 });
    const accepted: string[] = [];
    const refusals: unknown[] = [];
    for (let index = 0; index < 400 && refusals.length === 0; index += 1) {
      await accept(spool, newMessage(index), contentOf(index, 4000)).then(
        () => accepted.push(String(index)),
        (error: unknown) => refusals.push(error),
      );
    }
    expect(refusals).toMatchObject([{ problem: { code: 'SPOOL_FULL' } }]);
    expect(accepted.length).toBeGreaterThan(30);
    for (const name of accepted) expect(await spool.settleAttempt(await claim(spool, name), done(DELIVERED))).toBe(true);
    await spool.openDraft({ account: 'billing' }).then(
      (draft) => draft.discard(),
      () => undefined,
    ); // Room is asked for once a second.
    disk.capacity = 10_000_000;
    const again = await openSpool(disk.afterKill(), { random: seededRandom(3) });
    expect(await names(again)).toEqual([]);
    await accept(again, newMessage('new'));
  });

  it('does not take a part of a large message', async () => {
    const disk = new MemoryDisk();
    disk.capacity = 1024 * 1024;
    const spool = await openSpool(disk, { log: new MemoryLog() });
    const draft = await spool.openDraft({ account: 'billing' });
    const write = async (): Promise<void> => {
      for (let index = 0; index < 40; index += 1) await draft.write(contentOf('large', 64 * 1024));
      await draft.accept(newMessage('large'));
    };
    await expect(write()).rejects.toMatchObject({ problem: { code: 'SPOOL_FULL' } });
    expect(disk.paths(CONTENT)).toEqual([]);
    await accept(spool, newMessage('small'));
    expect(await names(await openSpool(disk.afterKill(), { random: seededRandom(2) }))).toEqual([id('small')]);
  });

  it('R09 keeps free what others need', async () => {
    const disk = new MemoryDisk();
    disk.capacity = 1_000_000;
    await expect(openSpool(disk, { minFree: 2_000_000 }).then((spool) => accept(spool, newMessage('a')))).rejects.toMatchObject({
      problem: { code: 'SPOOL_FULL' },
    });
  });
});

describe('a lease', () => {
  it('is given back although the disk takes no record of it; what was marked is ambiguous for the next', async () => {
    const disk = new FaultFileSystem(new MemoryDisk());
    const spool = await openSpool(disk);
    await accept(spool, newMessage('a'));
    const lease = await claim(spool, 'a');
    await spool.beginTransmission(lease);
    disk.plan = ({ name }) => (['write', 'datasync', 'open'].includes(name) ? { kind: 'fail', code: 'EIO' } : undefined);
    await expect(spool.release(lease)).rejects.toMatchObject({ problem: { code: 'SPOOL_FAILED' } });
    disk.plan = () => undefined;
    expect(spool.due('billing', at(0), 10).map(({ queueId }) => queueId)).toEqual([id('a')]);
    const next = await claim(spool, 'a');
    expect(next.fence).toBeGreaterThan(lease.fence);
    expect(await spool.entry(id('a'))).toMatchObject({ isAmbiguous: true, attempts: 0 });
  });
});

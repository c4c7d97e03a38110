import { beforeAll, describe, expect, it } from 'vitest';
import { hours } from '../../../src/core/clock.ts';
import type { SpoolEntry } from '../../../src/core/spool-entry.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import type { SegmentSpool } from '../../../src/spool/segment-spool.ts';
import { MemoryDisk } from '../../support/memory-disk.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { DIR, openSpool, seededRandom } from '../../support/open-spool.ts';
import { accept, at, contentOf, DELIVERED, done, HOLD, id, list, newMessage, PENDING, read, retry } from '../../support/spool-messages.ts';

const SEGMENTS = `${DIR}/segments`;
const QUARANTINE = `${DIR}/quarantine`;
const SIZES: Readonly<Record<string, number>> = { one: 300, two: 700, large: 2500, held: 10, done: 200, last: 400 };
const contentFor = (name: string): Buffer => contentOf(name, SIZES[name] ?? 0);

/** A spool with entries of all kinds in one segment and one content file. */
let base: MemoryDisk;
let entries: Map<string, SpoolEntry>;

beforeAll(async () => {
  base = new MemoryDisk();
  const spool = await openSpool(base, { inlineLimit: 1000, segmentSize: 16 * 1024 });
  for (const name of ['one', 'done', 'two', 'large', 'held']) await accept(spool, newMessage(name), contentFor(name));
  const lease = await spool.claim(id('one'), 'x', at(hours(1)));
  await spool.settleAttempt(lease ?? { queueId: id('one'), fence: 0 }, retry(at(1), PENDING));
  const last = await spool.claim(id('done'), 'x', at(hours(1)));
  await spool.settleAttempt(last ?? { queueId: id('done'), fence: 0 }, done(DELIVERED));
  await spool.hold(id('held'), HOLD);
  await accept(spool, newMessage('last'), contentFor('last'));
  entries = new Map((await list(spool.entries())).map((entry) => [entry.queueId, entry]));
  await spool.close();
});

const nameOf = (entry: SpoolEntry): string => entry.messageId.slice(1, entry.messageId.indexOf('@'));

/** Everything that could be delivered must be whole and right. @returns Names of the entries that can be. */
async function deliverable(spool: SegmentSpool): Promise<string[]> {
  const found: string[] = [];
  for (const entry of await list(spool.entries())) {
    try {
      expect((await read(spool, entry.queueId)).equals(contentFor(nameOf(entry)))).toBe(true);
      found.push(nameOf(entry));
    } catch (error) {
      if (!(error instanceof ProblemError)) throw error;
      expect(error.problem.code).toBe('SPOOL_DAMAGED');
      expect(await spool.entry(entry.queueId)).toBeUndefined();
    }
  }
  return found;
}

function onlySegment(disk: MemoryDisk): string {
  const [path = '', ...others] = disk.paths(SEGMENTS);
  expect(others).toEqual([]);
  return path;
}

/** Opens again: what was found is known now, and nothing is quarantined twice. */
async function expectSettled(disk: MemoryDisk, spool: SegmentSpool, found: readonly string[]): Promise<void> {
  const { quarantined } = await spool.stats();
  await spool.close();
  const log = new MemoryLog();
  const again = await openSpool(disk, { inlineLimit: 1000, segmentSize: 16 * 1024, random: seededRandom(3), log });
  expect(log.of('spool-quarantined')).toEqual([]);
  expect(again.recovery.quarantined).toBe(0);
  expect((await again.stats()).quarantined).toBe(quarantined);
  expect(await deliverable(again)).toEqual(found);
  await again.close();
}

async function reopen(disk: MemoryDisk, log = new MemoryLog()): Promise<SegmentSpool> {
  return openSpool(disk, { inlineLimit: 1000, segmentSize: 16 * 1024, random: seededRandom(2), log });
}

describe('a damaged spool', () => {
  it('D08 cut at each offset delivers nothing in part, and works', async () => {
    const path = onlySegment(base);
    const whole = base.read(path);
    expect(whole.length).toBeGreaterThan(3000);
    let most = 0;
    for (let length = 0; length < whole.length; length += 1) {
      const disk = base.afterKill();
      disk.replace(path, Buffer.from(whole.subarray(0, length)));
      const spool = await reopen(disk);
      const found = await deliverable(spool);
      expect(found.length).toBeGreaterThanOrEqual(most - 1); // Only the tail of the log is gone: `done` may come back, then go.
      most = Math.max(most, found.length);
      if (length % 97 === 0) {
        await accept(spool, newMessage('new'));
        expect((await list(spool.entries())).at(-1)?.queueId).toBe(id('new'));
        await spool.drop(id('new'));
        await expectSettled(disk, spool, found);
      }
    }
    expect(most).toBeGreaterThanOrEqual(5);
  });

  it('D09 with one bit flipped, 1,000 times, says so or is none the worse', async () => {
    const random = seededRandom(9);
    const paths = [onlySegment(base), ...base.paths(`${DIR}/content`)];
    const sizes = paths.map((path) => base.read(path).length);
    const total = sizes.reduce((sum, size) => sum + size, 0);
    let detected = 0;
    for (let flip = 0; flip < 1000; flip += 1) {
      let offset = Math.floor(random.fraction() * total);
      let index = 0;
      for (; offset >= (sizes[index] ?? 0); index += 1) offset -= sizes[index] ?? 0;
      const disk = base.afterKill();
      const octets = Buffer.from(disk.read(paths[index] ?? ''));
      octets[offset] = (octets[offset] ?? 0) ^ (1 << Math.floor(random.fraction() * 8));
      disk.replace(paths[index] ?? '', octets);
      const log = new MemoryLog();
      const spool = await reopen(disk, log);
      const found = await deliverable(spool);
      const isDetected = log.of('spool-quarantined').length > 0 || log.of('spool-header-damaged').length > 0;
      if (isDetected) detected += 1;
      else expect(await list(spool.entries())).toEqual([...entries.values()]);
      expect(found).not.toContain('done');
      expect(found.length).toBeGreaterThanOrEqual(entries.size - 1); // One record at most is concerned.
      for (const entry of await list(spool.entries())) expect({ ...entry, isAmbiguous: false }).toEqual(entries.get(entry.queueId));
      if (flip % 50 === 0) await expectSettled(disk, spool, found);
    }
    expect(detected).toBeGreaterThan(900); // The rest are tails and padding, which say nothing that is not said twice.
  });

  it('with a sector destroyed flags what may have been delivered, and delivers the rest', async () => {
    const path = onlySegment(base);
    const whole = base.read(path);
    for (let sector = 0; sector + 512 < whole.length; sector += 512) {
      const disk = base.afterKill();
      const octets = Buffer.from(whole);
      octets.fill(0, sector, sector + 512);
      disk.replace(path, octets);
      const spool = await reopen(disk);
      const found = await deliverable(spool);
      for (const entry of await list(spool.entries())) {
        const isAsItWas = JSON.stringify(entry) === JSON.stringify(entries.get(entry.queueId));
        expect(isAsItWas || entry.isAmbiguous).toBe(true); // An outcome may be lost, but not without a word.
      }
      await expectSettled(disk, spool, found);
    }
  });

  it('keeps what it sets aside: reason, entry, content', async () => {
    const disk = base.afterKill();
    const path = onlySegment(disk);
    const octets = Buffer.from(disk.read(path));
    const where = octets.indexOf('Subject: message two');
    octets[where] = 0x58;
    disk.replace(path, octets);
    const log = new MemoryLog();
    const spool = await reopen(disk, log);
    expect(await spool.entry(id('two'))).toBeUndefined();
    expect(spool.recovery.quarantined).toBe(1);
    const kept = disk.paths(QUARANTINE);
    const reason: unknown = JSON.parse(disk.read(kept.find((name) => name.endsWith('.json')) ?? '').toString());
    expect(reason).toMatchObject({ reason: expect.stringContaining('checksum'), segment: 1 });
    expect(disk.read(kept.find((name) => name.endsWith('.bin')) ?? '').includes('Xubject: message two')).toBe(true);
    expect(log.of('spool-quarantined')).toMatchObject([{ level: 'error', problem: { code: 'SPOOL_DAMAGED' } }]);
  });

  it.each([
    ['missing', undefined],
    ['short', Buffer.from('short')],
  ])('sets an entry aside whose content file is %s', async (_, octets) => {
    const disk = base.afterKill();
    const [path = ''] = disk.paths(`${DIR}/content`);
    if (octets === undefined) await disk.unlink(path);
    else disk.replace(path, octets);
    const spool = await reopen(disk);
    expect(await spool.entry(id('large'))).toBeUndefined();
    expect(spool.recovery.quarantined).toBe(1);
    expect(disk.paths(QUARANTINE)).toContain(`${QUARANTINE}/${id('large')}.json`);
    expect(JSON.parse(disk.read(`${QUARANTINE}/${id('large')}.json`).toString())).toMatchObject({
      entry: { messageId: '<large@contoso.com>' },
    });
    await expectSettled(disk, spool, ['one', 'two', 'held', 'last']);
  });

  it.each(['one', 'large'])('notices that the content of %s has changed while it was open, and tells its listeners', async (name) => {
    const disk = base.afterKill();
    const spool = await reopen(disk);
    const changes: unknown[] = [];
    spool.onChange((change) => changes.push(change));
    const path = name === 'large' ? (disk.paths(`${DIR}/content`)[0] ?? '') : onlySegment(disk);
    const octets = Buffer.from(disk.read(path));
    const where = octets.indexOf(`message ${name}`);
    octets[where] = 0x58;
    disk.replace(path, octets);
    const lease = await spool.claim(id(name), 'x', at(hours(1)));
    await expect(read(spool, id(name))).rejects.toMatchObject({ problem: { code: 'SPOOL_DAMAGED' } });
    expect(await spool.entry(id(name))).toBeUndefined();
    expect(changes).toEqual([{ kind: 'removed', queueId: id(name), account: 'billing' }]);
    expect(await spool.settleAttempt(lease ?? { queueId: id(name), fence: 1 }, done(DELIVERED))).toBe(false);
    expect((await spool.stats()).quarantined).toBe(1);
    await spool.close();
    const again = await openSpool(disk, { inlineLimit: 1000, random: seededRandom(4) });
    expect(await again.entry(id(name))).toBeUndefined();
    expect(again.recovery.quarantined).toBe(0);
  });

  it('takes nothing in content for a record, not even a copy of one', async () => {
    const disk = new MemoryDisk();
    const spool = await openSpool(disk);
    await accept(spool, newMessage('victim'), contentOf('victim', 400));
    const copy = Buffer.from(disk.read(onlySegment(disk)));
    const forged = Buffer.from(copy.toString('latin1').replaceAll('anna@example.com', 'evil@example.com'), 'latin1');
    await accept(spool, newMessage('attack'), forged.subarray(0, 20_000)); // Whole records, at every alignment that their own offsets give.
    await spool.close();
    const path = onlySegment(disk);
    const octets = Buffer.from(disk.read(path));
    const head = octets.lastIndexOf('{"queueId":"Q0000000000attack"') - 20;
    octets[head] = (octets[head] ?? 0) ^ 0xff;
    disk.replace(path, octets);
    const again = await openSpool(disk, { random: seededRandom(5) });
    for (const entry of await list(again.entries())) expect(entry.recipients[0]?.forwardPath.address).toBe('anna@example.com');
  });
});

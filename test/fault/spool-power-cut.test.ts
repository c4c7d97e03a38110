/** The machine stops at each call that the spool makes on the disk, by a kill and by power cuts; and the two controls show that this test can see. */
import { describe, expect, it } from 'vitest';
import { hours } from '../../src/core/clock.ts';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { FaultFileSystem } from '../support/fault-file-system.ts';
import { type DiskFaults, MemoryDisk } from '../support/memory-disk.ts';
import { openSpool, seededRandom } from '../support/open-spool.ts';
import { accept, at, contentOf, DELIVERED, done, HOLD, id, list, newMessage } from '../support/spool-messages.ts';
import { brokenPromises, INLINE_LIMIT, Promises, runScenario } from '../support/spool-scenario.ts';

const SETTINGS = { segmentSize: 8 * 1024, inlineLimit: INLINE_LIMIT };

interface Stop {
  readonly where: string;
  readonly after?: 'kill';
  readonly disk: MemoryDisk;
  readonly promises: Promises;
}

/** Long enough for segments to be filled, emptied, moved and removed. */
async function longScenario(spool: SegmentSpool, promises: Promises, rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round += 1) {
    await runScenario(spool, promises, `r${round}`);
    for (const name of [...promises.present].filter((candidate) => !candidate.endsWith('a2'))) {
      const lease = await spool.claim(id(name), 'worker', at(hours(1)));
      if (lease === undefined) continue;
      promises.present.delete(name);
      promises.open.add(name);
      await spool.settleAttempt(lease, done(DELIVERED));
      promises.open.delete(name);
      promises.absent.add(name);
    }
  }
}

/** Runs a scenario and stops it at every call. */
async function stopsOf(faults: DiskFaults, rounds: number, cutsPerCall: number): Promise<Stop[]> {
  const disk = new MemoryDisk(faults);
  const promises = new Promises();
  const stops: Stop[] = [];
  const files = new FaultFileSystem(disk, ({ index, name }) => {
    if (['read', 'fileSize', 'freeOctets', 'list', 'close'].includes(name)) return undefined; // Nothing has changed since the call before.
    const where = `before call ${index} (${name})`;
    stops.push({ where, after: 'kill', disk: disk.afterKill(), promises: promises.copy() });
    for (let cut = 0; cut < cutsPerCall; cut += 1) {
      const random = seededRandom(index * 7 + cut);
      stops.push({ where: `${where}, cut ${cut}`, disk: disk.afterPowerCut(() => random.fraction() < 0.5), promises: promises.copy() });
    }
    return undefined;
  });
  const spool = await openSpool(files, { ...SETTINGS, random: seededRandom(1) });
  await longScenario(spool, promises, rounds);
  await spool.close();
  return stops;
}

async function brokenAfter({ where, disk, promises, after }: Stop): Promise<string[]> {
  const spool = await openSpool(disk, { ...SETTINGS, random: seededRandom(2) });
  const broken = await brokenPromises(spool, promises, after);
  return broken.map((what) => `${where}: ${what}`);
}

describe('a machine that stops at any call', () => {
  it('finds every promise kept', async () => {
    const stops = await stopsOf({}, 4, 3);
    expect(stops.length).toBeGreaterThan(1000);
    for (const stop of stops) expect(await brokenAfter(stop)).toEqual([]);
  }, 120_000);

  it.each<[string, DiskFaults]>([
    ['does not sync', { ignoresSync: true }],
    ['does not sync directories', { ignoresDirectorySync: true }],
  ])(
    'is seen to lose messages where the disk %s',
    async (_, faults) => {
      const broken: string[] = [];
      for (const stop of await stopsOf(faults, 1, 3)) broken.push(...(await brokenAfter(stop)));
      expect(broken.filter((what) => what.endsWith('is lost')).length).toBeGreaterThan(20);
    },
    120_000,
  );

  it('and stops again while it recovers, finds every promise kept', async () => {
    const stops = await stopsOf({}, 2, 1);
    for (const stop of stops.filter((_, index) => index % 9 === 0)) {
      const random = seededRandom(5);
      const again: MemoryDisk[] = [];
      const files = new FaultFileSystem(stop.disk, () => {
        again.push(stop.disk.afterPowerCut(() => random.fraction() < 0.5));
        return undefined;
      });
      await (await openSpool(files, { ...SETTINGS, random: seededRandom(2) })).close();
      for (const disk of again) {
        const spool = await openSpool(disk, { ...SETTINGS, random: seededRandom(3) });
        expect(await brokenPromises(spool, stop.promises), stop.where).toEqual([]);
      }
    }
  }, 120_000);
});

it('a segment that comes back after it was removed brings no message back', async () => {
  const disk = new MemoryDisk();
  const spool = await openSpool(disk, SETTINGS);
  await accept(spool, newMessage('held', { hold: HOLD }));
  for (let round = 0; round < 30; round += 1) {
    await accept(spool, newMessage(round), contentOf(round, 1500));
    const lease = await spool.claim(id(round), 'worker', at(hours(1)));
    await spool.settleAttempt(lease ?? { queueId: id(round), fence: 0 }, done(DELIVERED));
    for (const keepsOldNames of [true, false]) {
      const again = await openSpool(
        disk.afterPowerCut(() => !keepsOldNames),
        { ...SETTINGS, random: seededRandom(2) },
      );
      expect((await list(again.entries())).map(({ queueId }) => queueId)).toEqual([id('held')]);
    }
  }
});

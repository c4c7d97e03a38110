/** Every call that the spool makes on the disk fails once, in every way: nothing accepted is lost, nothing rejected comes back, service goes on. */
import { describe, expect, it } from 'vitest';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { type Call, FaultFileSystem, type FaultPlan, type Verdict } from '../support/fault-file-system.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { DIR, openSpool, seededRandom } from '../support/open-spool.ts';
import { accept, contentOf, id, list, newMessage } from '../support/spool-messages.ts';
import { brokenPromises, INLINE_LIMIT, Promises, runScenario } from '../support/spool-scenario.ts';

const SETTINGS = { segmentSize: 16 * 1024, inlineLimit: INLINE_LIMIT };

const open = (files: MemoryDisk | FaultFileSystem, seed: number, log = new MemoryLog()): Promise<SegmentSpool> =>
  openSpool(files, { ...SETTINGS, random: seededRandom(seed), log });

/** The calls of a run in which nothing fails. */
async function callsOfScenario(): Promise<readonly Call[]> {
  const files = new FaultFileSystem(new MemoryDisk());
  const spool = await open(files, 1);
  files.restart();
  await runScenario(spool, new Promises(), '');
  await spool.close();
  return [...files.calls];
}

/** Runs with a fault, then without one, and looks at what is there: at once, after a kill, and after power cuts. */
async function expectPromisesKept(plan: FaultPlan, what: string, seed: number): Promise<Promises> {
  const disk = new MemoryDisk();
  const files = new FaultFileSystem(disk);
  const spool = await open(files, 1);
  const promises = new Promises();
  files.restart(plan);
  await runScenario(spool, promises, '');
  files.plan = () => undefined;
  await runScenario(spool, promises, 'z');
  expect(promises.present, what).toContain('zd'); // It goes on working.
  await expectKept(spool, promises, `${what}, at once`);
  await expectKept(await open(disk.afterKill(), 2), promises, `${what}, after a kill`);
  for (let cut = 0; cut < 2; cut += 1) {
    const random = seededRandom(seed * 10 + cut);
    const after = disk.afterPowerCut(() => random.fraction() < 0.5);
    await expectKept(await open(after, 3), promises, `${what}, after power cut ${cut}`);
    await expectKept(await open(after.afterKill(), 4), promises, `${what}, after power cut ${cut} and a kill`);
  }
  return promises;
}

async function expectKept(spool: SegmentSpool, promises: Promises, what: string): Promise<void> {
  expect(await brokenPromises(spool, promises), what).toEqual([]);
}

describe('each call of the spool on the disk, failing once', () => {
  const verdicts: Verdict[] = [
    { kind: 'fail', code: 'ENOSPC' },
    { kind: 'fail', code: 'EIO' },
    { kind: 'fail', code: 'EMFILE' },
    { kind: 'fail', code: 'EROFS' },
    { kind: 'fail-after', code: 'EIO' },
    { kind: 'short' },
  ];

  it.each(verdicts)(
    '%o',
    async (verdict) => {
      const calls = await callsOfScenario();
      expect(calls.length).toBeGreaterThan(60);
      let rejections = 0;
      for (const { index, name } of calls) {
        if (verdict.kind === 'short' && name !== 'write') continue;
        const plan: FaultPlan = (call) => (call.index === index ? verdict : undefined);
        const promises = await expectPromisesKept(plan, `call ${index} (${name})`, index);
        if (promises.codes.size > 0) rejections += 1;
        for (const code of promises.codes) expect(['SPOOL_FAILED', 'SPOOL_FULL']).toContain(code);
      }
      if (verdict.kind === 'short')
        expect(rejections).toBe(0); // A short write is gone on with.
      else expect(rejections).toBeGreaterThan(5);
    },
    120_000,
  );

  it('a short write, and then a full disk', async () => {
    const calls = await callsOfScenario();
    for (const { index } of calls.filter(({ name }) => name === 'write')) {
      const plan: FaultPlan = (call) => {
        if (call.index === index) return { kind: 'short' };
        return call.index === index + 1 && call.name === 'write' ? { kind: 'fail', code: 'ENOSPC' } : undefined;
      };
      await expectPromisesKept(plan, `write ${index}`, index);
    }
  }, 120_000);
});

describe('D05 D06 a disk that does not recover for a while', () => {
  const changing = new Set(['write', 'open', 'truncate', 'rename', 'unlink']);

  it.each<[string, (call: Call) => Verdict | undefined]>([
    [
      'has no room',
      ({ name, path }) => (name === 'write' || (name === 'open' && path.endsWith('.new')) ? { kind: 'fail', code: 'ENOSPC' } : undefined),
    ],
    ['is read-only', ({ name }) => (changing.has(name) ? { kind: 'fail', code: 'EROFS' } : undefined)],
    ['cannot sync', ({ name }) => (name === 'datasync' || name === 'syncDirectory' ? { kind: 'fail', code: 'EIO' } : undefined)],
    [
      'syncs but says that it cannot',
      ({ name }) => (name === 'datasync' || name === 'syncDirectory' ? { kind: 'fail-after', code: 'EIO' } : undefined),
    ],
    ['can make no new segment', ({ path }) => (path.includes('.seg.new') ? { kind: 'fail', code: 'EIO' } : undefined)],
    [
      'cannot sync its first segment',
      ({ name, path }) => (name === 'datasync' && path.includes('/0000000001-') ? { kind: 'fail', code: 'EIO' } : undefined),
    ],
  ])(
    '%s',
    async (what, judge) => {
      const calls = await callsOfScenario();
      for (let from = 0; from < calls.length; from += 1) {
        await expectPromisesKept((call) => (call.index >= from ? judge(call) : undefined), `${what} from call ${from}`, from);
      }
    },
    120_000,
  );

  it('keeps what it rejected rejected when it is killed before the disk recovers', async () => {
    const cannotSync: FaultPlan = ({ name }) =>
      name === 'datasync' || name === 'syncDirectory' ? { kind: 'fail-after', code: 'EIO' } : undefined;
    const calls = await callsOfScenario();
    for (let from = 0; from < calls.length; from += 1) {
      const disk = new MemoryDisk();
      const files = new FaultFileSystem(disk);
      const spool = await open(files, 1);
      const promises = new Promises();
      files.restart((call) => (call.index >= from ? cannotSync(call) : undefined));
      await runScenario(spool, promises, '');
      await expectKept(await open(disk.afterKill(), 2), promises, `cannot sync from call ${from}, killed`);
    }
  }, 120_000);

  it('keeps what it accepted when each call at the start fails once', async () => {
    const disk = new MemoryDisk();
    const spool = await open(disk, 1);
    const promises = new Promises();
    await runScenario(spool, promises, '');
    const counting = new FaultFileSystem(disk.afterKill());
    await (await open(counting, 2)).close();
    for (let index = 0; index < counting.calls.length; index += 1) {
      const copy = disk.afterKill();
      const files = new FaultFileSystem(copy, (call) => (call.index === index ? { kind: 'fail', code: 'EIO' } : undefined));
      const opened = await open(files, 2).catch((error: unknown) => error);
      if (opened instanceof Error) {
        expect(opened).toMatchObject({ problem: { code: 'SPOOL_FAILED' } });
        await expectKept(await open(files, 3), promises, `call ${index} at the start, then again`); // It is unlocked, too.
      } else await expectKept(opened as SegmentSpool, promises, `call ${index} at the start`);
      await expectKept(await open(copy.afterKill(), 4), promises, `after call ${index} at the start`);
    }
  });
});

describe('the trap of the directory', () => {
  it('a large message whose directory sync failed is rejected, and gone', async () => {
    const disk = new MemoryDisk();
    const files = new FaultFileSystem(disk, ({ name, path }) =>
      name === 'syncDirectory' && path.endsWith('/content') ? { kind: 'fail', code: 'EIO' } : undefined,
    );
    const spool = await open(files, 1);
    await expect(accept(spool, newMessage('large'), contentOf('large', 5000))).rejects.toMatchObject({ problem: { code: 'SPOOL_FAILED' } });
    expect(disk.paths(`${DIR}/content`)).toEqual([]);
    expect(await list((await open(disk.afterKill(), 2)).entries())).toEqual([]);
  });

  it('a large message whose record failed is rejected, and its file removed', async () => {
    const disk = new MemoryDisk();
    const files = new FaultFileSystem(disk);
    const spool = await open(files, 1);
    await accept(spool, newMessage('before'));
    files.restart(({ name, path }) => (name === 'datasync' && path.includes('/0000000001-') ? { kind: 'fail', code: 'EIO' } : undefined));
    await expect(accept(spool, newMessage('large'), contentOf('large', 5000))).rejects.toMatchObject({ problem: { code: 'SPOOL_FAILED' } });
    expect(disk.paths(`${DIR}/content`)).toEqual([]);
  });

  it('D03 a rejected record that is on the disk, whole, is void for the next start', async () => {
    const disk = new MemoryDisk();
    const files = new FaultFileSystem(disk);
    const log = new MemoryLog();
    const spool = await open(files, 1, log);
    await accept(spool, newMessage('before'));
    let failures = 0;
    files.restart(({ name }) => (name === 'datasync' && ++failures === 1 ? { kind: 'fail-after', code: 'EIO' } : undefined));
    await expect(accept(spool, newMessage('rejected'))).rejects.toMatchObject({ problem: { code: 'SPOOL_FAILED' } });
    const [segment = ''] = disk.paths(`${DIR}/segments`);
    expect(disk.read(segment).includes('<rejected@contoso.com>')).toBe(true);
    expect(log.of('spool-write-failed')).toMatchObject([{ level: 'error', problem: { code: 'SPOOL_FAILED' } }]);
    for (const after of [disk.afterKill(), disk.afterPowerCut(() => true), disk.afterPowerCut(() => false)]) {
      const again = await open(after, 2);
      expect((await list(again.entries())).map(({ queueId }) => queueId)).toEqual([id('before')]);
    }
    await accept(spool, newMessage('after'));
    expect(await list(spool.entries())).toHaveLength(2);
    const syncs = files.calls.filter(({ name }) => name === 'datasync');
    expect(syncs.length).toBeGreaterThan(2);
    expect(syncs.filter(({ path }) => path.startsWith(segment))).toHaveLength(1); // The one that failed, and never again.
  });
});

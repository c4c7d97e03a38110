import { mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { minutes } from '../../../src/core/clock.ts';
import { systemFiles } from '../../../src/platform/files.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { openSpool, seededRandom } from '../../support/open-spool.ts';
import { accept, at, contentOf, DELIVERED, done, id, list, newMessage, PENDING, read, retry, START } from '../../support/spool-messages.ts';

const COUNT = 5_000;
let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-many-'));
});
afterAll(async () => {
  await rm(dir, { recursive: true });
});

it('D15 5,000 entries come back whole and in order, and drain fairly to nothing', async () => {
  const clock = new FakeClock(START);
  const settings = { dir: join(dir, 'spool'), clock, segmentSize: 1024 * 1024 };
  const first = await openSpool(systemFiles, settings);
  for (let from = 0; from < COUNT; from += 250) {
    await Promise.all(
      Array.from({ length: 250 }, (_, offset) => {
        const name = from + offset;
        return accept(
          first,
          newMessage(name, { account: `a${name % 5}`, nextAttemptAt: at(name % 7) }),
          contentOf(name, 500 + (name % 700)),
        );
      }),
    );
  }
  const before = await list(first.entries());
  expect(new Set(before.map(({ queueId }) => queueId)).size).toBe(COUNT);
  await first.close();

  const spool = await openSpool(systemFiles, { ...settings, random: seededRandom(2) });
  expect(spool.recovery).toMatchObject({ entries: COUNT, quarantined: 0, ambiguous: 0, debrisOctets: 0 });
  expect(await list(spool.entries())).toEqual(before);
  expect(
    (await spool.accounts()).map(({ account, entries: count }) => [account, count]).toSorted((a, b) => (String(a) < String(b) ? -1 : 1)),
  ).toEqual(Array.from({ length: 5 }, (_, index) => [`a${index}`, COUNT / 5]));
  for (const name of [0, 1, 2_499, 4_999]) expect(await read(spool, id(name))).toEqual(contentOf(name, 500 + (name % 700)));

  let drained = 0;
  for (let round = 0; drained < COUNT; round += 1) {
    const due = (await spool.accounts()).flatMap(({ account }) => spool.due(account, at(1000), 50));
    for (const [index, { account, nextAttemptAt }] of due.entries()) {
      const earlier = due[index - 1];
      if (earlier?.account === account) expect(nextAttemptAt).toBeGreaterThanOrEqual(earlier.nextAttemptAt);
    }
    const outcomes = await Promise.all(
      due.map(async ({ queueId, attempts }, index) => {
        const lease = await spool.claim(queueId, 'worker', at(minutes(5)));
        const isDone = attempts > 0 || index % 10 !== 0;
        expect(await spool.settleAttempt(lease ?? { queueId, fence: 0 }, isDone ? done(DELIVERED) : retry(at(500), PENDING))).toBe(true);
        return isDone;
      }),
    );
    drained += outcomes.filter(Boolean).length;
    expect(round).toBeLessThan(40);
  }
  expect(await spool.stats()).toMatchObject({ entries: 0, octets: 0 });
  await vi.waitFor(async () => expect((await spool.stats()).segments).toBe(1)); // The one in use; the others go one by one.
  await spool.close();
  for (const path of ['', 'segments', 'content', 'quarantine']) expect((await stat(join(settings.dir, path))).mode & 0o777).toBe(0o700);
  for (const name of await readdir(join(settings.dir, 'segments'))) {
    expect((await stat(join(settings.dir, 'segments', name))).mode & 0o777).toBe(0o600);
  }
});

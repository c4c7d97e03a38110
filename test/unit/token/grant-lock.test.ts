/** The lock on an account's grant, taken by two stores on one directory: they are to each other what two processes are. */
import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { seconds } from '../../../src/core/clock.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { systemRandom } from '../../../src/platform/system-random.ts';
import { startSandbox } from '../../../src/sandbox/sandbox.ts';
import { FileTokenStore } from '../../../src/token/file-token-store.ts';
import { HttpTokenEndpoint } from '../../../src/token/token-endpoint.ts';
import { TokenManager } from '../../../src/token/token-manager.ts';
import { testAccount, testProvider } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { Latch } from '../../support/latch.ts';
import { MemoryLog } from '../../support/memory-log.ts';
import { problemOf } from './manager-stage.ts';

let folder: string;
let log: MemoryLog;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'postern-lock-'));
  log = new MemoryLog();
});
afterEach(async () => rm(folder, { recursive: true }));

const directory = (): string => join(folder, 'tokens');
const openStore = (clock = systemClock): FileTokenStore =>
  new FileTokenStore({ directory: directory(), masterKey: Buffer.alloc(32, 7), log, clock });

/** An action that goes on until it is told to end, and tells when it has begun. */
function held(store: FileTokenStore, account = 'billing'): { begun: Promise<void>; end: () => void; done: Promise<void> } {
  const [begun, ended] = [new Latch(), new Latch()];
  const done = store.exclusively(account, async () => {
    begun.open();
    await ended.passed;
  });
  return { begun: begun.passed, end: () => ended.open(), done };
}

describe('an exclusive action', () => {
  it('waits for that of another process, and begins when it has ended', async () => {
    const order: string[] = [];
    const first = held(openStore());
    await first.begun;
    const second = openStore().exclusively('billing', async () => void order.push('second'));
    await new Promise((resolve) => setImmediate(resolve));
    order.push('first');
    first.end();
    await Promise.all([first.done, second]);
    expect(order).toEqual(['first', 'second']);
  });

  it('runs beside those of its own process, and the lock is kept until the last has ended', async () => {
    const store = openStore();
    const [one, two] = [held(store), held(store)];
    await Promise.all([one.begun, two.begun]);
    one.end();
    await one.done;
    const clock = new FakeClock();
    const other = problemOf(openStore(clock).exclusively('billing', () => Promise.resolve()));
    // Looking at the lock is real I/O; only the pauses between are on the clock.
    const pending = Symbol('pending');
    while ((await Promise.race([other, Promise.resolve(pending)])) === pending) await clock.advance(seconds(1));
    expect(await other).toMatchObject({
      code: 'TOKEN_STORE_LOCKED',
      cause: `process ${process.pid} has been using the tokens of billing for 40 s`,
      heals: 'by-itself',
    });
    two.end();
    await two.done;
    await openStore().exclusively('billing', () => Promise.resolve());
  });

  it('of another account waits for nobody', async () => {
    const first = held(openStore());
    await first.begun;
    expect(await openStore().exclusively('sales', () => Promise.resolve('at once'))).toBe('at once');
    first.end();
    await first.done;
  });

  it('that fails passes its error on and gives the lock back', async () => {
    const failing = openStore().exclusively('billing', () => Promise.reject(new Error('mine')));
    await expect(failing).rejects.toThrow('mine');
    expect(await openStore().exclusively('billing', () => Promise.resolve('next'))).toBe('next');
    expect((await readdir(directory())).filter((name) => name.includes('.lock'))).toEqual([]);
  });

  it('is not kept from its turn by a process that was killed', async () => {
    const path = `${openStore().pathOf('billing')}.lock`;
    const first = held(openStore());
    await first.begun;
    const { pid } = spawnSync('true');
    const left = JSON.stringify({ ...(JSON.parse(await readFile(path, 'utf8')) as object), pid });
    first.end();
    await first.done;
    await writeFile(path, left);
    expect(await openStore().exclusively('billing', () => Promise.resolve('my turn'))).toBe('my turn');
  });

  it('goes on without a lock where none can be made, and says so', async () => {
    const store = openStore();
    await mkdir(`${store.pathOf('billing')}.lock`, { recursive: true });
    expect(await store.exclusively('billing', () => Promise.resolve('all the same'))).toBe('all the same');
    expect(log.of('grant-lock-failed')).toHaveLength(1);
  });
});

it('two processes that refresh at once never send the same refresh token twice', async () => {
  const sandbox = await startSandbox({ clock: systemClock, random: systemRandom, log, ports: { http: 0, smtp: 0 } });
  sandbox.faults.token.reuseDetection = true;
  const { tokenUrl, clientId, clientSecret } = sandbox;
  const account = testAccount({
    provider: testProvider({ tokenUrl }),
    auth: { grant: 'refresh_token', clientId, clientSecret, refreshToken: sandbox.mint.refreshToken('billing@sandbox.test') },
  });
  const managers = [openStore(), openStore()].map((store) => {
    const base = { clock: systemClock, random: systemRandom, log, redactor: { add: () => undefined } };
    return new TokenManager({ ...base, accounts: [account], store, endpoint: new HttpTokenEndpoint(base) });
  });
  for (let round = 0; round < 10; round += 1) await Promise.all(managers.map((manager) => manager.refresh('billing')));
  expect(sandbox.statistics.token).toMatchObject({ requests: expect.objectContaining({ refresh_token: 20 }), refused: 0 });
  for (const manager of managers) await manager.close();
  await sandbox.close();
});

/** A refresh token that is dead for good, at a real endpoint, over a quarter of an hour on a clock that runs 60 times as fast: how often it is tried, and at what cost. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it } from 'vitest';
import { minutes } from '../../src/core/clock.ts';
import { ProblemError } from '../../src/core/problem.ts';
import { TokenRouter } from '../../src/token/token-router.ts';
import { TokenManager } from '../../src/token/token-manager.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenStore } from '../support/memory-token-store.ts';
import { ScaledClock } from '../support/scaled-clock.ts';

const FACTOR = 60;
const QUARTER_MS = minutes(15) / FACTOR;

const closers: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

it('K13 K03 is tried at most once a minute, less and less, whoever asks, and leaves the processor alone', { timeout: 60_000 }, async () => {
  let requests = 0;
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      requests += 1;
      response.writeHead(400, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error: 'invalid_grant', error_codes: [50173], error_description: 'AADSTS50173: revoked' }));
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  closers.push(() => void server.close());
  const tokenUrl = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`;
  const base = { clock: new ScaledClock(FACTOR), random: systemRandom, log: new MemoryLog() };
  const accounts = Array.from({ length: 10 }, (_, index) => testAccount({ name: `a${index}`, provider: testProvider({ tokenUrl }) }));
  const manager = new TokenManager({
    ...base,
    accounts,
    store: new MemoryTokenStore(),
    endpoint: new TokenRouter(base),
    redactor: { add: () => undefined },
  });
  closers.push(() => manager.close());
  manager.start();
  const ask = async (): Promise<string> => {
    const error: unknown = await manager.accessToken('a0').catch((reason: unknown) => reason);
    return error instanceof ProblemError ? error.problem.code : String(error);
  };
  while (requests < 10) await pause(10);
  await pause(QUARTER_MS / 30);
  const before = process.cpuUsage();
  const began = performance.now();
  let asked = 0;
  while (performance.now() - began < QUARTER_MS) {
    // Of a try that a busy machine makes late, the second is told.
    expect(['TOKEN_REAUTH_REQUIRED', 'TOKEN_ENDPOINT_UNREACHABLE']).toContain(await ask());
    asked += 1;
    await pause(10);
  }
  const { user, system } = process.cpuUsage(before);
  expect(asked).toBeGreaterThan(100);
  // One at the start, and then after one, two, four, eight minutes and so on.
  expect(requests).toBeLessThanOrEqual(10 * 8);
  expect(requests).toBeGreaterThanOrEqual(10 * 2);
  // In microseconds, of a quarter of an hour.
  expect(user + system).toBeLessThan(minutes(15) * 1_000 * 0.02);
});

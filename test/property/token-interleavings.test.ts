/**
 * Whatever the order in which requests, answers, saves, refusals, failures and changes of the configuration happen: tokens stay with their account
 * and their seed, no refresh token is sent twice, and none is lost.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Account } from '../../src/core/account.ts';
import { hours, minutes, seconds } from '../../src/core/clock.ts';
import type { AccessToken } from '../../src/core/ports/token-source.ts';
import { ProblemError } from '../../src/core/problem.ts';
import type { TokenAnswer, TokenEndpoint, TokenRequest } from '../../src/token/token-answer.ts';
import { TokenManager } from '../../src/token/token-manager.ts';
import { testAccount } from '../support/accounts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemoryTokenStore } from '../support/memory-token-store.ts';
import { grantedTokens, refusedWith, unreachable } from '../support/scripted-token-endpoint.ts';

type Pause = (what: string) => Promise<void>;

/**
 * A strict provider: each refresh token works once, and one that comes again counts as stolen (RFC 9700 §4.14.2). A token reads
 * `ACCOUNT/SEED/NUMBER`.
 */
class StrictProvider implements TokenEndpoint {
  readonly newest = new Map<string, number>();
  readonly stolen: string[] = [];
  overlaps = 0;
  isDown = false;
  readonly #busy = new Set<string>();
  readonly #pause: Pause;

  constructor(pause: Pause) {
    this.#pause = pause;
  }

  async request({ account, refreshToken = '' }: TokenRequest): Promise<TokenAnswer> {
    const [owner = '', seed = '', number = ''] = refreshToken.split('/');
    const line = `${owner}/${seed}`;
    if (owner !== account.name) throw new Error(`${account.name} sent ${refreshToken}`);
    if (this.#busy.has(line)) this.overlaps += 1;
    this.#busy.add(line);
    await this.#pause(`request ${refreshToken}`);
    const answer = this.#answer(line, refreshToken, Number(number));
    await this.#pause(`answer to ${refreshToken}`);
    this.#busy.delete(line);
    return answer;
  }

  #answer(line: string, refreshToken: string, number: number): TokenAnswer {
    if (this.isDown) return unreachable;
    if (number !== (this.newest.get(line) ?? 0)) {
      this.stolen.push(refreshToken);
      return refusedWith('invalid_grant', 50173);
    }
    this.newest.set(line, number + 1);
    return grantedTokens({ accessToken: `${line}/${number + 1}`, refreshToken: `${line}/${number + 1}` });
  }

  async close(): Promise<void> {
    await Promise.resolve();
  }
}

function accountOf(name: string, seed: number, clientSecret: string): Account {
  return testAccount({ name, auth: { grant: 'refresh_token', clientId: 'id', clientSecret, refreshToken: `${name}/${seed}/0` } });
}

/** The whole world of one run, with its promises checked on the way. */
class World {
  readonly clock = new FakeClock();
  readonly store = new MemoryTokenStore();
  readonly provider: StrictProvider;
  readonly manager: TokenManager;
  readonly #names: readonly string[];
  readonly #seeds = new Map<string, number>();
  readonly #last = new Map<string, AccessToken>();
  #secret = 0;
  handedOut = 0;
  /** Promises that were broken. */
  readonly broken: string[] = [];

  constructor(names: readonly string[], pause: Pause, fraction: () => number = () => 0) {
    this.#names = names;
    this.provider = new StrictProvider(pause);
    this.store.beforeSave = async (account, { refreshToken = '' }) => pause(`save ${account} ${refreshToken}`);
    this.manager = new TokenManager({
      accounts: this.#accounts(),
      store: this.store,
      endpoint: this.provider,
      clock: this.clock,
      random: { fraction, octets: (count) => new Uint8Array(count) },
      log: new MemoryLog(),
      redactor: { add: () => {} },
    });
  }

  async ask(name: string): Promise<void> {
    await this.#checked(name, async () => this.manager.accessToken(name));
  }

  async refuse(name: string): Promise<void> {
    const last = this.#last.get(name);
    if (last !== undefined) await this.#checked(name, async () => this.manager.replaceRefused(name, last));
  }

  changeSeed(name: string): void {
    this.#seeds.set(name, this.seedOf(name) + 1);
    this.manager.updateAccounts(this.#accounts());
  }

  changeSecret(): void {
    this.#secret += 1;
    this.manager.updateAccounts(this.#accounts());
  }

  seedOf(name: string): number {
    return this.#seeds.get(name) ?? 0;
  }

  #accounts(): Account[] {
    return this.#names.map((name) => accountOf(name, this.seedOf(name), `secret-${this.#secret}`));
  }

  async #checked(name: string, action: () => Promise<AccessToken>): Promise<void> {
    const seedBefore = this.seedOf(name);
    let token: AccessToken;
    try {
      token = await action();
    } catch (error) {
      if (error instanceof ProblemError) return; // Trouble is allowed; a wrong token is not.
      throw error;
    }
    this.handedOut += 1;
    this.#last.set(name, token);
    const [owner, seed, number] = token.value.split('/');
    const age = (line: string | undefined, count: string | undefined): number => Number(line) * 1_000_000 + Number(count);
    const [, storedSeed, storedNumber] = this.store.grants.get(name)?.refreshToken?.split('/') ?? [];
    if (owner !== name) this.broken.push(`${name} got ${token.value}`);
    if (Number(seed) < seedBefore) this.broken.push(`${name} got ${token.value} though its seed was ${seedBefore}`);
    if (!(age(storedSeed, storedNumber) >= age(seed, number))) this.broken.push(`${token.value} was handed out before it was durable`);
  }

  /** When all is quiet and well again, every account has a working token of its seed, and the newest refresh token is stored. */
  async verdict(): Promise<string[]> {
    for (const name of this.#names) {
      const token = await this.manager.accessToken(name);
      const line = `${name}/${this.seedOf(name)}`;
      if (token.value !== `${line}/${this.provider.newest.get(line)}`) this.broken.push(`${name} ended with ${token.value}`);
      const stored = this.store.grants.get(name)?.refreshToken;
      if (stored !== token.value) this.broken.push(`${name} ended with ${stored} stored`);
    }
    for (const stolen of this.provider.stolen) this.broken.push(`${stolen} was sent twice`);
    if (this.provider.overlaps > 0) this.broken.push(`${this.provider.overlaps} requests of one line at the same time`);
    return this.broken;
  }
}

const turn = async (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('holds for every interleaving of two accounts', async () => {
  const name = fc.constantFrom('a', 'b');
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('ask' as const), name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('refuse' as const), name }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('change-seed' as const), name }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('change-secret' as const) }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('expire' as const) }) },
    {
      weight: 1,
      arbitrary: fc.record({
        kind: fc.constantFrom('endpoint-down' as const, 'endpoint-up' as const, 'disk-full' as const, 'disk-free' as const),
      }),
    },
  );
  await fc.assert(
    fc.asyncProperty(fc.scheduler(), fc.array(command, { minLength: 3, maxLength: 25 }), async (scheduler, commands) => {
      let isScheduled = true;
      const world = new World(['a', 'b'], async (what) => {
        if (isScheduled) await scheduler.schedule(Promise.resolve(), what);
      });
      const asked: Promise<void>[] = [];
      scheduler.scheduleSequence(
        commands.map((each) => ({
          label: each.kind,
          builder: async () => {
            if (each.kind === 'ask') asked.push(world.ask(each.name));
            else if (each.kind === 'refuse') asked.push(world.refuse(each.name));
            else if (each.kind === 'change-seed') world.changeSeed(each.name);
            else if (each.kind === 'change-secret') world.changeSecret();
            else if (each.kind === 'expire') await world.clock.advance(hours(1));
            else if (each.kind === 'endpoint-down' || each.kind === 'endpoint-up') world.provider.isDown = each.kind === 'endpoint-down';
            else world.store.isSaveBroken = each.kind === 'disk-full';
          },
        })),
      );
      for (let quiet = 0; quiet < 5; quiet += 1) {
        if (scheduler.count() > 0) quiet = 0;
        await scheduler.waitAll();
        await turn();
      }
      isScheduled = false;
      await Promise.all(asked);
      world.provider.isDown = false;
      world.store.isSaveBroken = false;
      await world.clock.advance(minutes(10));
      expect(await world.verdict()).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

/** A small generator, so that a run can be repeated from its seed (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

it('K08 holds for 100 accounts and 10,000 steps', async () => {
  const random = seeded(20_261_123);
  const names = Array.from({ length: 100 }, (_, index) => `account-${index}`);
  const pick = (): string => names[Math.floor(random() * names.length)] ?? '';
  const pause: Pause = async () => {
    for (let turns = Math.floor(random() * 3); turns > 0; turns -= 1) await turn();
  };
  const world = new World(names, pause, random);
  world.manager.start();
  const asked: Promise<void>[] = [];
  for (let step = 0; step < 10_000; step += 1) {
    const chance = random();
    if (chance < 0.6) asked.push(world.ask(pick()));
    else if (chance < 0.9) asked.push(world.refuse(pick()));
    else if (chance < 0.92) world.changeSeed(pick());
    else if (chance < 0.925) world.changeSecret();
    else if (chance < 0.95) world.provider.isDown = !world.provider.isDown;
    else if (chance < 0.97) world.store.isSaveBroken = !world.store.isSaveBroken;
    else if (chance < 0.973) await world.clock.advance(seconds(random() * 100));
    else await turn();
  }
  for (let quiet = 0; quiet < 20; quiet += 1) await turn();
  await Promise.all(asked);
  world.provider.isDown = false;
  world.store.isSaveBroken = false;
  await world.clock.advance(minutes(10));
  expect(await world.verdict()).toEqual([]);
  expect(world.handedOut).toBeGreaterThan(3000);
});

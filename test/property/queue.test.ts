/** The queue against a model: whatever the upstream says, whenever the process dies, each recipient gets what it should get, as often as it should. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { days, minutes, seconds } from '../../src/core/clock.ts';
import { type RelayResult, type StagedReply, UpstreamError } from '../../src/core/ports/upstream.ts';
import { problem } from '../../src/core/problem.ts';
import { type Reply, reply } from '../../src/core/reply.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemorySpool } from '../support/memory-spool.ts';
import { Mortal } from '../support/mortal.ts';
import { type RelayCall, type RelayScript, ScriptedUpstream } from '../support/scripted-upstream.ts';
import { Lab, START } from '../unit/delivery/lab.ts';

type Fate = 'accept' | 'refuse' | 'defer';
/** How an attempt ends: with an answer for each recipient, or with none. `taken-lost`: the provider had it all the same. */
type Ending = 'answered' | 'no-connection' | 'lost' | 'dot-lost' | 'taken-lost';

const fate = fc.constantFrom<Fate>('accept', 'accept', 'refuse', 'defer');
const ending = fc.constantFrom<Ending>('answered', 'answered', 'answered', 'no-connection', 'lost', 'dot-lost', 'taken-lost');

const OK = reply(250, '2.0.0', 'OK');
const ANSWERS: Readonly<Record<Fate, Reply>> = {
  accept: OK,
  refuse: reply(550, '5.1.1', 'Unknown'),
  defer: reply(452, '4.2.2', 'Mailbox full'),
};

function failure(at: Ending): UpstreamError {
  const stage = at === 'no-connection' ? 'connect' : at === 'lost' ? 'content' : 'final-reply';
  const code = at === 'no-connection' ? 'UPSTREAM_UNREACHABLE' : at === 'lost' ? 'UPSTREAM_LOST' : 'UPSTREAM_AMBIGUOUS';
  return new UpstreamError(stage, problem(code), reply(451, '4.4.2', 'Lost'));
}

/** Answers the nth attempt as told, and after the last one takes everything. Reports are taken always. */
function tabled(fates: ReadonlyMap<string, readonly Fate[]>, endings: readonly Ending[]): RelayScript {
  const tries = new Map<string, number>();
  let attempts = 0;
  return async (call: RelayCall): Promise<RelayResult> => {
    const paths = call.envelope.forwardPaths.map(({ address }) => address);
    const base = { upstream: 'smtp.lab.test:587', user: 'u', isDsnPassedOn: true };
    if (call.envelope.reversePath === '') {
      await call.deliver();
      return { ...base, answers: paths.map(() => ({ stage: 'final-reply', reply: OK }) as const) };
    }
    const end = endings[attempts] ?? 'answered';
    attempts += 1;
    if (end === 'no-connection') return { ...base, answers: paths.map(() => undefined), failure: failure(end) };
    const chosen = paths.map((address): Fate => {
      const before = tries.get(address) ?? 0;
      tries.set(address, before + 1);
      return fates.get(address)?.[before] ?? 'accept';
    });
    const accepted = paths.flatMap((_, index) => (chosen[index] === 'accept' ? [index] : []));
    if (accepted.length > 0) await (end === 'answered' || end === 'taken-lost' ? call.deliver(accepted) : call.read());
    const isLost = end !== 'answered' && accepted.length > 0;
    const answers = chosen.map((one): StagedReply | undefined => {
      if (one !== 'accept') return { stage: 'rcpt', reply: ANSWERS[one] };
      return isLost ? undefined : { stage: 'final-reply', reply: OK };
    });
    return { ...base, answers, ...(isLost ? { failure: failure(end) } : {}) };
  };
}

interface Expected {
  deliveries: number;
  isRefused: boolean;
}

/** What each recipient ought to get by the same table. */
function model(
  addresses: readonly string[],
  fates: ReadonlyMap<string, readonly Fate[]>,
  endings: readonly Ending[],
): Map<string, Expected> {
  const expected = new Map(addresses.map((address) => [address, { deliveries: 0, isRefused: false }]));
  const tries = new Map<string, number>();
  let pending = [...addresses];
  for (let attempt = 0; pending.length > 0; attempt += 1) {
    const end = endings[attempt] ?? 'answered';
    if (end === 'no-connection') continue;
    pending = pending.filter((address) => {
      const before = tries.get(address) ?? 0;
      tries.set(address, before + 1);
      const chosen = fates.get(address)?.[before] ?? 'accept';
      const known = expected.get(address) ?? { deliveries: 0, isRefused: false };
      if (chosen === 'refuse') known.isRefused = true;
      if (chosen === 'accept' && (end === 'answered' || end === 'taken-lost')) known.deliveries += 1;
      return chosen === 'defer' || (chosen === 'accept' && end !== 'answered');
    });
  }
  return expected;
}

const addressesOf = (count: number): string[] => Array.from({ length: count }, (_, index) => `r${index}@x.test`);
const account = (delivery: 'auto' | 'queue') =>
  testAccount({ delivery, provider: testProvider({ limits: { ...testProvider().limits, messagesPerMinute: 100_000 } }) });

const isReport = (content: string): boolean => content.includes('multipart/report');

describe('the queue and a table of replies', () => {
  it('U06 agree: 2yz is never sent again, 4yz is tried again, 5yz is reported once', async () => {
    const table = fc.record({
      mode: fc.constantFrom('auto' as const, 'queue' as const),
      fates: fc.array(fc.array(fate, { maxLength: 5 }), { minLength: 1, maxLength: 4 }),
      endings: fc.array(ending, { maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(table, async ({ mode, fates, endings }) => {
        const addresses = addressesOf(fates.length);
        const byAddress = new Map(addresses.map((address, index) => [address, fates[index] ?? []]));
        const lab = await Lab.open({ accounts: [account(mode)] });
        lab.upstream.script = tabled(byAddress, endings);
        const answer = await lab.submitted({ to: addresses });
        await lab.clock.advance(days(1));
        const expected = model(addresses, byAddress, endings);
        const reports = lab.upstream.delivered.filter(({ content }) => isReport(content)).map(({ content }) => content);
        const told = answer.startsWith('5');
        for (const [address, { deliveries, isRefused }] of expected) {
          const got = lab.upstream.delivered.filter((one) => one.address === address);
          expect(got).toHaveLength(deliveries);
          expect(new Set(got.map(({ content }) => content)).size).toBeLessThanOrEqual(1); // Each attempt sends the same octets.
          const mentions = reports.filter((content) => content.includes(`Final-Recipient: rfc822; ${address}\r\n`));
          expect(mentions).toHaveLength(isRefused && !told ? 1 : 0);
        }
        expect(await lab.entries()).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a process that dies', () => {
  it('loses nothing that was answered with 250, and delivers twice only what it flags', async () => {
    const scenario = fc.record({
      mode: fc.constantFrom('auto' as const, 'queue' as const),
      messages: fc.integer({ min: 1, max: 4 }),
      deaths: fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 4 }),
      endings: fc.array(fc.constantFrom<Ending>('answered', 'answered', 'no-connection', 'lost'), { maxLength: 4 }),
    });
    await fc.assert(
      fc.asyncProperty(scenario, async ({ mode, messages, deaths, endings }) => {
        const clock = new FakeClock(START);
        const spool = new MemorySpool(clock);
        const upstream = new ScriptedUpstream();
        upstream.script = tabled(new Map(), endings);
        const acknowledged = new Set<string>();
        const flagged = new Map<string, number>();
        let next = 0;
        for (const diesAt of [...deaths, Number.POSITIVE_INFINITY]) {
          const mortal = new Mortal(diesAt);
          const lab = await Lab.open({
            accounts: [account(mode)],
            clock,
            spool: mortal.spool(spool),
            upstream: mortalUpstream(mortal, upstream),
            isIdle: true,
          });
          void lab.delivery.start();
          for (; next < messages && !mortal.isDead; next += 1) {
            const to = `m${next}@x.test`;
            void lab.submit({ to: [to] }).then(({ code }) => (code === 250 && !mortal.isDead ? acknowledged.add(to) : undefined));
            await clock.advance(seconds(20));
          }
          await clock.advance(minutes(30));
          for (const line of lab.log.of('message-ambiguous')) {
            const { forwardPaths: [address = ''] = [] } = line;
            flagged.set(address, (flagged.get(address) ?? 0) + 1);
          }
          spool.restart();
        }
        await clock.advance(days(1));
        for (let index = 0; index < next; index += 1) {
          const address = `m${index}@x.test`;
          const copies = upstream.delivered.filter((one) => one.address === address).length;
          expect(copies, `${address}, acknowledged or not`).toBeGreaterThanOrEqual(acknowledged.has(address) ? 1 : 0);
          expect(copies, `${address} was flagged ${flagged.get(address) ?? 0} times`).toBeLessThanOrEqual(1 + (flagged.get(address) ?? 0));
        }
        expect((await spool.stats()).entries).toBe(0);
      }),
      { numRuns: 300 },
    );
  });
});

/** Steps inside an attempt, too: between the content and its delivery, and between that and the answer. */
function mortalUpstream(mortal: Mortal, upstream: ScriptedUpstream): ScriptedUpstream {
  const living = mortal.upstream(upstream);
  const dying = new ScriptedUpstream();
  dying.relay = async (account_, envelope, openContent, patience) => {
    const stepping = async function* (): AsyncGenerator<Uint8Array> {
      await mortal.step();
      for await (const chunk of openContent()) {
        await mortal.step();
        yield chunk;
      }
      await mortal.step();
    };
    return living.relay(account_, envelope, stepping, patience);
  };
  return dying;
}

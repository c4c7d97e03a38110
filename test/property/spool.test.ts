/** Whatever is done with a spool, and however often its process ends in between: it holds what the model holds. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type DurationMs, type EpochMs, minutes, plus, seconds } from '../../src/core/clock.ts';
import type { QueueId } from '../../src/core/ids.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import type { AttemptOutcome, RecipientStatus } from '../../src/core/spool-entry.ts';
import type { SegmentSpool } from '../../src/spool/segment-spool.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { MemoryDisk } from '../support/memory-disk.ts';
import { MemorySpool } from '../support/memory-spool.ts';
import { openSpool, seededRandom } from '../support/open-spool.ts';
import { accept, contentOf, DELIVERED, FAILED, HOLD, id, list, newMessage, PENDING, read, START } from '../support/spool-messages.ts';

const ACCOUNTS = ['billing', 'sales', 'support'] as const;

type Ending = 'done' | 'retry' | 'hold' | 'release' | 'abandon' | 'report' | 'never-begun';
type Step =
  | { readonly kind: 'accept'; readonly size: number; readonly account: number; readonly recipients: number; readonly delay: number }
  | { readonly kind: 'attempt'; readonly pick: number; readonly ending: Ending; readonly statuses: number; readonly delay: number }
  | { readonly kind: 'operate'; readonly pick: number; readonly action: 'hold' | 'unhold' | 'retryNow' | 'drop' }
  | { readonly kind: 'wait'; readonly minutes: number }
  | { readonly kind: 'restart'; readonly how: 'close' | 'kill' | 'power-cut' };

const pick = fc.nat(1000);
const delay = fc.nat(600);
const stepKinds: { arbitrary: fc.Arbitrary<Step>; weight: number }[] = [
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('accept' as const),
      size: fc.oneof(fc.nat(300), fc.constantFrom(1999, 2000, 2001, 6000)),
      account: fc.nat(ACCOUNTS.length - 1),
      recipients: fc.integer({ min: 1, max: 4 }),
      delay,
    }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('attempt' as const),
      pick,
      ending: fc.constantFrom<Ending>('done', 'done', 'retry', 'hold', 'release', 'abandon', 'report', 'never-begun'),
      statuses: fc.nat(80),
      delay,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('operate' as const), pick, action: fc.constantFrom('hold', 'unhold', 'retryNow', 'drop') }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('wait' as const), minutes: fc.nat(10) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart' as const), how: fc.constantFrom('close', 'kill', 'power-cut') }) },
];

class Comparison {
  readonly #clock = new FakeClock(START);
  readonly #model = new MemorySpool(this.#clock);
  readonly #contents = new Map<QueueId, Buffer>();
  #disk = new MemoryDisk();
  #real: SegmentSpool | undefined;
  #starts = 0;
  #names = 0;

  async start(): Promise<void> {
    this.#starts += 1;
    const settings = { clock: this.#clock, segmentSize: 8 * 1024, inlineLimit: 2000, random: seededRandom(this.#starts) };
    this.#real = await openSpool(this.#disk, settings);
  }

  async run(step: Step): Promise<void> {
    switch (step.kind) {
      case 'wait':
        return this.#clock.advance(minutes(step.minutes));
      case 'restart':
        return this.#restart(step.how);
      case 'accept':
        return this.#accept(step);
      case 'operate':
        return this.#onBoth((spool) => this.#operate(spool, step));
      case 'attempt':
        this.#names += 1;
        return this.#onBoth((spool) => this.#attempt(spool, step));
    }
  }

  async expectSame(): Promise<void> {
    const [real, model] = await Promise.all([this.#view(this.#spool()), this.#view(this.#model)]);
    expect(real).toEqual(model);
  }

  async expectSameContent(): Promise<void> {
    for (const { queueId } of await list(this.#spool().entries())) {
      expect((await read(this.#spool(), queueId)).equals(this.#contents.get(queueId) ?? Buffer.from('none'))).toBe(true);
    }
    expect((await this.#spool().stats()).quarantined).toBe(0);
  }

  #spool(): SegmentSpool {
    if (this.#real === undefined) throw new Error('not started');
    return this.#real;
  }

  async #view(spool: Spool): Promise<unknown> {
    const { entries, octets } = await spool.stats();
    const due = await Promise.all(ACCOUNTS.map(async (account) => spool.due(account, plus(this.#clock.now(), seconds(200)), 5)));
    const accounts = (await spool.accounts()).sort((one, other) => (one.account < other.account ? -1 : 1));
    return { entries, octets, due, accounts, all: await list(spool.entries()) };
  }

  /** The same on both, with the same answer. */
  async #onBoth(act: (spool: Spool) => Promise<unknown>): Promise<void> {
    const expected = await act(this.#model);
    expect(await act(this.#spool())).toEqual(expected);
  }

  async #restart(how: 'close' | 'kill' | 'power-cut'): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve)); // Marks are synced a moment after they are answered for.
    const random = seededRandom(this.#starts);
    if (how === 'close') await this.#spool().close();
    else this.#disk = how === 'kill' ? this.#disk.afterKill() : this.#disk.afterPowerCut(() => random.fraction() < 0.5);
    this.#model.restart();
    await this.start();
  }

  async #accept({ size, account, recipients, delay: wait }: Extract<Step, { kind: 'accept' }>): Promise<void> {
    this.#names += 1;
    const content = contentOf(this.#names, size);
    this.#contents.set(id(this.#names), content);
    const message = newMessage(this.#names, {
      account: ACCOUNTS[account] ?? 'billing',
      acceptedAt: this.#clock.now(),
      nextAttemptAt: this.#after(wait),
      forwardPaths: Array.from({ length: recipients }, (_, index) => ({ address: `r${index}@example.com` })),
    });
    await this.#onBoth((spool) => accept(spool, message, content));
  }

  async #operate(spool: Spool, { pick: which, action }: Extract<Step, { kind: 'operate' }>): Promise<boolean> {
    const queueId = await this.#pick(spool, which);
    switch (action) {
      case 'hold':
        return spool.hold(queueId, HOLD);
      case 'unhold':
        return spool.unhold(queueId);
      case 'retryNow':
        return spool.retryNow(queueId, this.#clock.now());
      case 'drop':
        return spool.drop(queueId);
    }
  }

  async #attempt(spool: Spool, step: Extract<Step, { kind: 'attempt' }>): Promise<unknown> {
    const { pick: which, ending, delay: wait, statuses } = step;
    const queueId = await this.#pick(spool, which);
    const lease = await spool.claim(queueId, 'worker', plus(this.#clock.now(), minutes(3)));
    const entry = await spool.entry(queueId);
    if (lease === undefined || entry === undefined) return 'no lease';
    if (ending !== 'never-begun') expect(await spool.beginTransmission(lease)).toBe(true);
    if (ending === 'abandon') return 'abandoned';
    if (ending === 'release' || ending === 'never-begun') return spool.release(lease);
    const isDone = ending === 'done' || ending === 'report';
    const after = entry.recipients.map(({ status }, index) => (status.kind === 'pending' ? statusOf(statuses, index, isDone) : status));
    const outcome: AttemptOutcome = { statuses: after, next: this.#next(isDone, ending === 'hold', wait), isAmbiguous: statuses === 7 };
    if (ending !== 'report') return spool.settleAttempt(lease, outcome);
    const draft = await spool.openDraft({ account: 'billing', isReport: true });
    const name = this.#names;
    await draft.write(contentOf(name, statuses * 50));
    this.#contents.set(id(name), contentOf(name, statuses * 50));
    return spool.settleAttempt(lease, outcome, { draft, message: newMessage(name) });
  }

  #next(isDone: boolean, isHeld: boolean, wait: number): AttemptOutcome['next'] {
    if (isDone) return { kind: 'done' };
    return isHeld ? { kind: 'hold', hold: HOLD } : { kind: 'retry', at: this.#after(wait) };
  }

  #after(count: number): EpochMs {
    return plus(this.#clock.now(), (count * 1000) as DurationMs);
  }

  async #pick(spool: Spool, which: number): Promise<QueueId> {
    const entries = await list(spool.entries());
    return entries[which % Math.max(1, entries.length)]?.queueId ?? id('none');
  }
}

function statusOf(statuses: number, index: number, isFinal: boolean): RecipientStatus {
  const choices = isFinal ? [DELIVERED, FAILED] : [PENDING, DELIVERED, FAILED];
  return choices[(statuses >> index) % choices.length] ?? DELIVERED;
}

it('a spool holds what its model holds, over restarts, kills and power cuts', async () => {
  const steps = fc.array(fc.oneof(...stepKinds), { maxLength: 60, size: 'max' });
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const comparison = new Comparison();
      await comparison.start();
      for (const step of all) {
        await comparison.run(step);
        await comparison.expectSame();
      }
      await comparison.expectSameContent();
    }),
    { numRuns: 300, seed: 20261123 },
  );
}, 120_000);

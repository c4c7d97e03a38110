/**
 * What every spool owes its users (core/ports/spool.ts).
 *
 * @packageDocumentation
 */
import { describe, expect, it } from 'vitest';
import { type EpochMs, hours, minutes, seconds } from '../../src/core/clock.ts';
import type { Chunks, Octets } from '../../src/core/octets.ts';
import type { Draft, Lease, Spool, SpoolChange } from '../../src/core/ports/spool.ts';
import { ProblemError } from '../../src/core/problem.ts';
import type { RecipientStatus } from '../../src/core/spool-entry.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import { streamed } from '../support/octets.ts';
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
  START,
} from '../support/spool-messages.ts';

/** A spool under test. */
export interface SpoolUnderTest {
  readonly spool: Spool;
  readonly clock: FakeClock;
}

/** Makes a new, empty spool whose clock starts at `START`. */
export type MakeSpool = (quota?: { octets: number; entries: number }) => Promise<SpoolUnderTest>;

const LATER = at(minutes(5));

/** @throws Error where it is not to be had. */
async function claim(spool: Spool, name: string | number, until: EpochMs = LATER): Promise<Lease> {
  const lease = await spool.claim(id(name), 'worker', until);
  if (lease === undefined) throw new Error(`no lease on ${name}`);
  return lease;
}

const withCode = (code: string): unknown => expect.objectContaining({ name: 'ProblemError', problem: expect.objectContaining({ code }) });

export function spoolContract(name: string, make: MakeSpool): void {
  describe(`spool contract: ${name}`, () => {
    describe('acceptance', () => {
      it('keeps envelope and content as they came', async () => {
        const { spool } = await make();
        const message = newMessage('a', {
          reversePath: '',
          traceParent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
          parameters: { size: 5 as Octets, body: '8BITMIME', isSmtpUtf8: true, isRequireTls: true, ret: 'HDRS', envid: 'x+2By' },
          forwardPaths: [
            { address: 'änna@example.com', notify: ['SUCCESS', 'DELAY'], orcpt: 'rfc822;a@b' },
            { address: '"b c"@example.com' },
          ],
        });
        const content = Buffer.from(Array.from({ length: 3000 }, (_, index) => index % 256));
        const entry = await accept(spool, message, content);
        expect(entry).toEqual({
          queueId: id('a'),
          account: 'billing',
          client: 'erp',
          acceptedAt: START,
          reversePath: '',
          parameters: message.parameters,
          messageId: '<a@contoso.com>',
          traceParent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
          size: 3000,
          recipients: message.forwardPaths.map((forwardPath) => ({ forwardPath, status: { kind: 'pending' } })),
          attempts: 0,
          nextAttemptAt: START,
          isAmbiguous: false,
        });
        expect(await spool.entry(id('a'))).toEqual(entry);
        expect(await read(spool, id('a'))).toEqual(content);
      });

      it('takes over what an attempt before it came to', async () => {
        const { spool } = await make();
        const forwardPaths = [{ address: 'a@example.com' }, { address: 'b@example.com' }];
        await accept(spool, newMessage('a', { forwardPaths, statuses: [DELIVERED, PENDING], attempts: 1, isAmbiguous: true, hold: HOLD }));
        expect(await spool.entry(id('a'))).toMatchObject({
          recipients: [{ status: DELIVERED }, { status: PENDING }],
          attempts: 1,
          isAmbiguous: true,
          hold: HOLD,
        });
      });

      it.each([0, 1, 65_536, 65_537, 262_143, 262_144, 262_145, 3_000_001])(
        'keeps content of %i octets, in chunks of at most 64 KB',
        async (octets) => {
          const { spool } = await make();
          const content = contentOf('a', octets);
          expect((await accept(spool, newMessage('a'), content)).size).toBe(octets);
          const sizes: number[] = [];
          for await (const chunk of spool.content(id('a'))) sizes.push(chunk.length);
          expect(Math.max(0, ...sizes)).toBeLessThanOrEqual(65_536);
          expect((await read(spool, id('a'))).equals(content)).toBe(true);
        },
      );

      it('does not keep a reference to the chunk', async () => {
        const { spool } = await make();
        const draft = await spool.openDraft({ account: 'billing' });
        const chunk = Buffer.from('first\r\n');
        await draft.write(chunk);
        chunk.fill('x');
        await draft.write(Buffer.from('second\r\n'));
        expect(draft.size).toBe(15);
        await draft.accept(newMessage('a'));
        expect((await read(spool, id('a'))).toString()).toBe('first\r\nsecond\r\n');
      });

      it('knows nothing of a discarded draft, and discards it once', async () => {
        const { spool } = await make({ octets: 1000, entries: 1 });
        const draft = await spool.openDraft({ account: 'billing', expectedSize: 1000 as Octets });
        await draft.write(contentOf('a', 900));
        await draft.discard();
        await draft.discard();
        await expect(draft.accept(newMessage('a'))).rejects.toThrow('over');
        expect((await spool.stats()).entries).toBe(0);
        await accept(spool, newMessage('b'), contentOf('b', 1000)); // Its room is free again.
      });

      it('refuses a queue id twice and a message without forward-paths', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'));
        await expect(accept(spool, newMessage('a'))).rejects.toBeInstanceOf(RangeError);
        await expect(accept(spool, newMessage('b', { forwardPaths: [] }))).rejects.toBeInstanceOf(RangeError);
        expect((await list(spool.entries())).map(({ queueId }) => queueId)).toEqual([id('a')]);
      });

      it('accepts many at once', async () => {
        const { spool } = await make();
        await Promise.all(Array.from({ length: 200 }, (_, index) => accept(spool, newMessage(index))));
        const names = (await list(spool.entries())).map(({ queueId }) => queueId);
        expect(names.toSorted()).toEqual(Array.from({ length: 200 }, (_, index) => id(index)).toSorted());
        for (const queueId of [id(0), id(99), id(199)]) expect(await read(spool, queueId)).toEqual(contentOf(queueId));
      });
    });

    describe('a first attempt while the message is still a draft', () => {
      const collect = async (chunks: Chunks): Promise<Buffer> => {
        const read: Uint8Array[] = [];
        for await (const chunk of chunks) read.push(chunk);
        return Buffer.concat(read);
      };

      it.each([0, 200, 262_144, 262_145, 1_000_000])('reads the %i octets that were written, as often as it likes', async (octets) => {
        const { spool } = await make();
        const content = contentOf('a', octets);
        const draft = await spool.openDraft({ account: 'billing' });
        for (let from = 0; from < content.length; from += 50_000) await draft.write(content.subarray(from, from + 50_000));
        expect((await collect(draft.content())).equals(content)).toBe(true);
        for await (const chunk of draft.content()) expect(chunk.length).toBeLessThanOrEqual(65_536);
        await draft.accept(newMessage('a'));
        expect((await read(spool, id('a'))).equals(content)).toBe(true);
      });

      it.each([
        ['accepted', (draft: Draft) => draft.accept(newMessage('a'))],
        ['discarded', (draft: Draft) => draft.discard()],
      ])('goes on reading to the end while the draft is %s', async (_what, end) => {
        const { spool } = await make();
        const content = contentOf('a', 600_000);
        const draft = await spool.openDraft({ account: 'billing' });
        await draft.write(content);
        const chunks = streamed(draft.content());
        const first = await chunks.next();
        await end(draft);
        await spool.drop(id('a'));
        const rest = await collect({ [Symbol.asyncIterator]: () => chunks });
        expect(Buffer.concat([first.value ?? Buffer.alloc(0), rest]).equals(content)).toBe(true);
        expect(() => draft.content()).toThrow('over');
      });

      it('makes an entry that nobody else can claim, until it is settled', async () => {
        const { spool } = await make();
        const draft = await spool.openDraft({ account: 'billing' });
        await draft.write(contentOf('a'));
        const lease = await draft.acceptLeased(newMessage('a'), { owner: 'me', until: LATER, isTransmitting: true });
        expect(await spool.claim(id('a'), 'other', LATER)).toBeUndefined();
        expect(await spool.due('billing', START, 9)).toEqual([]);
        expect(await spool.settleAttempt(lease, retry(START, PENDING))).toBe(true);
        expect(await spool.entry(id('a'))).toMatchObject({ attempts: 1, isAmbiguous: false });
        await claim(spool, 'a');
      });

      it.each([true, false])('whose lease runs out leaves the entry ambiguous where it was transmitting: %s', async (isTransmitting) => {
        const { spool, clock } = await make();
        const draft = await spool.openDraft({ account: 'billing' });
        await draft.write(contentOf('a'));
        await draft.acceptLeased(newMessage('a'), { owner: 'me', until: LATER, isTransmitting });
        await clock.advance(minutes(6));
        await claim(spool, 'a', at(minutes(20)));
        expect(await spool.entry(id('a'))).toMatchObject({ isAmbiguous: isTransmitting });
      });
    });

    describe('limit', () => {
      it('R09 is on entries, drafts among them', async () => {
        const { spool } = await make({ octets: 10_000, entries: 2 });
        await accept(spool, newMessage('a'));
        const draft = await spool.openDraft({ account: 'billing' });
        await expect(spool.openDraft({ account: 'billing' })).rejects.toEqual(withCode('SPOOL_FULL'));
        await draft.discard();
        await accept(spool, newMessage('b'));
        await expect(spool.openDraft({ account: 'billing' })).rejects.toEqual(withCode('SPOOL_FULL'));
        await spool.drop(id('a'));
        await accept(spool, newMessage('c'));
      });

      it('R09 is on octets, as announced and as they come', async () => {
        const { spool } = await make({ octets: 1000, entries: 10 });
        await accept(spool, newMessage('a'), contentOf('a', 600));
        await expect(spool.openDraft({ account: 'billing', expectedSize: 401 as Octets })).rejects.toEqual(withCode('SPOOL_FULL'));
        const draft = await spool.openDraft({ account: 'billing', expectedSize: 10 as Octets });
        await draft.write(contentOf('b', 400));
        await expect(draft.write(Buffer.from('x'))).rejects.toEqual(withCode('SPOOL_FULL'));
        await expect(draft.accept(newMessage('b'))).rejects.toThrow('over');
        expect((await spool.stats()).octets).toBe(600);
      });

      it('does not keep a report out', async () => {
        const { spool } = await make({ octets: 300, entries: 1 });
        await accept(spool, newMessage('a'));
        const draft = await spool.openDraft({ account: 'billing', isReport: true });
        await draft.write(contentOf('r', 500));
        await draft.accept(newMessage('r'));
        expect((await spool.stats()).entries).toBe(2);
      });
    });

    describe('leases', () => {
      it('are given to one at a time', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'));
        const found = await Promise.all(['x', 'y', 'z'].map((owner) => spool.claim(id('a'), owner, LATER)));
        expect(found.filter((lease) => lease !== undefined)).toHaveLength(1);
      });

      it('are not given on what is unknown or held', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a', { hold: HOLD }));
        expect(await spool.claim(id('a'), 'x', LATER)).toBeUndefined();
        expect(await spool.claim(id('b'), 'x', LATER)).toBeUndefined();
      });

      it('run out; the next has a higher fence, and the old one can do nothing', async () => {
        const { spool, clock } = await make();
        await accept(spool, newMessage('a'));
        const old = await claim(spool, 'a');
        await clock.advance(minutes(5));
        const lease = await claim(spool, 'a', at(minutes(10)));
        expect(lease.fence).toBeGreaterThan(old.fence);
        expect(await spool.beginTransmission(old)).toBe(false);
        expect(await spool.renew(old, at(hours(1)))).toBe(false);
        expect(await spool.settleAttempt(old, done(DELIVERED))).toBe(false);
        await spool.release(old);
        expect(await spool.claim(id('a'), 'z', LATER)).toBeUndefined();
        expect(await spool.settleAttempt(lease, done(DELIVERED))).toBe(true);
        expect(await spool.entry(id('a'))).toBeUndefined();
      });

      it('that ran out are still the newest while no other was given', async () => {
        const { spool, clock } = await make();
        await accept(spool, newMessage('a'));
        const lease = await claim(spool, 'a');
        await clock.advance(hours(1));
        expect(await spool.settleAttempt(lease, done(DELIVERED))).toBe(true);
      });

      it('can be extended', async () => {
        const { spool, clock } = await make();
        await accept(spool, newMessage('a'));
        const lease = await claim(spool, 'a');
        expect(await spool.renew(lease, at(hours(1)))).toBe(true);
        await clock.advance(minutes(30));
        expect(await spool.claim(id('a'), 'other', at(hours(2)))).toBeUndefined();
      });

      it('can be given back once', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'));
        const lease = await claim(spool, 'a');
        await spool.release(lease);
        expect(await spool.settleAttempt(lease, done(DELIVERED))).toBe(false);
        expect(await spool.beginTransmission(lease)).toBe(false);
        expect((await claim(spool, 'a')).fence).toBeGreaterThan(lease.fence);
      });
    });

    describe('attempts', () => {
      it('that end in a retry keep each recipient apart', async () => {
        const { spool } = await make();
        const forwardPaths = ['a', 'b', 'c'].map((local) => ({ address: `${local}@example.com` }));
        await accept(spool, newMessage('a', { forwardPaths }));
        const lease = await claim(spool, 'a');
        expect(await spool.beginTransmission(lease)).toBe(true);
        const outcome = { ...retry(LATER, DELIVERED, FAILED, PENDING), warnedAt: START, isAmbiguous: true };
        expect(await spool.settleAttempt(lease, outcome)).toBe(true);
        expect(await spool.entry(id('a'))).toMatchObject({
          recipients: [{ status: DELIVERED }, { status: FAILED }, { status: PENDING }],
          attempts: 1,
          nextAttemptAt: LATER,
          warnedAt: START,
          isAmbiguous: true,
        });
        const again = await claim(spool, 'a');
        await expect(spool.settleAttempt(again, retry(LATER, PENDING, FAILED, PENDING))).rejects.toBeInstanceOf(RangeError);
        await expect(spool.settleAttempt(again, done(DELIVERED, FAILED, PENDING))).rejects.toBeInstanceOf(RangeError);
        await expect(spool.settleAttempt(again, done(DELIVERED, FAILED))).rejects.toBeInstanceOf(RangeError);
        expect(await spool.settleAttempt(again, done(DELIVERED, { ...FAILED, isReported: true }, DELIVERED))).toBe(true);
        expect((await spool.stats()).entries).toBe(0);
      });

      it('can end in a hold', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'));
        await spool.settleAttempt(await claim(spool, 'a'), { statuses: [PENDING], next: { kind: 'hold', hold: HOLD } });
        expect((await spool.entry(id('a')))?.hold).toEqual(HOLD);
        expect(await spool.due('billing', LATER, 10)).toEqual([]);
      });

      it('do not lift a hold that was placed while they ran', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'));
        const lease = await claim(spool, 'a');
        expect(await spool.hold(id('a'), HOLD)).toBe(true);
        expect(await spool.settleAttempt(lease, retry(START, PENDING))).toBe(true);
        expect((await spool.entry(id('a')))?.hold).toEqual(HOLD);
      });

      it('that were begun and never settled make the entry ambiguous for the next', async () => {
        const { spool, clock } = await make();
        await accept(spool, newMessage('a'));
        await accept(spool, newMessage('b'));
        await spool.beginTransmission(await claim(spool, 'a'));
        const given = await claim(spool, 'b');
        await spool.beginTransmission(given);
        await spool.release(given);
        await clock.advance(minutes(5));
        await claim(spool, 'a', at(hours(1)));
        await claim(spool, 'b', at(hours(1)));
        expect((await spool.entry(id('a')))?.isAmbiguous).toBe(true);
        expect((await spool.entry(id('b')))?.isAmbiguous).toBe(false);
      });

      it('accept a report in the same step', async () => {
        const { spool } = await make({ octets: 200, entries: 1 });
        await accept(spool, newMessage('a'));
        const lease = await claim(spool, 'a');
        const draft = await spool.openDraft({ account: 'billing', isReport: true });
        await draft.write(contentOf('r'));
        const report = { draft, message: newMessage('r', { reversePath: '' }) };
        expect(await spool.settleAttempt(lease, done({ ...FAILED, isReported: true }), report)).toBe(true);
        expect((await list(spool.entries())).map(({ queueId }) => queueId)).toEqual([id('r')]);
        expect(await read(spool, id('r'))).toEqual(contentOf('r'));
      });

      it('accept no report under a lease that is not the newest, nor with an outcome that does not fit', async () => {
        const { spool, clock } = await make();
        await accept(spool, newMessage('a'));
        const old = await claim(spool, 'a');
        await clock.advance(minutes(6));
        const lease = await claim(spool, 'a', at(hours(1)));
        const report = async (): Promise<{ draft: Awaited<ReturnType<Spool['openDraft']>>; message: ReturnType<typeof newMessage> }> => ({
          draft: await spool.openDraft({ account: 'billing', isReport: true }),
          message: newMessage('r'),
        });
        const late = await report();
        expect(await spool.settleAttempt(old, done(FAILED), late)).toBe(false);
        await expect(late.draft.write(Buffer.from('x'))).rejects.toThrow('over');
        await expect(spool.settleAttempt(lease, done(PENDING), await report())).rejects.toBeInstanceOf(RangeError);
        expect((await list(spool.entries())).map(({ queueId }) => queueId)).toEqual([id('a')]);
      });
    });

    describe('operators', () => {
      it('hold, release, retry and drop', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a', { nextAttemptAt: LATER }));
        expect(await spool.hold(id('a'), HOLD)).toBe(true);
        expect(await spool.due('billing', LATER, 10)).toEqual([]);
        expect(await spool.unhold(id('a'))).toBe(true);
        expect(await spool.due('billing', START, 10)).toEqual([]);
        expect(await spool.due('billing', LATER, 10)).toHaveLength(1);
        await spool.hold(id('a'), HOLD);
        expect(await spool.retryNow(id('a'), START)).toBe(true);
        expect(await spool.due('billing', START, 10)).toMatchObject([{ queueId: id('a'), nextAttemptAt: START }]);
        expect((await spool.entry(id('a')))?.hold).toBeUndefined();
        expect(await spool.drop(id('a'))).toBe(true);
        expect(await spool.entry(id('a'))).toBeUndefined();
      });

      it('have a dead letter tried again for whoever has not got it and was told nothing', async () => {
        const { spool } = await make();
        const refusal = { code: 550, enhancedCode: '5.1.1', text: ['No such user'] };
        const statuses: RecipientStatus[] = [
          { kind: 'delivered', at: START, reply: { code: 250, text: ['OK'] } },
          { kind: 'failed', at: START, reply: refusal, isReported: false },
          { kind: 'failed', at: START, reply: refusal, isReported: true },
          { kind: 'expired', at: START, isReported: false },
        ];
        const forwardPaths = ['a', 'b', 'c', 'd'].map((name) => ({ address: `${name}@x.test` }));
        const hold = { ...HOLD, code: 'DEAD_LETTER' as const };
        await accept(spool, newMessage('a', { forwardPaths, statuses, hold }));
        expect(await spool.retryNow(id('a'), START)).toBe(true);
        const entry = await spool.entry(id('a'));
        expect(entry?.recipients.map(({ status }) => status)).toEqual([
          statuses[0],
          { kind: 'pending', lastReply: refusal },
          statuses[2],
          { kind: 'pending' },
        ]);
        expect(entry?.hold).toBeUndefined();
        expect(await spool.due('billing', START, 10)).toHaveLength(1);
      });

      it('are told what is not there', async () => {
        const { spool } = await make();
        const results = [spool.hold(id('x'), HOLD), spool.unhold(id('x')), spool.retryNow(id('x'), START), spool.drop(id('x'))];
        expect(await Promise.all(results)).toEqual([false, false, false, false]);
      });

      it('may drop what is being transmitted; its lease is void, its content is read to the end', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'), contentOf('a', 1_000_000));
        const lease = await claim(spool, 'a');
        const content = spool.content(id('a'))[Symbol.asyncIterator]();
        let octets = (await content.next()).value?.length ?? 0;
        await spool.drop(id('a'));
        expect(await spool.settleAttempt(lease, done(DELIVERED))).toBe(false);
        for (let next = await content.next(); next.done !== true; next = await content.next()) octets += next.value.length;
        expect(octets).toBe(1_000_000);
      });
    });

    describe('lists', () => {
      it('are in order of acceptance, by account, by hold', async () => {
        const { spool } = await make();
        for (const name of ['c', 'a', 'b']) await accept(spool, newMessage(name));
        await accept(spool, newMessage('d', { account: 'sales' }));
        await spool.hold(id('a'), HOLD);
        const names = async (filter?: Parameters<Spool['entries']>[0]): Promise<string[]> =>
          (await list(spool.entries(filter))).map(({ queueId }) => queueId);
        expect(await names()).toEqual(['c', 'a', 'b', 'd'].map(id));
        expect(await names({ account: 'sales' })).toEqual([id('d')]);
        expect(await names({ account: 'nobody' })).toEqual([]);
        expect(await names({ isHeld: true })).toEqual([id('a')]);
        expect(await names({ isHeld: false, account: 'billing' })).toEqual(['c', 'b'].map(id));
        expect(await names({ holdCode: 'HELD_BY_OPERATOR' })).toEqual([id('a')]);
        expect(await names({ holdCode: 'UPSTREAM_BLOCKED' })).toEqual([]);
      });

      it('of what is due are in order of time, then of acceptance, and leave out what is leased', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a', { nextAttemptAt: at(2000) }));
        await accept(spool, newMessage('b', { nextAttemptAt: at(1000) }));
        await accept(spool, newMessage('c', { nextAttemptAt: at(1000) }));
        await accept(spool, newMessage('d', { nextAttemptAt: at(3000) }));
        const due = async (now: number, limit = 10): Promise<string[]> =>
          (await spool.due('billing', at(now), limit)).map(({ queueId }) => queueId);
        expect(await due(2000)).toEqual(['b', 'c', 'a'].map(id));
        expect(await due(2000, 2)).toEqual(['b', 'c'].map(id));
        expect(await due(999)).toEqual([]);
        const lease = await claim(spool, 'b');
        expect(await due(2000)).toEqual(['c', 'a'].map(id));
        await spool.settleAttempt(lease, retry(at(500), PENDING));
        expect(await due(3000)).toEqual(['b', 'c', 'a', 'd'].map(id));
        expect(await spool.due('nobody', at(3000), 10)).toEqual([]);
        const others = await spool.due('billing', at(3000), 2, (queueId) => queueId === id('b') || queueId === id('a'));
        expect(others.map(({ queueId }) => queueId)).toEqual(['c', 'd'].map(id));
        expect(await due(3000)).toEqual(['b', 'c', 'a', 'd'].map(id));
      });

      it('of what is due follow leases that are given back, run out, or are on what changes meanwhile', async () => {
        const { spool, clock } = await make();
        for (const name of ['a', 'b', 'c', 'd']) await accept(spool, newMessage(name));
        const due = async (): Promise<string[]> => (await spool.due('billing', at(hours(1)), 10)).map(({ queueId }) => queueId);
        const next = async (): Promise<EpochMs | undefined> => (await spool.accounts())[0]?.nextAttemptAt;
        const lease = await claim(spool, 'a');
        for (const name of ['b', 'c', 'd']) await claim(spool, name);
        expect(await due()).toEqual([]);
        expect(await next()).toBeUndefined();
        await spool.release(lease);
        expect(await due()).toEqual([id('a')]);
        await spool.hold(id('b'), HOLD);
        await spool.retryNow(id('c'), at(7));
        await spool.drop(id('d'));
        expect(await due()).toEqual([id('a')]);
        await clock.advance(minutes(6));
        expect(await due()).toEqual(['a', 'c'].map(id));
        await spool.unhold(id('b'));
        expect(await due()).toEqual(['a', 'b', 'c'].map(id));
        expect(await next()).toBe(START);
      });

      it('of accounts count entries and holds, and name the next attempt', async () => {
        const { spool } = await make();
        expect(await spool.accounts()).toEqual([]);
        await accept(spool, newMessage('a', { nextAttemptAt: at(1000) }));
        await accept(spool, newMessage('b', { nextAttemptAt: at(2000), acceptedAt: at(1) }));
        await accept(spool, newMessage('c', { account: 'sales', hold: HOLD }));
        await claim(spool, 'a');
        expect(await spool.accounts()).toEqual([
          { account: 'billing', entries: 2, held: 0, oldestAcceptedAt: START, nextAttemptAt: at(2000) },
          { account: 'sales', entries: 1, held: 1, oldestAcceptedAt: START },
        ]);
        await spool.drop(id('c'));
        expect((await spool.accounts()).map(({ account }) => account)).toEqual(['billing']);
      });

      it('of totals count content', async () => {
        const { spool } = await make();
        await accept(spool, newMessage('a'), contentOf('a', 1234));
        await accept(spool, newMessage('b'), contentOf('b', 300_000));
        expect(await spool.stats()).toMatchObject({ entries: 2, octets: 301_234, quarantined: 0 });
        await spool.drop(id('b'));
        expect(await spool.stats()).toMatchObject({ entries: 1, octets: 1234 });
      });
    });

    it('tells of changes once they are made, until asked not to', async () => {
      const { spool, clock } = await make();
      const changes: SpoolChange[] = [];
      const stop = spool.onChange((change) => changes.push(change));
      await accept(spool, newMessage('a'));
      await spool.settleAttempt(await claim(spool, 'a'), retry(START, PENDING));
      await clock.advance(seconds(1));
      await spool.settleAttempt(await claim(spool, 'a'), done(DELIVERED));
      const change = (kind: string): unknown => ({ kind, queueId: id('a'), account: 'billing' });
      expect(changes).toEqual([change('accepted'), change('changed'), change('removed')]);
      stop();
      await accept(spool, newMessage('b'));
      expect(changes).toHaveLength(3);
    });

    it('says that there is no content of what is not there', async () => {
      const { spool } = await make();
      await expect(read(spool, id('x'))).rejects.toEqual(withCode('SPOOL_ENTRY_UNKNOWN'));
      await expect(read(spool, id('x'))).rejects.toBeInstanceOf(ProblemError);
    });
  });
}

/**
 * What every queue control owes operators (core/ports/queue-control.ts).
 *
 * @packageDocumentation
 */
import { describe, expect, it } from 'vitest';
import { hours, minutes } from '../../src/core/clock.ts';
import type { QueueControl } from '../../src/core/ports/queue-control.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import type { FakeClock } from '../support/fake-clock.ts';
import type { MemoryLog } from '../support/memory-log.ts';
import { accept, at, DELIVERED, FAILED, id, newMessage, PENDING, read, retry, START } from '../support/spool-messages.ts';

/** A queue under test, and what it works on. */
export interface QueueUnderTest {
  readonly queue: QueueControl;
  readonly spool: Spool;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
}

/** Makes a new, empty one whose clock starts at `START`. */
export type MakeQueue = () => Promise<QueueUnderTest>;

const HELD = { code: 'UPSTREAM_BLOCKED', since: at(1000), cause: 'the mailbox is blocked' } as const;
const withCode = (code: string): unknown => expect.objectContaining({ name: 'ProblemError', problem: expect.objectContaining({ code }) });

/** Three messages: one new, one that was tried for two recipients, one held and of another account. */
async function fill(spool: Spool, clock: FakeClock): Promise<void> {
  await accept(spool, newMessage(1));
  await accept(
    spool,
    newMessage(2, {
      acceptedAt: at(minutes(30)),
      forwardPaths: [{ address: 'a@example.com' }, { address: 'b@example.com' }, { address: 'c@example.com' }],
    }),
  );
  await accept(spool, newMessage(3, { acceptedAt: at(minutes(60)), account: 'scans', reversePath: '', isAmbiguous: true, hold: HELD }));
  const lease = await spool.claim(id(2), 'worker', at(minutes(60)));
  if (lease === undefined) throw new Error('no lease');
  await spool.settleAttempt(lease, retry(at(minutes(90)), PENDING, DELIVERED, FAILED));
  await clock.advance(hours(1));
}

export function queueControlContract(name: string, make: MakeQueue): void {
  describe(`queue control contract: ${name}`, () => {
    const filled = async (): Promise<QueueUnderTest> => {
      const made = await make();
      await fill(made.spool, made.clock);
      return made;
    };

    it('lists what is there, oldest first', async () => {
      const { queue } = await filled();
      const { matching, items } = await queue.list({}, 100);
      expect(matching).toBe(3);
      expect(items).toEqual([
        expect.objectContaining({ queueId: id(1), nextAttemptAt: '2026-11-23T00:00:00.000Z', attempts: 0, isAmbiguous: false }),
        {
          queueId: id(2),
          account: 'billing',
          client: 'erp',
          acceptedAt: '2026-11-23T00:30:00.000Z',
          reversePath: 'billing@contoso.com',
          messageId: '<2@contoso.com>',
          size: 200,
          recipients: [
            { address: 'a@example.com', state: 'pending', reply: { code: 451, enhancedCode: '4.3.2', text: ['Busy'] } },
            {
              address: 'b@example.com',
              state: 'delivered',
              reply: { code: 250, enhancedCode: '2.0.0', text: ['OK'] },
              at: '2026-11-23T00:00:00.000Z',
            },
            {
              address: 'c@example.com',
              state: 'failed',
              reply: { code: 550, enhancedCode: '5.1.1', text: ['No such user'] },
              at: '2026-11-23T00:00:00.000Z',
            },
          ],
          attempts: 1,
          nextAttemptAt: '2026-11-23T01:30:00.000Z',
          isAmbiguous: false,
        },
        expect.objectContaining({
          queueId: id(3),
          account: 'scans',
          reversePath: '',
          isAmbiguous: true,
          hold: {
            code: 'UPSTREAM_BLOCKED',
            since: '2026-11-23T00:00:01.000Z',
            cause: 'the mailbox is blocked',
            remedy: expect.stringMatching(/\w/),
          },
        }),
      ]);
      expect(items[2]).not.toHaveProperty('nextAttemptAt');
    });

    it.each([
      ['account', { account: 'scans' }, [3]],
      ['held', { isHeld: true }, [3]],
      ['not held', { isHeld: false }, [1, 2]],
      ['code of the hold', { code: 'UPSTREAM_BLOCKED' }, [3]],
      ['reply code', { code: '451' }, [2]],
      ['enhanced code', { code: '4.3.2' }, [2]],
      ['the code of a reply that is final', { code: '550' }, []],
      ['age', { olderThan: minutes(30) }, [1, 2]],
      ['a greater age', { olderThan: hours(1) }, [1]],
      ['all of several', { account: 'billing', code: '451', olderThan: minutes(20), isHeld: false }, [2]],
      ['an account that has none', { account: 'other' }, []],
    ])('lists by %s', async (_, filter, expected) => {
      const { queue } = await filled();
      const { matching, items } = await queue.list(filter, 100);
      expect(items.map(({ queueId }) => queueId)).toEqual(expected.map((name) => id(name)));
      expect(matching).toBe(expected.length);
    });

    it('lists no more than asked for, and says how many there are', async () => {
      const { queue } = await filled();
      const { matching, items } = await queue.list({}, 2);
      expect([matching, items.length]).toEqual([3, 2]);
    });

    it('shows one with its header section', async () => {
      const { queue, spool } = await make();
      await accept(spool, newMessage(1), Buffer.from('Subject: Grüße\r\nTo: x\r\n y\r\n\r\n..body\r\n'));
      const { items } = await queue.list({}, 1);
      expect(await queue.show(id(1))).toEqual({ ...items[0], headers: 'Subject: Grüße\r\nTo: x\r\n y\r\n\r\n', subject: 'Grüße' });
    });

    it('shows one whose header section is too large without it', async () => {
      const { queue, spool } = await make();
      await accept(spool, newMessage(1), Buffer.from(`${`X-Long: ${'x'.repeat(900)}\r\n`.repeat(80)}\r\n`));
      expect((await queue.show(id(1))).headers).toBe('');
    });

    it('exports the content octet by octet, without dot stuffing', async () => {
      const { queue, spool } = await make();
      const octets = Buffer.from(Array.from({ length: 100_000 }, (_, index) => (index % 90 === 1 ? 0x2e : 14 + (index % 240))));
      const wire = Buffer.concat([Buffer.from('Subject: x\r\n\r\n..\r\n..dot\r\n'), octets, Buffer.from('\r\n')]);
      await accept(spool, newMessage(1), wire);
      const chunks: Uint8Array[] = [];
      for await (const chunk of queue.export(id(1))) chunks.push(Buffer.from(chunk));
      const expected = Buffer.concat([Buffer.from('Subject: x\r\n\r\n.\r\n.dot\r\n'), octets, Buffer.from('\r\n')]);
      expect(Buffer.concat(chunks).equals(expected)).toBe(true);
    });

    it.each(['Q999999999999999', 'nonsense', '', '../queue', 'q000000000000001', `${id(1)}0`])('knows no message %j', async (name) => {
      const { queue } = await filled();
      const exported = async (): Promise<void> => {
        for await (const _ of queue.export(name));
      };
      await expect(queue.show(name)).rejects.toThrow(withCode('SPOOL_ENTRY_UNKNOWN'));
      await expect(exported()).rejects.toThrow(withCode('SPOOL_ENTRY_UNKNOWN'));
      expect(await queue.change('drop', { ids: [name, id(1)] })).toEqual({ changed: [id(1)], unknown: [name] });
    });

    it('makes messages due, and takes their hold away', async () => {
      const { queue, spool } = await filled();
      expect(await queue.change('retry', { ids: [id(2), id(3)] })).toEqual({ changed: [id(2), id(3)], unknown: [] });
      const due = [...(await spool.due('billing', at(hours(1)), 9)), ...(await spool.due('scans', at(hours(1)), 9))];
      expect(due.map(({ queueId, nextAttemptAt, hold }) => [queueId, nextAttemptAt, hold])).toEqual([
        [id(1), START, undefined],
        [id(2), at(hours(1)), undefined],
        [id(3), at(hours(1)), undefined],
      ]);
    });

    it('holds and releases, and leaves the time of the next attempt', async () => {
      const { queue, spool } = await filled();
      await queue.change('hold', { ids: [id(2)] });
      expect(await spool.entry(id(2))).toMatchObject({ hold: { code: 'HELD_BY_OPERATOR', since: at(hours(1)) } });
      expect(await queue.change('release', { ids: [id(2)] })).toEqual({ changed: [id(2)], unknown: [] });
      const entry = await spool.entry(id(2));
      expect([entry?.hold, entry?.nextAttemptAt]).toEqual([undefined, at(minutes(90))]);
    });

    it('drops, and the log says what was lost', async () => {
      const { queue, spool, log } = await filled();
      expect(await queue.change('drop', { ids: [id(2)] })).toEqual({ changed: [id(2)], unknown: [] });
      expect(await spool.entry(id(2))).toBeUndefined();
      expect(log.of('queue-drop')).toMatchObject([
        {
          queueId: id(2),
          account: 'billing',
          messageId: '<2@contoso.com>',
          reversePath: 'billing@contoso.com',
          forwardPaths: ['a@example.com'],
        },
      ]);
    });

    it('changes what matches, and names what is unknown', async () => {
      const { queue, spool } = await filled();
      expect(await queue.change('hold', { filter: { account: 'billing' } })).toEqual({ changed: [id(1), id(2)], unknown: [] });
      expect(await queue.change('release', { filter: { code: 'UPSTREAM_BLOCKED' } })).toEqual({ changed: [id(3)], unknown: [] });
      expect(await queue.change('drop', { ids: [id(1), id(7), id(1)] })).toEqual({ changed: [id(1)], unknown: [id(7)] });
      expect(await queue.change('drop', { filter: { account: 'nobody' } })).toEqual({ changed: [], unknown: [] });
      expect((await spool.stats()).entries).toBe(2);
    });

    it('changes a thousand at once', async () => {
      const { queue, spool } = await make();
      for (let name = 0; name < 1000; name += 1) await accept(spool, newMessage(name));
      const { changed } = await queue.change('drop', { filter: { account: 'billing' } });
      expect(new Set(changed).size).toBe(1000);
      expect((await spool.stats()).entries).toBe(0);
    });

    it('leaves content that is read while the message is dropped whole', async () => {
      const { queue, spool } = await make();
      const wire = Buffer.from(`Subject: x\r\n\r\n${'long line\r\n'.repeat(50_000)}`);
      await accept(spool, newMessage(1), wire);
      const parts: Buffer[] = [];
      for await (const part of queue.export(id(1))) {
        if (parts.length === 0) await queue.change('drop', { ids: [id(1)] });
        parts.push(Buffer.from(part));
      }
      expect(Buffer.concat(parts).equals(wire)).toBe(true);
      await expect(read(spool, id(1))).rejects.toThrow(withCode('SPOOL_ENTRY_UNKNOWN'));
    });
  });
}

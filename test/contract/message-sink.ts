/**
 * The contract of the MessageSink port, for every place that fetched mail can go to.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import type { MessageSink } from '../../src/core/ports/message-sink.ts';
import { fetched, largeMessage, ODD } from '../support/fetched-message.ts';

/** A sink and the other side of it. */
export interface SinkUnderTest {
  readonly sink: MessageSink;
  /** SHA-256, in hex, of each message that is there for whoever looks, in order. */
  readonly stored: () => Promise<readonly string[]>;
  close(): Promise<void>;
}

/** One whose other side may be slow; the file system is not. */
export interface HoldableSink extends SinkUnderTest {
  /** The other side takes nothing until the result is called. */
  readonly hold: () => () => void;
}

const MEBIBYTE = 1_048_576;
/** What sockets, pipes and the kernel may hold of a message that the other side does not take. */
const MOST_AHEAD = 24 * MEBIBYTE;
/** Of the whole process, other side included where it is in it; up to 82 MiB were seen. A sink that holds a message of 150 MiB goes beyond. */
const MOST_GROWTH = 110 * MEBIBYTE;

const sha256 = (octets: Buffer): string => createHash('sha256').update(octets).digest('hex');
const never = new AbortController().signal;

/** Closes what a test has begun. @returns Begins. */
function stage<Tested extends SinkUnderTest>(create: () => Promise<Tested>): () => Promise<Tested> {
  let tested: Tested | undefined;
  afterEach(async () => {
    await tested?.sink.close();
    await tested?.close();
  });
  return async () => {
    tested = await create();
    return tested;
  };
}

/** Run the contract. */
export function messageSinkContract(name: string, create: () => Promise<SinkUnderTest>): void {
  describe(`MessageSink contract: ${name}`, () => {
    const start = stage(create);

    it('stores exactly the octets, whatever parts they come in', async () => {
      const { sink, stored } = await start();
      const octets = [...ODD].map((octet) => Buffer.from([octet]));
      expect(await sink.deliver(fetched(octets), never)).toMatchObject({ kind: 'stored' });
      expect(await sink.deliver(fetched([ODD], { key: 'b'.repeat(40) }), never)).toMatchObject({ kind: 'stored' });
      expect(await stored()).toEqual([sha256(ODD), sha256(ODD)]);
    });

    it('shows nothing of a message that cannot be read on, and throws what the mailbox threw', async () => {
      const { sink, stored } = await start();
      const gone = new Error('the mailbox has gone');
      await expect(sink.deliver(fetched([ODD, gone]), never)).rejects.toBe(gone);
      await expect(sink.deliver(fetched([gone]), never)).rejects.toBe(gone);
      expect(await stored()).toEqual([]);
      expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
      expect(await stored()).toEqual([sha256(ODD)]);
    });

    it('shows nothing of a message that is called off, before it begins or in the middle', async () => {
      const { sink, stored } = await start();
      const before = AbortSignal.abort(new Error('stopped before'));
      await expect(sink.deliver(fetched(), before)).rejects.toThrow('stopped before');
      const ending = new AbortController();
      let count = 0;
      const { message } = largeMessage(8, () => {
        count += 1;
        if (count === 4) ending.abort(new Error('stopped in the middle'));
      });
      await expect(sink.deliver(message, ending.signal)).rejects.toThrow('stopped in the middle');
      expect(await stored()).toEqual([]);
    });

    it('ends at once when it is called off while the mailbox gives nothing', async () => {
      const { sink, stored } = await start();
      const ending = new AbortController();
      const message = fetched([ODD], {
        async *content(signal) {
          yield ODD;
          ending.abort(new Error('stopped while waiting'));
          await new Promise((_resolve, reject) => {
            if (signal.aborted) reject(signal.reason);
            signal.addEventListener('abort', () => reject(signal.reason), { once: true });
          });
        },
      });
      await expect(sink.deliver(message, ending.signal)).rejects.toThrow('stopped while waiting');
      expect(await stored()).toEqual([]);
    });

    it('stores 150 MiB in bounded memory', { timeout: 120_000 }, async () => {
      const { sink, stored } = await start();
      let most = 0;
      const { message, digest } = largeMessage(150, () => (most = Math.max(most, process.memoryUsage().rss)));
      const before = process.memoryUsage().rss;
      expect(await sink.deliver(message, never)).toMatchObject({ kind: 'stored' });
      expect(await stored()).toEqual([digest]);
      expect(most - before).toBeLessThan(MOST_GROWTH);
    });
  });
}

/** Run the contract, with what holds where the other side may be slow. */
export function slowMessageSinkContract(name: string, create: () => Promise<HoldableSink>): void {
  messageSinkContract(name, create);
  describe(`MessageSink contract: ${name}, slow`, () => {
    const start = stage(create);

    it('reads no faster than the other side takes', async () => {
      const { sink, stored, hold } = await start();
      const letGo = hold();
      const { message, digest, given } = largeMessage(64);
      const done = sink.deliver(message, never);
      for (let before = -1; before < given() || given() === 0; ) {
        before = given();
        await pause(200);
      }
      expect(given()).toBeLessThan(MOST_AHEAD);
      letGo();
      expect(await done).toMatchObject({ kind: 'stored' });
      expect(await stored()).toEqual([digest]);
    });
  });
}

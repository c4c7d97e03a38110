/** Long lines in small records: whole, in order, and one at a time. */
import { Writable } from 'node:stream';
import type { Socket } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { SmallRecords } from '../../../src/platform/small-records.ts';

/** Takes a write when it is told to, as a socket does when what was written has left. */
class SlowSocket extends Writable {
  readonly writes: string[] = [];
  #taken: (() => void) | undefined;

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: () => void): void {
    this.writes.push(chunk.toString());
    this.#taken = done;
  }

  /** @returns False where nothing is on its way. */
  take(): boolean {
    const taken = this.#taken;
    this.#taken = undefined;
    taken?.();
    return taken !== undefined;
  }
}

async function drain(socket: SlowSocket): Promise<void> {
  while (socket.take()) await new Promise((resolve) => setImmediate(resolve));
}

const on = (socket: SlowSocket): SmallRecords => new SmallRecords(socket as unknown as Socket);

it('a long line leaves in records that fit, each after the one before', async () => {
  const socket = new SlowSocket();
  const line = `p1 AUTHENTICATE XOAUTH2 ${'x'.repeat(4_000)}\r\n`;
  on(socket).write(line);
  expect(socket.writes).toHaveLength(1);
  await drain(socket);
  expect(socket.writes.join('')).toBe(line);
  expect(Math.max(...socket.writes.map((text) => text.length))).toBeLessThanOrEqual(900);
});

it('what is written before a line has left comes behind it, whole', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(fc.tuple(fc.integer({ min: 1, max: 5_000 }), fc.nat(4), fc.boolean())), async (lines) => {
      const socket = new SlowSocket();
      const records = on(socket);
      let expected = '';
      for (const [index, [length, takes, flushes]] of lines.entries()) {
        const line = `${String(index).padEnd(length, '.')}\r\n`;
        expected += line;
        records.write(line);
        for (let count = 0; count < takes; count += 1) {
          socket.take();
          await Promise.resolve();
        }
        if (flushes) records.flush();
      }
      await drain(socket);
      await drain(socket);
      expect(socket.writes.join('')).toBe(expected);
    }),
  );
});

it('nothing more is written to a socket that is gone', async () => {
  const socket = new SlowSocket();
  on(socket).write('x'.repeat(4_000));
  socket.destroy();
  await drain(socket);
  expect(socket.writes).toHaveLength(1);
});

/** Two ends of a connection in one process. */
import { describe, expect, it } from 'vitest';
import { duplexPair } from '../../../src/platform/duplex-pair.ts';

const turn = (): Promise<void> => new Promise((resolve) => void setImmediate(() => setImmediate(resolve)));

describe('a pair', () => {
  it('brings octets over, both ways, in order, and the end of each side to the other', async () => {
    const [one, other] = duplexPair();
    one.write('a');
    one.end('b');
    other.end('c');
    const all = async (side: typeof one): Promise<string> => {
      let text = '';
      for await (const chunk of side) text += String(chunk);
      return text;
    };
    expect(await Promise.all([all(one), all(other)])).toEqual(['c', 'ab']);
  });

  it('takes no more than is read', async () => {
    const [one, other] = duplexPair();
    let written = 0;
    const chunk = Buffer.alloc(16_384);
    const write = (): void => {
      one.write(chunk, () => {
        written += 1;
        if (written < 1_000) write();
      });
    };
    write();
    await turn();
    expect(written).toBeLessThan(10);
    let octets = 0;
    other.on('data', (part: Buffer) => (octets += part.length));
    await expect.poll(() => octets).toBe(1_000 * chunk.length);
  });

  it('ends at both sides when one is destroyed, and a write that waits fails', async () => {
    const [one, other] = duplexPair();
    const errors: unknown[] = [];
    one.on('error', (error) => errors.push(error));
    other.on('error', (error) => errors.push(error));
    const closed = new Promise((resolve) => one.once('close', resolve));
    for (let count = 0; count < 20; count += 1) one.write(Buffer.alloc(16_384));
    await turn();
    other.destroy();
    await closed;
    expect([one.destroyed, other.destroyed]).toEqual([true, true]);
  });
});

/**
 * Messages for sinks, without a mailbox.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { FetchedMessage } from '../../src/core/ports/message-sink.ts';

/** What is odd about mail: dots at line starts, 8 bits, NUL, an empty line at the end. */
export const ODD = Buffer.concat([
  Buffer.from('Received: from x\r\n id key; now\r\nSubject: =?utf-8?q?=C3=A9?=\r\n\r\n.\r\n..two\r\n.three\r\n'),
  Buffer.from([0x00, 0xe9, 0xff]),
  Buffer.from('\r\n\r\n'),
]);

/** @param chunks - An Error is thrown in its place. */
export function fetched(chunks: readonly (Buffer | Error)[] = [ODD], changes: Partial<FetchedMessage> = {}): FetchedMessage {
  return {
    key: 'a'.repeat(40),
    rule: 'orders',
    account: 'billing',
    mailbox: 'INBOX/Bestellungen für uns',
    uidValidity: 17n,
    uid: 7,
    receivedAt: new Date(Date.UTC(2026, 10, 23)),
    size: chunks.reduce((sum, chunk) => sum + (chunk instanceof Error ? 0 : chunk.length), 0),
    flags: ['\\Seen'],
    async *content() {
      for (const chunk of chunks) {
        if (chunk instanceof Error) throw chunk;
        yield await Promise.resolve(chunk);
      }
    },
    ...changes,
  };
}

const MEBIBYTE = Buffer.from('0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n'.repeat(16_384));

/** A message that is made while it is read. */
export interface LargeMessage {
  readonly message: FetchedMessage;
  readonly digest: string;
  /** Octets that have been asked for in the last reading. */
  readonly given: () => number;
}

/** @param onChunk - Called for each. */
export function largeMessage(mebibytes: number, onChunk: () => void = () => undefined): LargeMessage {
  const hash = createHash('sha256');
  for (let count = 0; count < mebibytes; count += 1) hash.update(MEBIBYTE);
  let given = 0;
  const message = fetched([], {
    size: mebibytes * MEBIBYTE.length,
    async *content() {
      given = 0;
      for (let count = 0; count < mebibytes; count += 1) {
        given += MEBIBYTE.length;
        onChunk();
        yield await Promise.resolve(Buffer.from(MEBIBYTE)); // Each its own memory, so that keeping them costs.
      }
    },
  });
  return { message, digest: hash.digest('hex'), given: () => given };
}

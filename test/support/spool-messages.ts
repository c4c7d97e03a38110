/**
 * Messages for tests of the spool and its users.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../src/core/clock.ts';
import type { QueueId } from '../../src/core/ids.ts';
import type { Octets } from '../../src/core/octets.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import type { AttemptOutcome, Hold, NewMessage, RecipientStatus, SpoolEntry } from '../../src/core/spool-entry.ts';

/** When the clock of these tests begins. */
export const START = Date.UTC(2026, 10, 23) as EpochMs;

export const id = (text: string | number): QueueId => `Q${String(text).padStart(15, '0')}` as QueueId;
export const at = (offset: number): EpochMs => (START + offset) as EpochMs;

/** A message from billing@contoso.com to one recipient. */
export function newMessage(name: string | number, changes: Partial<NewMessage> = {}): NewMessage {
  return {
    queueId: id(name),
    account: 'billing',
    client: 'erp',
    acceptedAt: START,
    reversePath: 'billing@contoso.com',
    parameters: { isSmtpUtf8: false, isRequireTls: false },
    forwardPaths: [{ address: 'anna@example.com' }],
    messageId: `<${name}@contoso.com>`,
    nextAttemptAt: START,
    ...changes,
  };
}

/** Content in wire form of that many octets, different for each name. */
export function contentOf(name: string | number, octets = 200): Buffer {
  const line = `Subject: message ${name}\r\n`;
  return Buffer.from(line.repeat(Math.ceil(octets / line.length)).slice(0, octets));
}

export async function accept(spool: Spool, message: NewMessage, content: Uint8Array = contentOf(message.queueId)): Promise<SpoolEntry> {
  const draft = await spool.openDraft({ account: message.account, expectedSize: content.length as Octets });
  for (let from = 0; from < content.length; from += 50_000) await draft.write(content.subarray(from, from + 50_000));
  return draft.accept(message);
}

export async function read(spool: Spool, queueId: QueueId): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of spool.content(queueId)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export async function list(entries: AsyncIterable<SpoolEntry>): Promise<SpoolEntry[]> {
  const all: SpoolEntry[] = [];
  for await (const entry of entries) all.push(entry);
  return all;
}

export const HOLD: Hold = { code: 'HELD_BY_OPERATOR', since: START, cause: 'to be looked at' };

export const PENDING: RecipientStatus = { kind: 'pending', lastReply: { code: 451, enhancedCode: '4.3.2', text: ['Busy'] } };
export const DELIVERED: RecipientStatus = { kind: 'delivered', at: START, reply: { code: 250, enhancedCode: '2.0.0', text: ['OK'] } };
export const FAILED: Extract<RecipientStatus, { kind: 'failed' }> = {
  kind: 'failed',
  at: START,
  reply: { code: 550, enhancedCode: '5.1.1', text: ['No such user'] },
  isReported: false,
};

export const done = (...statuses: RecipientStatus[]): AttemptOutcome => ({ statuses, next: { kind: 'done' } });
export const retry = (when: EpochMs, ...statuses: RecipientStatus[]): AttemptOutcome => ({ statuses, next: { kind: 'retry', at: when } });

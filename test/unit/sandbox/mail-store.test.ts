/** The sandbox's mailboxes stay within their bounds. */
import { expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import { MailStore } from '../../../src/sandbox/mailbox/mail-store.ts';

it('drops the oldest messages of any mailbox when there are too many, or too many octets', () => {
  const now = 1_000_000 as EpochMs;
  const store = new MailStore(now, { messages: 3, octets: 100 });
  const [one, other] = [store.find('a@b', 'inbox'), store.find('c@d', 'INBOX')];
  if (one === undefined || other === undefined) throw new Error('there is no INBOX');
  for (let count = 0; count < 3; count += 1) store.add(one, Buffer.alloc(10), now);
  store.add(other, Buffer.alloc(10), now);
  expect([one.list().map(({ uid }) => uid), other.list().length]).toEqual([[2, 3], 1]);
  store.add(other, Buffer.alloc(85), now);
  expect([one.list().length, other.list().map(({ uid }) => uid)]).toEqual([0, [1, 2]]);
  expect(one.uidNext).toBe(4);
});

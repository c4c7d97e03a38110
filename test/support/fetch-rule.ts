/**
 * A fetch rule for tests.
 *
 * @packageDocumentation
 */
import { minutes } from '../../src/core/clock.ts';
import type { FetchRule } from '../../src/core/fetch-rule.ts';

export const fetchRule = (changes: Partial<FetchRule> = {}): FetchRule => ({
  name: 'rule',
  account: 'billing',
  mailbox: 'INBOX',
  mode: 'idle',
  interval: minutes(1),
  start: 'all',
  filter: { isUnseen: false },
  sink: { kind: 'maildir', path: '/nowhere' },
  after: { kind: 'keep' },
  tries: 3,
  ...changes,
});

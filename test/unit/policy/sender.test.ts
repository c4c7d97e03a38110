import { expect, test } from 'vitest';
import { firstForeignSender, judgeField, judgeReversePath, mayUseSender } from '../../../src/policy/sender.ts';
import { testClient } from '../../support/accounts.ts';

const client = testClient({ senders: ['Billing@Postern.test', '*@contoso.test', '*@exämple.test'] });

test.each([
  ['billing@postern.test', true],
  ['BILLING@POSTERN.TEST', true],
  ['payroll@postern.test', false],
  ['anyone@contoso.test', true],
  ['anyone@sub.contoso.test', false],
  ['anyone@evilcontoso.test', false],
  ['a@evil.test@contoso.test', true],
  ['contoso.test', false],
  ['@contoso.test', false],
  ['x@', false],
  ['a@xn--exmple-cua.test', true],
  ['a@EXÄMPLE.test', true],
  ['*@contoso.test', true],
  ['billing@postern.test.', false],
])('%s: %s', (address, expected) => {
  expect(mayUseSender(client, address)).toBe(expected);
});

test('the null reverse-path belongs to nobody', () => {
  expect(mayUseSender(testClient({ senders: [] }), '')).toBe(true);
});

test('of several addresses in From the first that is not allowed counts, an empty one is not', () => {
  expect(firstForeignSender(client, ['billing@postern.test', 'a@contoso.test'])).toBeUndefined();
  expect(firstForeignSender(client, ['billing@postern.test', 'evil@example.test', 'worse@example.test'])).toBe('evil@example.test');
  expect(firstForeignSender(client, [''])).toBe('');
  expect(firstForeignSender(client, [])).toBeUndefined();
});

test('another sender is refused, or the mailbox takes its place', () => {
  const rewriting = testClient({ onOtherSender: { rewriteTo: 'billing@postern.test' } });
  expect(judgeReversePath(client, 'x@y.test')).toEqual({ kind: 'refused', address: 'x@y.test' });
  expect(judgeReversePath(rewriting, 'x@y.test')).toEqual({ kind: 'rewritten', address: 'x@y.test', to: 'billing@postern.test' });
  expect(judgeReversePath(rewriting, '')).toEqual({ kind: 'allowed' });
  expect(judgeField(rewriting, ['billing@postern.test', 'x@y.test'], false)).toMatchObject({ kind: 'rewritten', address: 'x@y.test' });
  expect(judgeField(rewriting, ['billing@postern.test'], false)).toEqual({ kind: 'allowed' });
});

test('a field that is malformed and names nobody counts as foreign, an absent one does not', () => {
  expect(judgeField(client, [], true)).toEqual({ kind: 'refused', address: '' });
  expect(judgeField(client, [], false)).toEqual({ kind: 'allowed' });
});

import { expect, test } from 'vitest';
import { firstForeignSender, mayUseSender } from '../../../src/policy/sender.ts';
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

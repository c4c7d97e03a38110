/**
 * Accounts and clients for tests, valid unless a test changes them.
 *
 * @packageDocumentation
 */
import type { Account, Provider } from '../../src/core/account.ts';
import type { Client } from '../../src/core/client.ts';
import { mebibytes } from '../../src/core/octets.ts';

export function testProvider(changes: Partial<Provider> = {}): Provider {
  return {
    name: 'lab',
    tokenUrl: 'http://127.0.0.1:1/tenant/oauth2/v2.0/token',
    scopes: ['https://outlook.office.com/SMTP.Send', 'offline_access'],
    applicationScopes: ['https://outlook.office365.com/.default'],
    mechanism: 'XOAUTH2',
    smtp: { host: '127.0.0.1', port: 1, tls: 'starttls' },
    limits: { connections: 3, messagesPerMinute: 30, recipientsPerDay: 10_000, maxSize: mebibytes(35), mailboxSessions: 16 },
    ...changes,
  };
}

export function testAccount(changes: Partial<Account> = {}): Account {
  return {
    name: 'billing',
    provider: testProvider(),
    mailbox: 'billing@postern.test',
    smtpUser: 'billing@postern.test',
    auth: { grant: 'refresh_token', tenant: 'tenant', clientId: 'test-client', refreshToken: 'seed-refresh-token' },
    delivery: 'direct',
    ...changes,
  };
}

export function testClient(changes: Partial<Client> = {}): Client {
  return {
    name: 'erp',
    account: 'billing',
    login: { username: 'erp', secret: { kind: 'password', password: 'local-password' } },
    networks: [],
    senders: ['billing@postern.test'],
    onOtherSender: 'refuse',
    ...changes,
  };
}

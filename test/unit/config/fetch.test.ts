import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { ConfigFolder, configOf, problemsOf } from '../../support/config-folder.ts';
import { createTestAuthority } from '../../support/test-ca.ts';
import { GOOD_ACCOUNT, GOOD_CLIENT } from './bad-configs.ts';

const folder = new ConfigFolder();
afterAll(() => folder.remove());

const env = { PATH: process.env['PATH'] ?? '' };
const load = async (rules: string) => configOf(await folder.load(`${GOOD_ACCOUNT}${GOOD_CLIENT}fetch:\n${rules}`, env));

describe('a fetch rule', () => {
  it('has a name and defaults; its paths begin at the file', async () => {
    expect((await load('  - { account: main, to: { maildir: ./mail } }\n')).fetch).toEqual([
      {
        name: 'main-INBOX',
        account: 'main',
        mailbox: 'INBOX',
        mode: 'idle',
        interval: 60_000,
        start: 'now',
        filter: { isUnseen: false },
        sink: { kind: 'maildir', path: join(folder.path, 'mail') },
        after: { kind: 'keep' },
        tries: 5,
      },
    ]);
  });

  it('says all that can be said', async () => {
    const rule = `  - name: orders
    account: main
    mailbox: Archive/Orders & more
    mode: poll
    interval: 5m
    from: 2026-11-01
    filter: { since: 2026-11-02, unseen: true, from: '@shop', subject: order, maxSize: 1MB }
    to: { directory: /srv/orders }
    then: move:Done
    tries: 2
`;
    expect((await load(rule)).fetch).toEqual([
      {
        name: 'orders',
        account: 'main',
        mailbox: 'Archive/Orders & more',
        mode: 'poll',
        interval: 300_000,
        start: Date.UTC(2026, 10, 1),
        filter: { isUnseen: true, since: Date.UTC(2026, 10, 2), from: '@shop', subject: 'order', maxSize: 1024 * 1024 },
        sink: { kind: 'directory', path: '/srv/orders' },
        after: { kind: 'move', mailbox: 'Done' },
        tries: 2,
      },
    ]);
  });

  it.each([
    ['{ lmtp: "localhost:24" }', { kind: 'lmtp', host: 'localhost', port: 24, to: ['main@contoso.com'], tls: 'none' }],
    [
      '{ smtp: "[2001:db8::1]:25", recipient: [a@example.com, b@example.com], sender: c@example.com }',
      { kind: 'smtp', host: '2001:db8::1', port: 25, to: ['a@example.com', 'b@example.com'], from: 'c@example.com', tls: 'starttls' },
    ],
    ['{ lmtp: "mail.example.com:24", recipient: a@example.com, tls: none }', { to: ['a@example.com'], tls: 'none' }],
    [
      `{ webhook: "https://example.com/hook", secret: ${'s'.repeat(32)}, format: json, timeout: 5s }`,
      { kind: 'webhook', url: 'https://example.com/hook', secret: 's'.repeat(32), format: 'json', timeoutMs: 5_000 },
    ],
    ['{ command: [sh, -c, "cat >x"] }', { kind: 'command', argv: ['sh', '-c', 'cat >x'], directory: folder.path, timeoutMs: 60_000 }],
  ])('takes messages to %s', async (to, sink) => {
    expect((await load(`  - { account: main, to: ${to} }\n`)).fetch[0]?.sink).toMatchObject(sink);
  });

  it.each([
    ['lmtp: "mail.example.com:24"', 'lmtp'],
    ['smtp: "mail.example.com:25"', 'smtp'],
    ['webhook: "https://example.com/hook"', 'webhook'],
  ])('trusts an authority of its own with %s', async (target) => {
    const { caPem } = createTestAuthority();
    folder.write('sink-ca.pem', caPem, 0o644);
    const { fetch } = await load(`  - { account: main, to: { ${target}, caFile: sink-ca.pem } }\n`);
    expect(fetch[0]?.sink).toMatchObject({ ca: caPem });
  });

  it.each([
    ['webhook: "https://example.com/hook", caFile: no.pem', 'no such file'],
    ['lmtp: "mail.example.com:24", caFile: hello.pem', 'no certificate'],
    ['maildir: m, caFile: hello.pem', 'does not go with maildir'],
  ])('is refused with %s', async (target, message) => {
    folder.write('hello.pem', 'hello', 0o644);
    const problems = problemsOf(await folder.load(`${GOOD_ACCOUNT}${GOOD_CLIENT}fetch: [{ account: main, to: { ${target} } }]\n`));
    const complaint = { path: 'fetch[0].to.caFile', message: expect.stringContaining(message) as string };
    expect(problems).toContainEqual(expect.objectContaining(complaint));
  });

  it('has a name that is fit for a file', async () => {
    const { fetch } = await load("  - { account: main, mailbox: 'Größe/../x', to: { maildir: m } }\n");
    expect(fetch[0]?.name).toBe('main-Gr-e-..-x');
  });

  it('makes the account ask for the scope of IMAP', async () => {
    const scopes = async (text: string) => configOf(await folder.load(text)).accounts[0]?.provider.scopes.join(' ');
    expect(await scopes(`${GOOD_ACCOUNT}${GOOD_CLIENT}`)).not.toContain('IMAP');
    expect(await scopes(`${GOOD_ACCOUNT}${GOOD_CLIENT}fetch: [{ account: main, to: { maildir: m } }]\n`)).toContain('IMAP');
  });
});

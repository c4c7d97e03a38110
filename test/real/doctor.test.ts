/**
 * `postern doctor` and `postern send-test` with a real authorization server, Postfix and Dovecot.
 *
 * @packageDocumentation
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Finished, postern } from '../support/process.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { BILLING, type ConfiguredRelay, configureRelay, DELEGATE } from '../support/real/postern.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const SCOPES = ['SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All'].map((name) => `https://outlook.office.com/${name}`);

interface Entry {
  readonly check: string;
  readonly result: string;
  readonly detail: string;
  readonly problem?: string;
  readonly remedy?: string;
}

describe.skipIf(notRun !== undefined)(`doctor with real servers${whyNotRun}`, () => {
  let servers: RealServers;
  let configured: ConfiguredRelay;
  let written = '';

  beforeAll(async () => {
    servers = await startRealServers();
    configured = await configureRelay(servers, { name: 'doctor' });
    // Everybody's tokens are for all three protocols.
    const config = JSON.parse(servers.folder.read('relay-doctor/postern.yaml')) as { accounts: { auth: Record<string, unknown> }[] };
    for (const { auth } of config.accounts) if (auth['grant'] === 'refresh_token') auth['scopes'] = [...SCOPES, 'offline_access'];
    servers.folder.write('relay-doctor/postern.yaml', JSON.stringify(config), 0o600);
  });
  afterAll(async () => {
    await servers?.stop();
  });

  async function run(...args: string[]): Promise<Finished> {
    const env = { POSTERN_TEST_APPLICATION_SECRET: configured.applicationSecret };
    const finished = await postern([...args, '--config', configured.file], { env }).end();
    written += finished.stdout + finished.stderr;
    return finished;
  }

  async function examine(account: string): Promise<{ code: number | null; entries: Entry[]; of: (check: string) => Entry | undefined }> {
    const { code, stdout } = await run('doctor', account, '--json');
    const entries = JSON.parse(stdout) as Entry[];
    return { code, entries, of: (name) => entries.find(({ check }) => check === name) };
  }

  it.each(['billing', 'application'])('%s: all is well, over SMTP, IMAP and POP3', async (account) => {
    const { code, entries, of } = await examine(account);
    expect(entries.filter(({ result }) => result === 'fail' || result === 'warn')).toEqual([]);
    const passed = entries.filter(({ result }) => result === 'ok').map(({ check }) => check);
    expect(passed).toEqual(
      expect.arrayContaining([
        'token-endpoint',
        'clock',
        'token',
        'smtp-tls',
        'smtp-auth',
        'smtp-sender',
        'imap-connect',
        'imap-auth',
        'pop3-connect',
        'pop3-auth',
      ]),
    );
    expect(of('imap-auth')?.detail).toMatch(/INBOX has \d+ messages/);
    expect(of('pop3-auth')?.detail).toMatch(/the mailbox has \d+ messages/);
    expect(code).toBe(0);
  });

  it('uses the stored token the second time, and submits nothing', async () => {
    const before = servers.authorization.tokenRequests.length;
    expect((await examine('billing')).of('token')?.detail).toMatch(/^stored/);
    expect(servers.authorization.tokenRequests.length).toBe(before);
    expect(await servers.countMessages(BILLING)).toBe(0);
  });

  it('replaces a stored token that the servers refuse', async () => {
    await servers.authorization.revokeAccessTokens(BILLING);
    const { code, of } = await examine('billing');
    expect(of('smtp-auth')?.detail).toContain('a fresh one was accepted');
    expect(code).toBe(0);
  });

  it('tells the protocols of a shared mailbox apart', async () => {
    // Postfix lets the delegate send as it; this Dovecot lets nobody but its owner read it.
    const { code, of } = await examine('shared');
    expect(of('smtp-auth')?.detail).toContain(DELEGATE);
    expect(of('smtp-sender')).toMatchObject({ result: 'ok' });
    expect(of('imap-auth')).toMatchObject({
      result: 'fail',
      problem: 'UPSTREAM_AUTH_REFUSED',
      remedy: expect.stringContaining('-ImapEnabled'),
    });
    expect(of('pop3-auth')).toMatchObject({
      result: 'fail',
      problem: 'UPSTREAM_AUTH_REFUSED',
      remedy: expect.stringContaining('-PopEnabled'),
    });
    expect(code).toBe(1);
  });

  it('finds the submission server gone, and all else well', async () => {
    await servers.stopSmtp();
    const { entries, code } = await examine('billing');
    await servers.startSmtp();
    expect(entries.filter(({ result }) => result === 'fail').map(({ check }) => check)).toEqual(['smtp-connect']);
    expect(code).toBe(1);
  });

  it('submits a test message that arrives', async () => {
    const { code, stdout } = await run('send-test', 'billing', 'operator@postern.test');
    expect(stdout).toMatch(/^reply {4}250 2\.0\.0 Ok: queued as/m);
    expect(code).toBe(0);
    const [stored] = await servers.readMailbox('operator@postern.test');
    expect(stored?.toString()).toMatch(/^Subject: Postern test: billing/m);
  });

  it('has written no token and no secret', () => {
    const { delegated, application, issuedTokens } = servers.authorization;
    expect(issuedTokens.length).toBeGreaterThan(4);
    expect(secretsIn(written, [delegated.clientSecret, application.clientSecret, ...issuedTokens])).toEqual([]);
  });
});

/**
 * The servers themselves, with nothing of ours in between: what the other tests rest on.
 *
 * @packageDocumentation
 */
import { writeFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { countMessages } from '../support/real/mailbox.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { arrived, KINDS, sampleMessage } from '../support/real/messages.ts';
import { runTool } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const OWNER = 'billing@postern.test';

describe.skipIf(notRun !== undefined)(`bare servers${whyNotRun}`, () => {
  let servers: RealServers;

  beforeAll(async () => {
    servers = await startRealServers();
  });
  afterAll(async () => {
    await servers?.stop();
  });

  /** curl as a client that knows OAuth; resolves with its exit code. */
  async function submitWithToken(accessToken: string, content: Buffer, to: string): Promise<number | null> {
    const file = servers.folder.file('bare.eml');
    writeFileSync(file, content);
    const args = ['--silent', '--ssl-reqd', '--cacert', servers.caFile, '--upload-file', file, '--mail-from', OWNER, '--mail-rcpt', to];
    args.push('--user', `${OWNER}:`, '--oauth2-bearer', accessToken, `smtp://localhost:${servers.smtpPort}`);
    return (await runTool('/usr/bin/curl', args)).code;
  }

  /** The answer of the token endpoint to one refresh. */
  async function refresh(refreshToken: string): Promise<Record<string, unknown>> {
    const { tokenUrl, tenant, delegated } = servers.authorization;
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: refreshToken,
      client_id: delegated.clientId,
      client_secret: delegated.clientSecret,
    });
    const response = await fetch(tokenUrl.replace('{tenant}', tenant), { method: 'POST', body, headers: { connection: 'close' } });
    return (await response.json()) as Record<string, unknown>;
  }

  it('store every kind of message octet for octet', async () => {
    const to = 'bare@postern.test';
    const accessToken = await servers.authorization.mintAccessToken(OWNER);
    const messages = KINDS.map((kind) => sampleMessage(kind, OWNER, to));
    for (const { content } of messages) expect(await submitWithToken(accessToken, content, to)).toBe(0);
    const digests = (await servers.readMailbox(to)).map((stored) => arrived(stored).digest);
    expect(digests.sort()).toEqual(messages.map(({ digest }) => digest).sort());
  });

  it('refuse an access token that was revoked, and one of another mailbox', async () => {
    const { content } = sampleMessage('a kilobyte of text', OWNER, 'bare@postern.test');
    const revoked = await servers.authorization.mintAccessToken(OWNER);
    await servers.authorization.revokeAccessTokens(OWNER);
    const foreign = await servers.authorization.mintAccessToken('printers@postern.test');
    const LOGIN_DENIED = 67;
    expect(await submitWithToken(revoked, content, 'bare@postern.test')).toBe(LOGIN_DENIED);
    expect(await submitWithToken(foreign, content, 'bare@postern.test')).toBe(LOGIN_DENIED);
    await expect(countMessages({ port: servers.imapPort, caPem: servers.caPem }, OWNER, foreign)).rejects.toThrow(/refused/);
  });

  it('rotate refresh tokens, and revoke the grant when an old one comes back', async () => {
    const seed = await servers.authorization.mintRefreshToken(OWNER);
    const second = await refresh(seed);
    expect(second['refresh_token']).not.toBe(seed);
    const third = await refresh(String(second['refresh_token']));
    expect(third['access_token']).toHaveLength(2048);
    expect(await refresh(String(second['refresh_token']))).toMatchObject({ error: 'invalid_grant' });
    expect(await refresh(String(third['refresh_token']))).toMatchObject({ error: 'invalid_grant' });
  });
});

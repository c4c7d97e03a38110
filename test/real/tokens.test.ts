/**
 * Tokens against a real authorization server that rotates refresh tokens and revokes the whole grant when an old one comes back.
 *
 * @packageDocumentation
 */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { TokenRequest } from '../support/real/authorization-server.ts';
import { eventually } from '../support/real/daemon.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { arrived, type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { APP_ADDRESS, BILLING, configureRelay, DELEGATE, LOGIN, type Relay, SHARED, startRelay } from '../support/real/postern.ts';
import { secretsIn } from '../support/real/secrets.ts';
import { type SubmissionOutcome, submit } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const HOUR = 3600;

describe.skipIf(notRun !== undefined)(`tokens from a real authorization server${whyNotRun}`, () => {
  let servers: RealServers;
  const running = new Set<Relay>();

  beforeAll(async () => {
    servers = await startRealServers();
  });
  beforeEach(async () => {
    servers?.authorization.setAccessTokenLifetime(HOUR);
    return async () => {
      for (const relay of running) await relay.kill();
      running.clear();
    };
  });
  afterAll(async () => {
    await servers?.stop();
  });

  async function start(configured: Awaited<ReturnType<typeof configureRelay>>): Promise<Relay> {
    const relay = await startRelay(configured);
    running.add(relay);
    return relay;
  }

  async function kill(relay: Relay): Promise<void> {
    running.delete(relay);
    await relay.kill();
  }

  /** `count` applications connect at the same moment, one message each. */
  async function submitTogether(
    relay: Relay,
    count: number,
    to: string,
    { username = LOGIN.username, from = BILLING } = {},
  ): Promise<{ messages: SampleMessage[]; outcomes: SubmissionOutcome[] }> {
    const messages = Array.from({ length: count }, () => sampleMessage('a kilobyte of text', from, to));
    const common = { port: relay.ports.off, tls: 'off', login: { ...LOGIN, username }, source: APP_ADDRESS, from, to: [to] } as const;
    const orders = messages.map((message) => ({ ...common, message }));
    const outcomes = await submit('smtplib', orders, { folder: servers.folder.path, caFile: servers.caFile, together: count });
    return { messages, outcomes };
  }

  async function expectDelivered(
    messages: readonly SampleMessage[],
    outcomes: readonly SubmissionOutcome[],
    to: string,
  ): Promise<string[]> {
    expect(outcomes.filter(({ code }) => code !== 250)).toEqual([]);
    const inbox = (await servers.readMailbox(to)).map(arrived);
    expect(inbox.map(({ digest }) => digest).sort()).toEqual(messages.map(({ digest }) => digest).sort());
    return inbox.map(({ trace }) => trace);
  }

  /** Requests to the token endpoint for the mailbox while `action` runs. Other accounts may get their tokens ahead of need meanwhile. */
  async function tokenRequestsDuring(action: () => Promise<void>, mailbox = BILLING): Promise<readonly TokenRequest[]> {
    const before = servers.authorization.tokenRequests.length;
    await action();
    return servers.authorization.tokenRequests.slice(before).filter((request) => request.mailbox === mailbox);
  }

  /** Access tokens live whole seconds. */
  const expiry = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1000 + 100));

  const refreshed = [{ grant: 'refresh_token', mailbox: BILLING, status: 200, error: undefined }];

  it('50 applications that connect at once with an expired access token cost one refresh', async () => {
    const configured = await configureRelay(servers, { name: 'expired' });
    const first = await start(configured);
    servers.authorization.setAccessTokenLifetime(3);
    const warmUp = await submitTogether(first, 1, 'expired-first@postern.test');
    await expectDelivered(warmUp.messages, warmUp.outcomes, 'expired-first@postern.test');
    await kill(first);
    await expiry(3);
    servers.authorization.setAccessTokenLifetime(HOUR);

    const second = await start(configured);
    const requests = await tokenRequestsDuring(async () => {
      const { messages, outcomes } = await submitTogether(second, 50, 'expired@postern.test');
      await expectDelivered(messages, outcomes, 'expired@postern.test');
    });
    expect(requests).toEqual(refreshed);
  }, 120_000);

  it('50 applications that connect at once with an access token that the mail server refuses cost one refresh', async () => {
    const relay = await start(await configureRelay(servers, { name: 'refused' }));
    const first = await submitTogether(relay, 1, 'refused-first@postern.test');
    await expectDelivered(first.messages, first.outcomes, 'refused-first@postern.test');
    await servers.authorization.revokeAccessTokens(BILLING);
    await servers.stopSmtp();
    await servers.startSmtp();

    const requests = await tokenRequestsDuring(async () => {
      const { messages, outcomes } = await submitTogether(relay, 50, 'refused-token@postern.test');
      await expectDelivered(messages, outcomes, 'refused-token@postern.test');
    });
    expect(requests).toEqual(refreshed);
  }, 120_000);

  it('the newest refresh token is on disk before it is needed: kill -9 loses no grant', async () => {
    const configured = await configureRelay(servers, { name: 'killed' });
    for (let round = 1; round <= 5; round += 1) {
      const to = `killed-${round}@postern.test`;
      const relay = await start(configured);
      const requests = await tokenRequestsDuring(async () => {
        const { messages, outcomes } = await submitTogether(relay, 1, to);
        await kill(relay);
        await expectDelivered(messages, outcomes, to);
      });
      // A refresh token older than the newest would have been answered with invalid_grant, and the grant would be gone.
      expect(requests).toEqual(refreshed);
      // The access token that the next round finds on disk is no good any more.
      await servers.authorization.revokeAccessTokens(BILLING);
    }
  }, 120_000);

  it('keeps an access token that still lives across a restart', async () => {
    const configured = await configureRelay(servers, { name: 'restarted' });
    const requests = await tokenRequestsDuring(async () => {
      for (const to of ['restarted-1@postern.test', 'restarted-2@postern.test']) {
        const relay = await start(configured);
        const { messages, outcomes } = await submitTogether(relay, 1, to);
        await expectDelivered(messages, outcomes, to);
        running.delete(relay);
        expect(await relay.stop()).toBe(0);
      }
    });
    expect(requests).toEqual(refreshed);
  }, 60_000);

  it('keeps tokens encrypted, in files that only their owner may read', async () => {
    const relay = await start(await configureRelay(servers, { name: 'sealed' }));
    const { messages, outcomes } = await submitTogether(relay, 1, 'sealed@postern.test');
    await expectDelivered(messages, outcomes, 'sealed@postern.test');
    const files = readdirSync(relay.stateDir, { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile());
    expect(files.length).toBeGreaterThan(0);
    const paths = files.map(({ parentPath, name }) => join(parentPath, name));
    expect(paths.filter((path) => (statSync(path).mode & 0o077) !== 0)).toEqual([]);
    const stored = paths.map((path) => readFileSync(path, 'latin1')).join('\n');
    expect(secretsIn(stored, servers.authorization.issuedTokens)).toEqual([]);
  }, 60_000);

  it('an application signs in as itself: client_credentials', async () => {
    const { applicationMailbox } = servers.authorization;
    const relay = await start(await configureRelay(servers, { name: 'application' }));
    const requests = await tokenRequestsDuring(async () => {
      const { messages, outcomes } = await submitTogether(relay, 3, 'application@postern.test', {
        username: 'batch',
        from: applicationMailbox,
      });
      const traces = await expectDelivered(messages, outcomes, 'application@postern.test');
      for (const trace of traces) expect(trace).toContain(`(Authenticated sender: ${applicationMailbox})`);
    }, applicationMailbox);
    expect(requests.map(({ grant, status }) => `${grant} ${status}`)).toEqual(['client_credentials 200']);
  }, 60_000);

  it('a delegate submits for a shared mailbox', async () => {
    const relay = await start(await configureRelay(servers, { name: 'shared' }));
    const { messages, outcomes } = await submitTogether(relay, 1, 'for-shared@postern.test', { username: 'shared', from: SHARED });
    const traces = await expectDelivered(messages, outcomes, 'for-shared@postern.test');
    expect(traces[0]).toContain(`Return-Path: <${SHARED}>`);
    expect(traces[0]).toContain(`(Authenticated sender: ${DELEGATE})`);
  }, 60_000);

  it('goes on by itself when the token endpoint comes back', async () => {
    const relay = await start(await configureRelay(servers, { name: 'outage' }));
    await servers.authorization.stop();
    const during = await submitTogether(relay, 1, 'outage@postern.test');
    await servers.authorization.start();
    expect(during.outcomes[0]).toMatchObject({ code: 451, text: expect.stringMatching(/^4\.7\.\d/) });
    const sent: SampleMessage[] = [];
    const hasHealed = await eventually(async () => {
      const { messages, outcomes } = await submitTogether(relay, 1, 'outage@postern.test');
      if (outcomes[0]?.code !== 250) return false;
      sent.push(...messages);
      return true;
    }, 60_000);
    expect(hasHealed).toBe(true);
    const inbox = await servers.readMailbox('outage@postern.test');
    expect(inbox.map((stored) => arrived(stored).id)).toEqual(sent.map(({ id }) => id));
  }, 120_000);
});

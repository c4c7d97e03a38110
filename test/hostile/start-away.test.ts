/** A relay that is started while nothing else is there: neither the provider, nor its token endpoint, nor a name for it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from '../support/free-port.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { postern, type RunningProcess } from '../support/process.ts';
import { submit } from '../support/submit.ts';

const closers: (() => Promise<void> | void)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

const MAILBOX = 'billing@sandbox.test';

describe('X05 a relay that is started while everything else is away', () => {
  it('listens, defers or queues, and recovers by itself once it is there', { timeout: 120_000 }, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-start-'));
    closers.push(() => rmSync(folder, { recursive: true, force: true }));
    const ports = { http: await freePort(), smtp: await freePort() };
    const begin = (): Promise<Sandbox> =>
      startSandbox({ clock: systemClock, random: systemRandom, log: new MemoryLog(), stateDir: join(folder, 'provider'), ports });
    const first = await begin();
    writeFileSync(join(folder, 'ca.pem'), first.caPem);
    const refreshToken = first.mint.refreshToken(MAILBOX);
    const { tokenUrl, smtp, tenant, clientId, clientSecret } = first;
    await first.close();

    const port = await freePort();
    const provider = { extends: 'sandbox', tokenUrl, caFile: './ca.pem', limits: { messagesPerMinute: 1000 } };
    const auth = { grant: 'refresh_token', tenant, clientId, clientSecret, refreshToken };
    const account = (name: string, delivery: string, of: string): object => ({ name, provider: of, mailbox: MAILBOX, delivery, auth });
    const client = (name: string): object => ({ name, username: name, password: 'local-password', account: name });
    const document = {
      listeners: { smtp: [{ port }] },
      state: { dir: './var' },
      providers: {
        away: { ...provider, smtp: { ...smtp, tls: 'starttls' } },
        // RFC 6761 §6.4: there is never such a name.
        nameless: { ...provider, smtp: { host: 'mail.invalid', port: 587, tls: 'starttls' } },
      },
      accounts: [account('direct', 'direct', 'away'), account('queued', 'queue', 'away'), account('nameless', 'direct', 'nameless')],
      clients: [client('direct'), client('queued'), client('nameless')],
      log: { format: 'json' },
    };
    writeFileSync(join(folder, 'postern.yaml'), JSON.stringify(document), { mode: 0o600 });
    const relay: RunningProcess = postern(['serve', '--config', join(folder, 'postern.yaml')]);
    closers.push(async () => void (await relay.end('SIGKILL')));
    await relay.until(/"event":"listener-opened"/);

    const send = (account: string): Promise<{ code: number; response: string }> =>
      submit({ port, login: { user: account, pass: 'local-password' }, from: MAILBOX, content: `Subject: ${account}\r\n\r\nx\r\n` });
    const [direct, queued, nameless] = await Promise.all([send('direct'), send('queued'), send('nameless')]);
    expect([direct.code, direct.response]).toEqual([451, expect.stringMatching(/^451 4\.[47]\./)]);
    expect([nameless.code, nameless.response]).toEqual([451, expect.stringMatching(/^451 4\.[47]\./)]);
    expect(queued.code).toBe(250);

    const back = await begin();
    closers.push(() => back.close());
    const subjects = (): string[] => back.messages.list().map(({ subject }) => subject);
    await expect.poll(subjects, { timeout: 90_000, interval: 200 }).toContain('queued');
    // Each account waits on its own before it asks the token endpoint again; `direct` may still wait when `queued` does not.
    const again = async (): Promise<number> => (await send('direct')).code;
    await expect.poll(again, { timeout: 90_000, interval: 200 }).toBe(250);
    expect(subjects().sort()).toEqual(['direct', 'queued']);
    expect(relay.child.exitCode).toBeNull();
    expect((await relay.end('SIGTERM')).code).toBe(0);
  });
});

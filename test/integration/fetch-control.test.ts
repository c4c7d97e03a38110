/** `postern fetch`, its API and a changed configuration, on a relay that runs. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { FetchView } from '../../src/core/ports/fetch-control.ts';
import { postern } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const MAILBOX = 'billing@sandbox.test';
const RULE = 'billing-INBOX';

let relay: RelayOnSandbox | undefined;

afterEach(async () => {
  await relay?.close();
  relay = undefined;
});

const start = async (...rules: readonly object[]): Promise<RelayOnSandbox> => {
  relay = await startRelayOnSandbox({ fetch: rules });
  return relay;
};
const command = async ({ folder }: RelayOnSandbox, ...args: readonly string[]) =>
  postern(['fetch', ...args, '--json', '--config', join(folder, 'postern.yaml')]).end();
const views = async (here: RelayOnSandbox, ...args: readonly string[]): Promise<FetchView[]> => {
  const { code, stdout, stderr } = await command(here, ...args);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as FetchView[];
};
const deliver = async ({ port }: RelayOnSandbox): Promise<void> => {
  expect((await submit({ port, login: LOGIN, from: MAILBOX, to: MAILBOX })).code).toBe(250);
};
const fetched = (here: RelayOnSandbox, count: number): Promise<void> =>
  expect.poll(() => here.log.of('message-fetched').length, { timeout: 20_000 }).toBe(count);

describe('postern fetch', () => {
  it('lists, pauses, resumes, runs and resets', async () => {
    const here = await start({ account: 'billing', from: 'all', to: { directory: './mail' } });
    await deliver(here);
    await fetched(here, 1);
    expect(await views(here, 'list')).toMatchObject([
      {
        name: RULE,
        account: 'billing',
        mailbox: 'INBOX',
        sink: `directory ${join(here.folder, 'mail')}`,
        lastUid: 1,
        fetched: 1,
        held: 0,
        owed: 0,
        aside: [],
        asideCount: 0,
        isPaused: false,
        lagSeconds: expect.any(Number),
      },
    ]);

    await views(here, 'pause', RULE);
    await expect.poll(async () => (await views(here, 'list'))[0]?.state, { timeout: 20_000 }).toBe('paused');
    await here.restart();
    expect((await views(here, 'list'))[0]?.state).toBe('paused');
    await deliver(here);
    await views(here, 'resume', RULE);
    await fetched(here, 2);
    expect(await views(here, 'run', RULE)).toMatchObject([{ name: RULE }]);

    expect((await command(here, 'reset', RULE)).code).toBe(2);
    await views(here, 'reset', RULE, '--yes');
    await fetched(here, 4);
    // The same keys again: what came before was replaced.
    expect(readdirSync(join(here.folder, 'mail'))).toHaveLength(4);
  });

  it('says that there is no such rule, and what to do', async () => {
    const to = { maildir: './mail' };
    const here = await start({ account: 'billing', to }, { name: 'orders_in.1', account: 'billing', to });
    for (const name of ['nobody', 'no/body']) {
      const { code, stdout } = await command(here, 'run', name);
      expect(code).toBe(1);
      expect(stdout).toContain(`there is no fetch rule ${name}`);
    }
    expect(await views(here, 'run', 'orders_in.1')).toMatchObject([{ name: 'orders_in.1' }]);
    const list = await postern(['fetch', 'list', '--config', join(here.folder, 'postern.yaml')]).end();
    expect(list.stdout).toContain(RULE);
  });
});

describe('a mailbox that does not exist', () => {
  it('is in the list with its problem, and other rules go on', async () => {
    const to = { maildir: './mail' };
    const here = await start({ account: 'billing', from: 'all', to }, { name: 'lost', account: 'billing', mailbox: 'Nowhere', to });
    await deliver(here);
    await fetched(here, 1);
    await expect.poll(() => here.log.of('fetch-failed').length, { timeout: 20_000 }).toBeGreaterThan(0);
    expect((await views(here, 'list')).find(({ name }) => name === 'lost')).toMatchObject({
      state: 'backing-off',
      problem: { code: 'UPSTREAM_MAILBOX_CLOSED', cause: expect.stringContaining('127.0.0.1'), remedy: expect.stringMatching(/\w/) },
      nextAttemptAt: expect.stringMatching(/Z$/),
    });
  });
});

/** Mail is fetched through the whole relay with the sandbox as provider. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const LOGIN = { user: 'erp', pass: 'local-pässword 1' };
const MAILBOX = 'billing@sandbox.test';

let relay: RelayOnSandbox | undefined;

afterEach(async () => {
  await relay?.close();
  relay = undefined;
});

const start = async (rule: object, changes: object = {}): Promise<RelayOnSandbox> => {
  relay = await startRelayOnSandbox({ fetch: [{ account: 'billing', to: { maildir: './mail' }, ...rule }], ...changes });
  return relay;
};

const deliver = async ({ port }: RelayOnSandbox, subject: string): Promise<void> => {
  const content = `From: <${MAILBOX}>\r\nTo: <${MAILBOX}>\r\nSubject: ${subject}\r\n\r\nbody of ${subject}\r\n`;
  expect((await submit({ port, login: LOGIN, from: MAILBOX, to: MAILBOX, content })).code).toBe(250);
};

const files = ({ folder }: RelayOnSandbox): string[] => {
  try {
    return readdirSync(join(folder, 'mail', 'new'));
  } catch {
    return []; // Not made yet.
  }
};
const subjects = (here: RelayOnSandbox): string[] =>
  files(here)
    .map((name) => /^Subject: (.*)\r$/m.exec(readFileSync(join(here.folder, 'mail', 'new', name), 'latin1'))?.[1] ?? name)
    .toSorted();

const events = (name: string): number => relay?.log.of(name).length ?? 0;
const until = async (what: () => unknown, expected: unknown): Promise<void> =>
  expect.poll(what, { timeout: 20_000, interval: 20 }).toEqual(expected);

describe('fetching on the sandbox', () => {
  it('brings what arrives to a maildir, behind one trace field, and goes on after a restart where it stopped', async () => {
    const here = await start({});
    await until(() => events('fetch-begun'), 1);
    await deliver(here, 'one');
    await deliver(here, 'two');
    await until(() => subjects(here), ['one', 'two']);
    const [name = ''] = files(here);
    const content = readFileSync(join(here.folder, 'mail', 'new', name), 'latin1');
    expect(content).toMatch(
      /^Received: from 127\.0\.0\.1 \(mailbox INBOX of account billing\)\r\n by \S+ \(Postern, fetch rule billing-INBOX\) with IMAP\r\n id [0-9a-f]{40}; [^\r]+\r\n(?! )/,
    );
    expect(name).toContain(/ id ([0-9a-f]{40});/.exec(content)?.[1] ?? '-');

    await here.restart();
    await deliver(here, 'three');
    await until(() => subjects(here), ['one', 'three', 'two']);
    expect(files(here)).toHaveLength(3);
  });

  it('deletes what it has fetched where the rule says so', async () => {
    // `then` is a word of ours here, not a promise.
    // oxlint-disable-next-line unicorn/no-thenable
    const here = await start({ then: 'delete', from: 'all', mode: 'poll', interval: '200ms' });
    await deliver(here, 'gone');
    await until(() => subjects(here), ['gone']);
    await until(() => here.log.of('fetch-change-failed'), []);
  });
});

/** A wall clock that jumps under a relay that runs: by libfaketime, which the process, its TLS library and its timers cannot tell from the kernel. */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { afterEach, expect, it, type TestContext } from 'vitest';
import { mailboxOf, PASSWORD, RelayLab } from '../campaign/relay-lab.ts';
import { ensurePackages } from '../support/real/packages.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const HOURS = 3_600;
const YEARS = 365 * 24 * HOURS;

let lab: RelayLab | undefined;
afterEach(async () => lab?.close());

/** Where Debian has it, on any architecture. */
async function libfaketime(context: TestContext): Promise<string> {
  const obstacle = await ensurePackages(['libfaketime']);
  if (obstacle !== undefined) context.skip(`not run: ${obstacle}`);
  const found = readdirSync('/usr/lib')
    .map((folder) => join('/usr/lib', folder, 'faketime/libfaketimeMT.so.1'))
    .find((path) => existsSync(path));
  if (found === undefined) throw new Error('libfaketime is installed, and not where Debian has it');
  return found;
}

async function submit(port: number, subject: string): Promise<string> {
  const talk = SmtpTalk.plain(port);
  try {
    await talk.reply();
    await talk.ask('EHLO app.test');
    await talk.ask(`AUTH PLAIN ${Buffer.from(`\0a0\0${PASSWORD}`).toString('base64')}`);
    for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<a@example.test>', 'DATA']) {
      const answer = await talk.ask(command);
      if (!/^[23]/.test(answer)) return answer;
    }
    return await talk.ask(`Subject: ${subject}\r\n\r\nx\r\n.`);
  } finally {
    talk.destroy();
  }
}

it('N07 two hours and ten years ahead cost one token each, return no message and start no storm', { timeout: 180_000 }, async (context) => {
  const library = await libfaketime(context);
  lab = await RelayLab.open({ accounts: 1, mode: 'auto' });
  const { sandbox } = lab;
  sandbox.faults.token.accessTokenLifetimeSeconds = 3_600;
  const offset = join(lab.folder, 'offset');
  const jump = (seconds: number): void => writeFileSync(offset, `+${seconds}\n`);
  const received = (): string[] => sandbox.messages.list().map(({ subject }) => subject);
  const tokens = (): number => sandbox.statistics.token.requests.client_credentials;

  jump(0);
  const env = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: offset,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
    DONT_FAKE_MONOTONIC: '1',
  };
  const { port } = await lab.start({ env });
  expect(await submit(port, 'before')).toMatch(/^250 /);
  const atFirst = tokens();
  sandbox.faults.submission.next.push({ stage: 'rcpt', kind: 'reply', reply: '450 4.2.1 Mailbox busy', times: 1_000 });
  const waiting = Array.from({ length: 8 }, (_, index) => `waiting ${index}`);
  for (const subject of waiting) expect(await submit(port, subject)).toMatch(/^250 2\.0\.0 Queued/);
  const deferred = lab.logged('message-deferred');
  expect(deferred).toBeGreaterThan(0);

  jump(2 * HOURS);
  expect(await submit(port, 'two hours later')).toMatch(/^250 2\.0\.0 Queued/);
  await pause(4_000);
  // The new message was tried; those that wait have half a minute to go, whatever the wall says.
  expect(lab.logged('message-deferred') - deferred).toBeLessThanOrEqual(2);
  expect(tokens()).toBe(atFirst + 1);

  jump(10 * YEARS);
  // By now the certificate of the provider has long ended.
  expect(await submit(port, 'ten years later')).toMatch(/^250 2\.0\.0 Queued/);
  await pause(4_000);
  expect(tokens()).toBeLessThanOrEqual(atFirst + 2);
  for (const event of ['message-given-up', 'message-reported', 'message-bounced', 'crashed'])
    expect([event, lab.logged(event)]).toEqual([event, 0]);
  expect(received()).toEqual(['before']);

  sandbox.faults.submission.next.length = 0;
  await lab.stop();
  await lab.start();
  const all = ['before', ...waiting, 'two hours later', 'ten years later'];
  while (received().length < all.length) await pause(100);
  expect(received().sort()).toEqual(all.sort());
  await lab.stop();
});

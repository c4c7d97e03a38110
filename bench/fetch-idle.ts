/**
 * From a mailbox into a Maildir: how long after the mail server has a new message the file is there, synced.
 *
 * `postern serve` from dist (npm run build) with one rule on IDLE, in front of Debian's Dovecot, which waits half a second for more changes before it tells
 * of one: that is in the figure.
 *
 *     node --import tsx bench/fetch-idle.ts [--messages 100]
 */
import { watch } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { cpus } from 'node:os';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { appendMessages } from '../test/support/real/mailbox.ts';
import { startRealServers } from '../test/support/real/mail-servers.ts';
import { ensurePackages } from '../test/support/real/packages.ts';
import { BILLING, configureRelay, startRelay } from '../test/support/real/postern.ts';

const { values } = parseArgs({ options: { messages: { type: 'string', default: '100' } } });
const count = Number(values.messages);
const reason = await ensurePackages();
if (reason !== undefined) throw new Error(reason);

const servers = await startRealServers();
const maildir = servers.folder.file('fetched');
await mkdir(`${maildir}/new`, { recursive: true });
const relay = await startRelay(
  await configureRelay(servers, { name: 'fetch-idle', fetch: [{ account: 'billing', to: { maildir }, from: 'now' }] }),
);
while (!relay.log().some(({ event }) => event === 'fetch-begun')) await pause(50);
await pause(1_000);

const put = async (number: number): Promise<number> => {
  const token = await servers.authorization.mintAccessToken(BILLING);
  const content = Buffer.from(`Subject: ${number}\r\n\r\n${'x'.repeat(2_000)}\r\n`);
  await appendMessages({ port: servers.imapPort, caPem: servers.caPem }, BILLING, token, [content]);
  return performance.now();
};

const fetched: number[] = [];
for (let number = 0; number < count; number += 1) {
  const arrived = new Promise<number>((resolve) => {
    const watcher = watch(`${maildir}/new`, () => {
      watcher.close();
      resolve(performance.now());
    });
  });
  const began = await put(number);
  fetched.push((await arrived) - began);
  await pause(Math.random() * 300);
}
const sorted = fetched.toSorted((one, other) => one - other);
console.log(`${count} messages, Node ${process.version}, ${cpus().length} cores`);
console.log(`in the Maildir after: median ${Math.round(sorted[count >> 1] ?? 0)} ms, most ${Math.round(sorted.at(-1) ?? 0)} ms`);
await relay.stop();
await servers.stop();

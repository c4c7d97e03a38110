/** A relay, as a process, in surroundings that are against it: few file descriptors, nobody who reads its output, another process on its queue. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { mailboxOf, PASSWORD, RelayLab } from '../campaign/relay-lab.ts';
import { freePort } from '../support/free-port.ts';
import { postern } from '../support/process.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

let lab: RelayLab;
beforeEach(async () => {
  lab = await RelayLab.open({ accounts: 1, mode: 'queue' });
}, 60_000);
afterEach(() => lab.close());

async function signIn(port: number): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(port);
  await talk.reply();
  await talk.ask('EHLO app.test');
  expect(await talk.ask(`AUTH PLAIN ${Buffer.from(`\0a0\0${PASSWORD}`).toString('base64')}`)).toMatch(/^235 /);
  return talk;
}

async function submit(talk: SmtpTalk, subject: string): Promise<string> {
  for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<a@example.test>', 'DATA']) {
    const answer = await talk.ask(command);
    if (!/^[23]/.test(answer)) return answer;
  }
  return talk.ask(`Subject: ${subject}\r\n\r\nx\r\n.`);
}

async function submitAlone(port: number, subject: string): Promise<string> {
  const talk = await signIn(port);
  const answer = await submit(talk, subject);
  talk.destroy();
  return answer;
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => void setTimeout(resolve, ms));
const received = (): string[] => lab.sandbox.messages.list().map(({ subject }) => subject);

async function untilReceived(...subjects: string[]): Promise<void> {
  while (!subjects.every((subject) => received().includes(subject))) await pause(20);
}

describe('few file descriptors', () => {
  // Node itself begins with some 20. Just enough to open the listeners is too few, too: nobody would be accepted.
  it.each([22, 32, 40])('%i from the start are too few: it ends at once, and says so', { timeout: 60_000 }, async (count) => {
    await expect(lab.start({ through: ['prlimit', `--nofile=${count}:${count}`] })).rejects.toThrow(/FILES_TOO_FEW.*EMFILE.*LimitNOFILE/s);
  });

  it('64 from the start are enough', { timeout: 60_000 }, async () => {
    const { port } = await lab.start({ through: ['prlimit', '--nofile=64:64'] });
    expect(await submitAlone(port, 'one')).toMatch(/^250 /);
    await untilReceived('one');
    await lab.stop();
  });

  it('64 while it runs: more connections than that do it no harm, and what it accepted arrives', { timeout: 60_000 }, async () => {
    const { port } = await lab.start();
    execFileSync('prlimit', ['--pid', String(lab.pid), '--nofile=64:64']);
    expect(await submitAlone(port, 'before')).toMatch(/^250 /);
    await untilReceived('before');
    const inside = await signIn(port);
    const crowd = Array.from({ length: 200 }, () => SmtpTalk.plain(port));
    await pause(500);
    const answer = await submit(inside, 'in the crowd');
    expect(answer).toMatch(/^(?:250|45\d) /);
    for (const talk of crowd) talk.destroy();
    let last = '';
    for (let tries = 0; tries < 100 && !last.startsWith('250'); tries += 1) {
      last = await submitAlone(port, 'after').catch((error: unknown) => String(error));
      if (!last.startsWith('250')) await pause(50);
    }
    expect(last).toMatch(/^250 /);
    const accepted = ['before', 'after', ...(answer.startsWith('250') ? ['in the crowd'] : [])];
    await untilReceived(...accepted);
    expect(received().sort()).toEqual(accepted.sort());
    inside.destroy();
    await lab.stop();
  });
});

describe('an output that nobody reads', () => {
  it('any more: the relay goes on', { timeout: 60_000 }, async () => {
    const { port } = await lab.start();
    expect(await submitAlone(port, 'before')).toMatch(/^250 /);
    lab.closeOutput();
    for (const subject of ['one', 'two', 'three']) expect(await submitAlone(port, subject)).toMatch(/^250 /);
    await untilReceived('before', 'one', 'two', 'three');
    await lab.stop();
  });

  it('from the start, since it is closed: the relay starts, and its log does not end up in a file of its own', {
    timeout: 60_000,
  }, async () => {
    const { port } = await lab.start({ through: ['sh', '-c', 'exec "$@" >&- 2>&-', 'sh'] });
    expect(await submitAlone(port, 'one')).toMatch(/^250 /);
    await untilReceived('one');
    await lab.stop();
    const { port: again } = await lab.start();
    expect(await submitAlone(again, 'two')).toMatch(/^250 /);
    await untilReceived('one', 'two');
    expect(lab.logged('spool-quarantined')).toBe(0);
    await lab.stop();
  });
});

describe('D11 a second process on the same queue', () => {
  it('ends with an error and does no harm; after a SIGKILL of the first it starts', { timeout: 60_000 }, async () => {
    const { port } = await lab.start();
    expect(await submitAlone(port, 'one')).toMatch(/^250 /);
    const second = join(lab.folder, 'second.yaml');
    writeFileSync(second, lab.configText.replaceAll(`"port":${port}`, `"port":${await freePort()}`));
    const { code, stdout, stderr } = await postern(['serve', '--config', second]).end();
    expect(code).not.toBe(0);
    expect(stdout + stderr).toContain('SPOOL_LOCKED');
    expect(await submitAlone(port, 'two')).toMatch(/^250 /);
    await untilReceived('one', 'two');
    await lab.kill();
    const { port: again } = await lab.start();
    expect(await submitAlone(again, 'three')).toMatch(/^250 /);
    await untilReceived('three');
    // A kill between the answer of the provider and the note of it sends a message once more.
    expect([...new Set(received())].sort()).toEqual(['one', 'three', 'two']);
    await lab.stop();
  });
});

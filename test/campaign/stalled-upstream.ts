/**
 * Applications that submit 25 MB each while the provider has stopped reading: what of it the relay holds in memory, and whether it takes mail again once the provider
 * is back.
 *
 * Each application has an upstream connection of its own, so each one's content is on its way at the same time; direct delivery writes nothing to the disk.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import { FaultProxy } from '../support/fault-proxy.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const MEBIBYTE = 1024 * 1024;
const CONTENT_OCTETS = 25 * MEBIBYTE;
const CONNECTIONS = 3;
/** Octets of a connection upstream that the provider reads: beyond handshake and envelope. */
const READ_UPSTREAM = 20_000;
/** Nothing has moved for so long: everything is full. In ms. */
const QUIET = 2_000;
const HOLD = 5_000;
const MEMORY_MB = 512;

const LINES = Buffer.from('An ordinary line of text that is long enough to look like one.\r\n'.repeat(1_000));

/** One application. */
class App {
  sent = 0;
  answer = '';
  isInContent = false;
  readonly #talk: SmtpTalk;
  readonly #account: string;

  constructor(port: number, account: string) {
    this.#talk = SmtpTalk.plain(port);
    this.#account = account;
  }

  /** Submit as much as is taken. Resolves with the last answer. */
  async submit(octets: number): Promise<string> {
    this.answer = await this.#submit(octets);
    this.#talk.destroy();
    return this.answer;
  }

  async #submit(octets: number): Promise<string> {
    const talk = this.#talk;
    const login = Buffer.from(`\0${this.#account}\0${PASSWORD}`).toString('base64');
    await talk.reply();
    for (const command of [
      'EHLO app.test',
      `AUTH PLAIN ${login}`,
      `MAIL FROM:<${mailboxOf(this.#account)}>`,
      'RCPT TO:<a@example.test>',
      'DATA',
    ]) {
      const answer = await talk.ask(command);
      if (!/^[23]/.test(answer)) return answer;
    }
    this.isInContent = true;
    const replied = talk.reply();
    let isAnswered = false;
    const answered = replied.then(() => {
      isAnswered = true;
    });
    talk.send('Subject: large\r\n\r\n');
    while (this.sent < octets && !isAnswered) {
      this.sent += LINES.length;
      if (!talk.socket.write(LINES)) await Promise.race([new Promise((resolve) => talk.socket.once('drain', resolve)), answered]);
    }
    if (!isAnswered) talk.send('.\r\n');
    return replied;
  }
}

/** With `count` applications. */
export async function runStalledUpstream({ count, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const lab = await RelayLab.open({ accounts: Math.ceil(count / CONNECTIONS), mode: 'direct' });
  const proxy = await FaultProxy.open(lab.sandbox.smtp.port);
  try {
    const { port } = await lab.start({ smtpPort: proxy.port });
    const idle = lab.memory();
    proxy.plan = () => ({ direction: 'up', after: READ_UPSTREAM, manner: 'stall' });
    const apps = Array.from({ length: count }, (_, index) => new App(port, lab.accounts[index % lab.accounts.length] ?? ''));
    const submitted = Promise.all(apps.map((app) => app.submit(CONTENT_OCTETS)));
    await untilStalled(apps, print);
    await pause(HOLD);
    const peak = lab.peakMemory();
    const sent = apps.reduce((sum, app) => sum + app.sent, 0);
    const stalled = apps.filter(({ isInContent, answer }) => isInContent && answer === '').length;
    print(`${stalled} of ${count} stalled, ${megabytes(sent)} MB sent, relay at ${megabytes(peak)} MB`);

    proxy.plan = () => undefined;
    proxy.dropAll();
    const answers = await submitted;
    const deferred = answers.filter((answer) => answer.startsWith('451 ')).length;
    const after = await Promise.all(lab.accounts.slice(0, 20).map((account) => new App(port, account).submit(10_000)));
    const taken = after.filter((answer) => answer.startsWith('250 ')).length;

    const counts = {
      applications: count,
      stalled,
      'MB that applications sent': megabytes(sent),
      'MB of the relay before': megabytes(idle),
      'MB of the relay at its peak': megabytes(peak),
      'told to try again': deferred,
      'taken afterwards': taken,
      'received in part': lab.sandbox.messages.list().filter(({ subject }) => subject !== 'large').length,
    };
    const broken: string[] = [];
    if (stalled !== count) broken.push(`${count - stalled} applications were not stalled, so nothing is shown`);
    if (peak >= MEMORY_MB * MEBIBYTE) broken.push(`${megabytes(peak)} MB of resident memory, promised less than ${MEMORY_MB}`);
    if (deferred !== count) broken.push(`${count - deferred} applications were not told to try again`);
    if (taken !== after.length) broken.push(`${after.length - taken} messages were not taken once the provider was back`);
    if (lab.sandbox.messages.list().length !== taken) broken.push('something arrived that was not accepted');
    return { counts, broken };
  } finally {
    proxy.close();
    await lab.close();
  }
}

/** Until all are in their content, and none has got rid of another octet for a while. */
async function untilStalled(apps: readonly App[], print: (line: string) => void): Promise<void> {
  let before = -1;
  for (;;) {
    const sent = apps.reduce((sum, app) => sum + app.sent, 0);
    const isInContent = apps.every((app) => app.isInContent || app.answer !== '');
    if (isInContent && sent === before) return;
    before = sent;
    print(`${apps.filter((app) => app.isInContent).length} in content, ${megabytes(sent)} MB sent`);
    await pause(QUIET);
  }
}

const megabytes = (octets: number): number => Math.round(octets / MEBIBYTE);

/**
 * Messages one after another for a long time: what a relay holds on to must not grow with what has gone through it.
 *
 * @packageDocumentation
 */
import { readdirSync, readFileSync } from 'node:fs';
import { submit } from '../support/submit.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const APPLICATIONS = 4;
/** Caches, pools and the JIT come to rest in this part of the run, which is not looked at. */
const WARM_UP = 0.3;
/** Of resident memory behind the warm-up, in MB: what a garbage collection that is still to come may hide, and so much for each 36,000 messages (an hour of ten a second). */
const NOISE = 24;
const MOST_GROWTH = 1;

/** `count` messages over two accounts, one direct and one with a queue. */
export async function runSoak({ count, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const counts: Record<string, number> = {};
  const broken: string[] = [];
  for (const mode of ['direct', 'auto'] as const) {
    const lab = await RelayLab.open({ accounts: 2, mode });
    try {
      const messages = Math.floor(count / 2);
      const { accepted, growth, descriptors } = await run(lab, messages, print);
      counts[`${mode}, accepted`] = accepted;
      counts[`${mode}, growth of resident memory behind the warm-up, MB`] = Math.round(growth);
      counts[`${mode}, more descriptors at the end`] = descriptors;
      if (accepted !== messages) broken.push(`${mode}: ${messages - accepted} of ${messages} messages were not accepted`);
      if (growth > NOISE + (MOST_GROWTH * messages) / 36_000)
        broken.push(`${mode}: grown by ${growth.toFixed(1)} MB over ${messages} messages`);
      if (descriptors > 2 * APPLICATIONS) broken.push(`${mode}: ${descriptors} more descriptors than behind the warm-up`);
      await lab.stop();
    } finally {
      await lab.close();
    }
  }
  return { counts, broken };
}

async function run(
  lab: RelayLab,
  messages: number,
  print: (line: string) => void,
): Promise<{ readonly accepted: number; readonly growth: number; readonly descriptors: number }> {
  const { port } = await lab.start();
  const content = `Subject: soak\r\n\r\n${'a line of the body\r\n'.repeat(50)}`;
  let begun = 0;
  let accepted = 0;
  let rest: { readonly memory: number; readonly descriptors: number } | undefined;
  const application = async (): Promise<void> => {
    while (begun < messages) {
      const account = lab.accounts[begun % lab.accounts.length] ?? '';
      begun += 1;
      const { code } = await submit({ port, login: { user: account, pass: PASSWORD }, from: mailboxOf(account), content });
      if (code === 250) accepted += 1;
      if (accepted % 1000 === 0) print(`${accepted} messages, ${residentMemory(lab.pid).toFixed(0)} MB`);
      if (accepted >= messages * WARM_UP) rest ??= { memory: residentMemory(lab.pid), descriptors: descriptorsOf(lab.pid) };
    }
  };
  await Promise.all(Array.from({ length: APPLICATIONS }, application));
  return {
    accepted,
    growth: residentMemory(lab.pid) - (rest?.memory ?? 0),
    descriptors: descriptorsOf(lab.pid) - (rest?.descriptors ?? 0),
  };
}

const residentMemory = (pid: number): number => Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024;

const descriptorsOf = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length;

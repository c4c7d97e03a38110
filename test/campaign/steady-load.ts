/**
 * A relay under the same load for a long time: memory and descriptors that do not come back would show.
 *
 * Every message goes on a connection of its own, as most legacy applications do it.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import { SmtpTalk } from '../support/smtp-talk.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const MEBIBYTE = 1024 * 1024;
const PER_SECOND = 10;
const ACCOUNTS = 4;
/** A slope of what is held once garbage is collected, in MB an hour. Resident memory follows the pace of V8's collector, and is only reported. */
const MOST_PER_HOUR = 1;
const SAMPLE_EVERY = 1_000;
/** Below this a slope says nothing: the heap grows until its first collections. In seconds. */
const JUDGED_FROM = 1_800;

/** `count` seconds. */
export async function runSteadyLoad({ count, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const lab = await RelayLab.open({ accounts: ACCOUNTS, mode: 'auto' });
  try {
    const { port } = await lab.start(lab.heldMemoryOptions);
    const began = performance.now();
    const samples: { readonly second: number; readonly memory: number; readonly files: number }[] = [];
    const held: (readonly [second: number, octets: number])[] = [];
    const unanswered: string[] = [];
    let submitted = 0;
    const under = new Set<Promise<void>>();
    for (let printed = 0; performance.now() - began < count * 1_000; ) {
      const account = lab.accounts[submitted % ACCOUNTS] ?? '';
      submitted += 1;
      const one = submit(port, account, submitted).then((answer) => {
        if (!answer.startsWith('250 ')) unanswered.push(answer);
        under.delete(one);
      });
      under.add(one);
      const second = (performance.now() - began) / 1_000;
      if (second > samples.length * (SAMPLE_EVERY / 1_000)) samples.push({ second, memory: lab.memory(), files: lab.openFiles() });
      if (second > printed + 60) {
        printed = second;
        held.push([second, await lab.heldMemory()]);
        const kept = `${megabytes(held.at(-1)?.[1] ?? 0)} MB held`;
        print(`${Math.round(second)} s: ${submitted} submitted, ${kept}, ${megabytes(lab.memory())} MB resident, ${lab.openFiles()} files`);
      }
      const due = began + (submitted * 1_000) / PER_SECOND;
      if (due > performance.now()) await pause(due - performance.now());
    }
    await Promise.all(under);
    while (lab.sandbox.statistics.submission.messages < submitted - unanswered.length) await pause(50);
    // The first half is for warming up.
    const settled = samples.slice(Math.floor(samples.length / 2));
    const slope = slopeOf(held.slice(Math.floor(held.length / 2)));
    const counts = {
      seconds: count,
      submitted,
      'not accepted': unanswered.length,
      received: lab.sandbox.statistics.submission.messages,
      'KB held in the middle': kilobytes(held[held.length >> 1]?.[1] ?? 0),
      'KB held at the end': kilobytes(held.at(-1)?.[1] ?? 0),
      'KB held more in an hour': kilobytes(slope * 3_600),
      'MB resident in the middle': megabytes(settled[0]?.memory ?? 0),
      'MB resident at the end': megabytes(samples.at(-1)?.memory ?? 0),
      'most files in the first half': Math.max(...samples.slice(0, settled.length).map(({ files }) => files)),
      'most files in the second half': Math.max(...settled.map(({ files }) => files)),
      'files at the end': lab.openFiles(),
    };
    const broken: string[] = [];
    if (unanswered.length > 0) broken.push(`not accepted: ${[...new Set(unanswered)].slice(0, 3).join(' | ')}`);
    if (counts.received !== submitted) broken.push(`${counts.received} of ${submitted} messages arrived`);
    if (count >= JUDGED_FROM && counts['KB held more in an hour'] > MOST_PER_HOUR * 1_024) {
      broken.push(`what is held grows by ${counts['KB held more in an hour']} KB an hour, promised less than ${MOST_PER_HOUR} MB`);
    }
    // A busy machine lets connections pile up for a moment; what counts is whether they go again.
    if (counts['files at the end'] > counts['most files in the first half'] + 10) broken.push('descriptors are not given back');
    return { counts, broken };
  } finally {
    await lab.close();
  }
}

async function submit(port: number, account: string, number: number): Promise<string> {
  const talk = SmtpTalk.plain(port);
  try {
    const login = Buffer.from(`\0${account}\0${PASSWORD}`).toString('base64');
    await talk.reply();
    for (const command of [
      'EHLO app.test',
      `AUTH PLAIN ${login}`,
      `MAIL FROM:<${mailboxOf(account)}>`,
      'RCPT TO:<a@example.test>',
      'DATA',
    ]) {
      const answer = await talk.ask(command);
      if (!/^[23]/.test(answer)) return answer;
    }
    return await talk.ask(`Subject: ${number}\r\n\r\n${'An ordinary line of text.\r\n'.repeat(150)}.`);
  } finally {
    talk.destroy();
  }
}

/** Of the straight line through these points, by least squares. */
function slopeOf(points: readonly (readonly [number, number])[]): number {
  const mean = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
  const [x, y] = [mean(points.map(([at]) => at)), mean(points.map(([, value]) => value))];
  const above = points.reduce((sum, [at, value]) => sum + (at - x) * (value - y), 0);
  const below = points.reduce((sum, [at]) => sum + (at - x) ** 2, 0);
  return below === 0 ? 0 : above / below;
}

const kilobytes = (octets: number): number => Math.round(octets / 1_024);
const megabytes = (octets: number): number => Math.round(octets / MEBIBYTE);

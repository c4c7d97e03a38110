/**
 * Mutated sessions at everything that reads what strangers send. Whatever comes: the process goes on, nothing is rejected unheard, every session ends behind the
 * end of its client, what is answered has the form of an answer, and memory stays where it was.
 *
 * @packageDocumentation
 */
import { heldMemory } from '../support/held-memory.ts';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { addressTarget, adminTarget, configTarget, mailboxTarget, smtpTarget, type Target } from './fuzz-targets.ts';
import { Mutator } from './mutations.ts';

interface Share {
  readonly name: string;
  /** Of 100 sessions. */
  readonly share: number;
  readonly open: () => Target | Promise<Target>;
}

const SHARES: readonly Share[] = [
  { name: 'smtp', share: 25, open: smtpTarget },
  { name: 'imap', share: 15, open: () => mailboxTarget('imap') },
  { name: 'pop3', share: 15, open: () => mailboxTarget('pop3') },
  { name: 'address', share: 33, open: addressTarget },
  { name: 'config', share: 6, open: configTarget },
  { name: 'admin', share: 6, open: adminTarget },
];

/** A target is opened anew after so many sessions, since it remembers what it logs. */
const SESSIONS_OF_TARGET = 1_000;
/** Admin requests take connections of the network, so several go at once. */
const TOGETHER = 8;
/** Octets held on to from the first round to the last. */
const MOST_GROWTH = 24 * 1024 * 1024;

/** `count` sessions, in the shares above, round by round. */
export async function runFuzz({ count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const random = seededRandom(seed);
  const counts: Record<string, number> = { sessions: 0, ...Object.fromEntries(SHARES.map(({ name }) => [name, 0])) };
  const broken: string[] = [];
  const unheard = (error: unknown): void => void broken.push(`nobody caught: ${error instanceof Error ? error.stack : String(error)}`);
  process.on('uncaughtException', unheard).on('unhandledRejection', unheard);
  let first: number | undefined;
  try {
    while ((counts['sessions'] ?? 0) < count && broken.length < 10) {
      for (const share of SHARES) await playShare(share, Math.min(SESSIONS_OF_TARGET, count) * (share.share / 100));
      const held = heldMemory();
      first ??= held;
      if (held - first > MOST_GROWTH) broken.push(`${held - first} octets more are held than after the first round`);
      print(`${counts['sessions']} sessions, ${Math.round(held / 1024 / 1024)} MB held`);
    }
  } finally {
    process.off('uncaughtException', unheard).off('unhandledRejection', unheard);
  }
  return { counts, broken };

  async function playShare({ name, open }: Share, sessions: number): Promise<void> {
    const target = await open();
    const mutator = new Mutator(random, target.seeds);
    const play = async (octets: Buffer): Promise<void> => {
      const fault = await target.play(mutator.segments(octets));
      if (fault !== undefined) broken.push(`${name} ${fault}, after ${JSON.stringify(octets.toString('latin1').slice(0, 500))}`);
      counts[name] = (counts[name] ?? 0) + 1;
      counts['sessions'] = (counts['sessions'] ?? 0) + 1;
    };
    try {
      for (let begun = 0; begun < sessions && (counts['sessions'] ?? 0) < count; begun += TOGETHER) {
        const batch = Math.min(TOGETHER, Math.ceil(sessions) - begun, count - (counts['sessions'] ?? 0));
        const inputs = Array.from({ length: batch }, () => mutator.next());
        if (name === 'config') for (const input of inputs) await play(input);
        else await Promise.all(inputs.map(play));
      }
    } finally {
      const through = `${name}, got through`;
      counts[through] = (counts[through] ?? 0) + target.reached();
      broken.push(...(await target.close()).map((what) => `${name}: ${what}`));
    }
  }
}

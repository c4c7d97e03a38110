/**
 * Ten accounts, and the provider of one of them swallows everything and says nothing: the others must not notice.
 *
 * Each round measures the same load of the nine twice, once while the tenth is well and idle and once while applications keep submitting to it in vain; which of
 * the two comes first alternates. Judged is the median over the rounds of the ratio of the two p99, so that a machine that slows down does not matter.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import { submit } from '../support/submit.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

const ACCOUNTS = 10;
/** Messages of each account in one measurement. */
const MESSAGES = 150;
/** Before each measurement, not counted: sessions and code get warm. */
const WARMING = 20;
/** Applications that wait for the account whose provider is silent. */
const STUCK = 20;
/** What each of them lets pass between two messages, in ms. */
const BETWEEN = 1_000;
/** The p99 may grow by so much. */
const MOST_GROWTH = 0.2;

/** Settings of a shorter run. */
export interface FairnessOptions extends CampaignOptions {
  readonly messages?: number;
  /** A busy machine says nothing about time. Default: true. */
  readonly isJudged?: boolean;
}

/** `count` rounds. */
export async function runFairness(options: FairnessOptions): Promise<CampaignOutcome> {
  const { count, messages = MESSAGES, isJudged = true, print = () => undefined } = options;
  const lab = await RelayLab.open({ accounts: ACCOUNTS, mode: 'auto' });
  const ratios: number[] = [];
  const counts = { messages: 0, 'not accepted': 0 };
  try {
    for (let round = 0; round < count; round += 1) {
      const p99 = { without: 0, with: 0 };
      for (const which of round % 2 === 0 ? (['without', 'with'] as const) : (['with', 'without'] as const)) {
        const { durations, refused } = await measure(lab, messages, which === 'with');
        p99[which] = percentile(durations, 0.99);
        counts.messages += durations.length;
        counts['not accepted'] += refused;
      }
      ratios.push(p99.with / p99.without);
      print(
        `round ${round + 1}: p99 ${p99.without.toFixed(1)} ms without, ${p99.with.toFixed(1)} ms with, ratio ${(p99.with / p99.without).toFixed(2)}`,
      );
    }
  } finally {
    await lab.close();
  }
  const ratio = percentile(ratios, 0.5);
  const broken = counts['not accepted'] === 0 ? [] : [`${counts['not accepted']} messages of the other accounts were not accepted`];
  if (isJudged && ratio > 1 + MOST_GROWTH) broken.push(`the p99 of the others grew to ${ratio.toFixed(2)} times what it was`);
  return {
    counts: {
      ...counts,
      'p99 with / without, median': round2(ratio),
      least: round2(Math.min(...ratios)),
      most: round2(Math.max(...ratios)),
    },
    broken,
  };
}

/** Times in ms from connecting to the final answer. */
async function measure(
  lab: RelayLab,
  messages: number,
  isHole: boolean,
): Promise<{ readonly durations: number[]; readonly refused: number }> {
  const [silent = '', ...others] = lab.accounts;
  const { port } = await lab.start(isHole ? { blackHole: silent } : {});
  const durations: number[] = [];
  let refused = 0;
  const one = async (account: string): Promise<number> => {
    const began = performance.now();
    const { code } = await submit({ port, login: { user: account, pass: PASSWORD }, from: mailboxOf(account) });
    if (code !== 250) refused += 1;
    return performance.now() - began;
  };
  let isOver = false;
  const inVain = async (): Promise<void> => {
    // Each waits for the budget of the account and is queued then; once the account's trouble is known it is queued at once, and without a pause this would
    // measure the load of a flood. What becomes of the messages is not this campaign's business.
    while (!isOver) {
      await submit({ port, login: { user: silent, pass: PASSWORD }, from: mailboxOf(silent) }).catch(() => undefined);
      await pause(BETWEEN);
    }
  };
  const stuck = isHole ? Array.from({ length: STUCK }, inVain) : [];
  await Promise.all(
    others.map(async (account) => {
      for (let n = 0; n < WARMING; n += 1) await one(account);
      for (let n = 0; n < messages; n += 1) durations.push(await one(account));
    }),
  );
  isOver = true;
  await lab.stop();
  await Promise.all(stuck);
  return { durations, refused };
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((one, other) => one - other);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
}

const round2 = (value: number): number => Math.round(value * 100) / 100;

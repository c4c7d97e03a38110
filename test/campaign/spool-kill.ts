/**
 * A process with a spool is killed at every point of its work, again and again, on one and the same spool; then everything is delivered and held
 * against what was promised.
 *
 * A kill proves little about syncing, since what a process has written stays (see {@link ./spool-power-cut.ts}); it proves that a spool can be left at
 * any moment, and that what may have been delivered is flagged.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { type Account, accountOf, Ledger } from './spool-ledger.ts';
import { SPOOL_POINTS } from './spool-points.ts';
import { openWorkshop } from './spool-process.ts';

/** Points that a run did not pass often enough are tried this many times as often as kills are wanted. */
const MOST_TRIES = 3;

export async function runKillCampaign({ count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const workshop = await openWorkshop();
  const random = seededRandom(seed);
  const settings = { dir: join(workshop.directory, 'spool'), ledger: join(workshop.directory, 'ledger') };
  const ledger = new Ledger(settings.ledger);
  try {
    let kills = 0;
    for (let run = 0; kills < count && run < count * MOST_TRIES; run += 1) {
      const point = SPOOL_POINTS[run % SPOOL_POINTS.length] ?? 'accepted';
      const passing = 1 + Math.floor(random.fraction() ** 2 * 8);
      if (!(await workshop.run({ ...settings, seed: seed + run, run, point, passing }))) continue;
      ledger.write({ event: 'stopped', point });
      kills += 1;
      if (kills % 100 === 0) print(`${kills} kills`);
    }
    await workshop.run({ ...settings, seed, run: -1 });
    return outcomeOf(accountOf(ledger.lines()), count);
  } finally {
    await workshop.remove();
  }
}

function outcomeOf(account: Account, count: number): CampaignOutcome {
  const broken: string[] = [];
  const { stops, lost, altered, duplicates, unflagged, revived, reportedTwice, quarantined } = account;
  if (stops < count) broken.push(`only ${stops} of ${count} kills took place`);
  if (lost > 0) broken.push(`${lost} accepted messages were lost`);
  if (altered > 0) broken.push(`${altered} messages were delivered with other content`);
  if (duplicates > stops) broken.push(`${duplicates} duplicates after ${stops} kills`);
  if (unflagged > 0) broken.push(`${unflagged} duplicates were not flagged`);
  if (revived > 0) broken.push(`${revived} messages were delivered after they were settled or rejected`);
  if (reportedTwice > 0) broken.push(`${reportedTwice} messages were reported on twice`);
  if (quarantined > 0) broken.push(`${quarantined} entries were quarantined`);
  return { counts: { ...account }, broken };
}

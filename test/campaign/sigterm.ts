/**
 * SIGTERM at random moments while applications submit: the relay ends by itself, with 0, in time; what was answered with 250 arrives once.
 *
 * One state directory goes through all rounds, half of them with accounts of `delivery: auto`, half with `queue`. A message whose application got no answer, because
 * the relay was stopping, may have arrived or not; never twice.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import type { Random } from '../../src/core/ports/random.ts';
import { seededRandom } from '../support/open-spool.ts';
import { submit } from '../support/submit.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { mailboxOf, PASSWORD, RelayLab } from './relay-lab.ts';

/** Applications that submit one message after another, each on a connection of its own. */
const APPLICATIONS = 6;
/** SIGTERM comes so long after the greeting, in ms, at the most. */
const LATEST = 1_500;
/** How long the relay may take to end, in ms. */
const LONGEST_END = 10_000;
/** The provider thinks for so long over a message, in ms, at the most: some are always under way. */
const THINKING = 60;
/** For the queue to become empty at the end, in ms. */
const DRAIN = 120_000;

/** `count` times SIGTERM. */
export async function runSigterm({ count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const random = seededRandom(seed);
  const totals = { stops: 0, submitted: 0, accepted: 0, refused: 0, 'without an answer': 0, lost: 0, twice: 0, 'longest end, ms': 0 };
  const broken: string[] = [];
  for (const [index, mode] of (['auto', 'queue'] as const).entries()) {
    const rounds = Math.floor(count / 2) + (index < count % 2 ? 1 : 0);
    const lab = await RelayLab.open({ accounts: 3, mode });
    try {
      const run = new SigtermRun(lab, random);
      for (let round = 0; round < rounds; round += 1) await run.stopOnce(print);
      await run.drain();
      const { lost, twice } = run.settle();
      broken.push(
        ...run.broken,
        ...lost.map((id) => `${id} was answered with 250 and did not arrive`),
        ...twice.map((id) => `${id} arrived twice`),
      );
      totals.stops += rounds;
      totals.submitted += run.submitted;
      totals.accepted += run.accepted.size;
      totals.refused += run.refused;
      totals['without an answer'] += run.unanswered;
      totals.lost += lost.length;
      totals.twice += twice.length;
      totals['longest end, ms'] = Math.max(totals['longest end, ms'], Math.round(run.longestEnd));
    } finally {
      await lab.close();
    }
  }
  return { counts: totals, broken };
}

class SigtermRun {
  readonly accepted = new Set<string>();
  readonly broken: string[] = [];
  submitted = 0;
  refused = 0;
  unanswered = 0;
  longestEnd = 0;
  readonly #lab: RelayLab;
  readonly #random: Random;
  /** How often each message arrived. */
  readonly #arrivals = new Map<string, number>();

  constructor(lab: RelayLab, random: Random) {
    this.#lab = lab;
    this.#random = random;
    lab.sandbox.messages.onMessage(({ subject }) => this.#arrivals.set(subject, (this.#arrivals.get(subject) ?? 0) + 1));
  }

  async stopOnce(print: (line: string) => void): Promise<void> {
    const lab = this.#lab;
    const milliseconds = Math.floor(this.#random.fraction() * THINKING);
    lab.sandbox.faults.submission.next = [{ stage: 'final', kind: 'delay', milliseconds, times: 1_000_000 }];
    const { port } = await lab.start();
    const control = { isOver: false };
    const applications = Array.from({ length: APPLICATIONS }, (_, number) =>
      this.#submitUntil(control, port, lab.accounts[number % 3] ?? ''),
    );
    await pause(this.#random.fraction() * LATEST);
    const began = performance.now();
    await lab.stop().catch((error: unknown) => this.broken.push(String(error)));
    const took = performance.now() - began;
    control.isOver = true;
    await Promise.all(applications);
    this.longestEnd = Math.max(this.longestEnd, took);
    if (took > LONGEST_END) this.broken.push(`an end took ${Math.round(took)} ms`);
    print(`ended after ${Math.round(took)} ms; ${this.accepted.size} of ${this.submitted} accepted so far`);
  }

  /** A relay that is left alone delivers what is still there. */
  async drain(): Promise<void> {
    await this.#lab.start();
    for (let waited = 0; waited < DRAIN && [...this.accepted].some((id) => !this.#arrivals.has(id)); waited += 100) await pause(100);
    await this.#lab.stop();
  }

  settle(): { readonly lost: readonly string[]; readonly twice: readonly string[] } {
    return {
      lost: [...this.accepted].filter((id) => !this.#arrivals.has(id)),
      twice: [...this.#arrivals].filter(([, times]) => times > 1).map(([id]) => id),
    };
  }

  async #submitUntil(control: { readonly isOver: boolean }, port: number, account: string): Promise<void> {
    while (!control.isOver) {
      this.submitted += 1;
      const id = `m${this.submitted}`;
      const order = { port, login: { user: account, pass: PASSWORD }, from: mailboxOf(account), content: `Subject: ${id}\r\n\r\nbody\r\n` };
      try {
        const { code } = await submit(order);
        if (code === 250) this.accepted.add(id);
        else this.refused += 1;
      } catch {
        this.unanswered += 1; // No connection, or none any more: counted, and an application tries again.
        await pause(20);
      }
    }
  }
}

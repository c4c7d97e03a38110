/**
 * Makes a planned report (DSN) a draft in the spool, to be accepted in the same step in which its cause is settled.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { queueId } from '../core/ids.ts';
import type { Random } from '../core/ports/random.ts';
import type { Draft, Report, Spool } from '../core/ports/spool.ts';
import type { SpoolEntry } from '../core/spool-entry.ts';
import { composeReport, readOriginal, reportEnvelope, type ReportOptions } from '../message/dsn.ts';
import { composeMessageId } from '../message/message-id.ts';
import type { PlannedReport } from '../message/report-plan.ts';
import type { Calendar } from './calendar.ts';

/** What reports are made with. */
export interface ReportDependencies {
  readonly spool: Spool;
  readonly calendar: Calendar;
  readonly random: Random;
  /** Our own name, as in the greeting. */
  readonly hostname: string;
}

/** In the log and the queue, in place of the name of a client. */
const OURSELVES = 'postern';

/**
 * Compose the report. Its draft is the caller's to end.
 *
 * @throws ProblemError of the spool; no draft is left then.
 */
export async function draftReport(plan: PlannedReport, entry: SpoolEntry, account: Account, deps: ReportDependencies): Promise<Report> {
  const { spool, calendar, random, hostname } = deps;
  const now = calendar.now();
  const id = queueId(now, random.octets(7));
  const messageId = composeMessageId(id, random.octets(8), account.mailbox, hostname);
  const options: ReportOptions = {
    plan,
    from: account.mailbox,
    displayName: 'Postern',
    parameters: entry.parameters,
    date: now,
    messageId,
    boundary: Buffer.from(random.octets(16)).toString('hex'),
    reportingMta: hostname,
    queueId: entry.queueId,
    arrivedAt: entry.acceptedAt,
    ...(entry.parameters.envid === undefined ? {} : { envid: entry.parameters.envid }),
  };
  const draft = await spool.openDraft({ account: account.name, isReport: true });
  await fill(draft, plan, entry, options, spool);
  return {
    draft,
    message: {
      ...reportEnvelope(options),
      queueId: id,
      account: account.name,
      client: OURSELVES,
      acceptedAt: now,
      messageId,
      nextAttemptAt: now,
    },
  };
}

async function fill(draft: Draft, plan: PlannedReport, { queueId: id }: SpoolEntry, options: ReportOptions, spool: Spool): Promise<void> {
  try {
    const original = await readOriginal(spool.content(id), plan.isWhole);
    for await (const chunk of composeReport(options, original)) await draft.write(chunk);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

/**
 * What an upstream's reply means, and what to do about it: one table for log lines, retries and advice.
 *
 * Pure. The first row that fits decides, so the finer ones stand first; a reply that no row knows counts by its class, and an unknown
 * outcome as transient. What the application reads is the reply itself; the meaning is for the operator and for the queue.
 *
 * @packageDocumentation
 */
import type { UpstreamStage } from '../core/ports/upstream.ts';
import { type Healing, type Problem, problem } from '../core/problem.ts';
import { describeReply, isPermanent, type Reply } from '../core/reply.ts';
import type { ReplyMeaning, ReplyVerdict } from '../core/reply-meaning.ts';
import { ACCOUNT_ROWS } from './reply-rows/account.ts';
import { MESSAGE_ROWS } from './reply-rows/message.ts';
import { PACE_ROWS } from './reply-rows/pace.ts';
import type { ReplyRow } from './reply-rows/row.ts';
import { SIGN_IN_ROWS } from './reply-rows/sign-in.ts';

/** The whole table, in the order in which it is read. */
export const REPLY_TABLE: readonly ReplyRow[] = [...SIGN_IN_ROWS, ...PACE_ROWS, ...ACCOUNT_ROWS, ...MESSAGE_ROWS];

/**
 * Look a reply up.
 *
 * @param stage - The step that was answered with it.
 * @param reply - Not a 2yz, nor the 3yz that was hoped for.
 */
export function classifyReply(stage: UpstreamStage, reply: Reply): ReplyMeaning {
  const row = REPLY_TABLE.find((candidate) => fits(candidate, stage, reply)) ?? byClass(stage, reply);
  const { name, verdict, scope, retryAfter, escalates } = row;
  const cause = `${row.cause} (${stage}: ${describeReply(reply)})`;
  const texts = { heals: HEALING[verdict], ...(row.remedy === undefined ? {} : { remedy: row.remedy }) };
  return {
    row: name,
    verdict,
    scope,
    problem: problem(row.problem, cause, texts),
    ...(retryAfter === undefined ? {} : { retryAfter }),
    ...(escalates === undefined ? {} : { escalates }),
  };
}

/** What the operator is told about a refusal. */
export const explainReply = (stage: UpstreamStage, reply: Reply): Problem => classifyReply(stage, reply).problem;

const HEALING: Readonly<Record<ReplyVerdict, Healing>> = {
  transient: 'by-itself',
  quota: 'by-itself',
  permanent: 'never',
  auth: 'after-repair',
  config: 'after-repair',
  blocked: 'after-repair',
};

function fits(row: ReplyRow, stage: UpstreamStage, reply: Reply): boolean {
  if (row.stages?.includes(stage) === false) return false;
  if (row.codes?.includes(reply.code) === false) return false;
  if (row.enhanced?.test(reply.enhancedCode ?? '') === false) return false;
  return row.text?.test(reply.text.join(' ')) !== false;
}

/** A step before MAIL says nothing about a message: what is refused there is refused to the account. */
const BEFORE_MAIL: ReadonlySet<UpstreamStage> = new Set(['greeting', 'ehlo', 'starttls', 'auth']);

function byClass(stage: UpstreamStage, reply: Reply): ReplyRow {
  const isEarly = BEFORE_MAIL.has(stage);
  const base = { name: 'by-class', scope: isEarly ? 'account' : 'message' } as const;
  if (!isPermanent(reply)) {
    return { ...base, verdict: 'transient', problem: 'UPSTREAM_DEFERRED', cause: 'The upstream cannot do this now.' };
  }
  if (isEarly)
    return { ...base, verdict: 'config', problem: 'UPSTREAM_MISCONFIGURED', cause: 'The upstream refuses this account or machine.' };
  return { ...base, verdict: 'permanent', problem: 'UPSTREAM_REFUSED', cause: 'The upstream refuses this message.' };
}

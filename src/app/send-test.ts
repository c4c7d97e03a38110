/**
 * `postern send-test`: one small message of our own, straight to the provider, in the way that a legacy application's goes.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import { seconds } from '../core/clock.ts';
import { queueId } from '../core/ids.ts';
import type { Content } from '../core/ports/submission.ts';
import { UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import { type Problem, ProblemError } from '../core/problem.ts';
import { describeReply, isAccepted, type Reply } from '../core/reply.ts';
import { withNames } from '../core/remedy-names.ts';
import { composeMessageId } from '../message/message-id.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { systemClock } from '../platform/system-clock.ts';
import { systemRandom } from '../platform/system-random.ts';
import { composeText } from '../upstream/compose.ts';
import { explainReply } from '../upstream/reply-table.ts';
import { SessionPool } from '../upstream/session-pool.ts';
import { openTokens, SILENCE } from './open-tokens.ts';

/** What came of it. */
export interface TestSubmission {
  readonly from: string;
  readonly to: string;
  /** Also in the message; providers may replace it there. */
  readonly messageId: string;
  /** The upstream's last word, as one line; absent where it was not reached or fell silent. */
  readonly reply?: string;
  /** Why it was not accepted. */
  readonly problem?: Problem;
}

const PATIENCE = seconds(30);
const GRACE = seconds(5);

/** Submit it. Whatever keeps it from being accepted is in the result. */
export async function submitTest(config: Config, account: Account, to: string): Promise<TestSubmission> {
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  const now = systemClock.now();
  const id = queueId(now, systemRandom.octets(16));
  const content = await composeText({
    from: account.mailbox,
    to,
    subject: `Postern test: ${account.name}, ${new Date(now).toISOString()}`,
    text: describe(account, now),
    messageId: composeMessageId(id, systemRandom.octets(8), account.mailbox, hostname()),
    date: now,
  });
  const outcome = await attempt(config, account, to, content, scrubber);
  return { from: account.mailbox, to, messageId: content.messageId, ...presentable(outcome, account, scrubber) };
}

function describe({ name, mailbox, provider }: Account, now: number): string {
  return [
    'This message was sent by the command "postern send-test" to try an account.',
    '',
    `Account:  ${name}`,
    `Mailbox:  ${mailbox}`,
    `Provider: ${provider.name} (${provider.smtp.host}:${provider.smtp.port})`,
    `Time:     ${new Date(now).toISOString()}`,
    '',
    'Nobody needs to answer it.',
    '',
  ].join('\n');
}

type TestOutcome = Pick<TestSubmission, 'reply' | 'problem'>;

async function attempt(config: Config, account: Account, to: string, content: Content, scrubber: Scrubber): Promise<TestOutcome> {
  try {
    const { manager } = await openTokens(config, [account], scrubber);
    const pool = new SessionPool({ tokens: manager, clock: systemClock, log: SILENCE, hostname: hostname() });
    try {
      return await submit(pool, account, to, content);
    } finally {
      await pool.close(GRACE);
      await manager.close();
    }
  } catch (error) {
    // Before the final dot the reply in the error is ours, made for applications.
    if (error instanceof UpstreamError || error instanceof ProblemError) return { problem: error.problem };
    throw error;
  }
}

async function submit(pool: SessionPool, account: Account, to: string, content: Content): Promise<TestOutcome> {
  const isSmtpUtf8 = /[^\u0000-\u007f]/.test(to);
  const { reply, transaction } = await pool.begin(account, account.mailbox, { isSmtpUtf8, isRequireTls: false }, PATIENCE);
  if (transaction === undefined) return refused('mail', reply);
  try {
    const recipient = await transaction.addForwardPath({ address: to });
    if (!isAccepted(recipient)) return refused('rcpt', recipient);
    const start = await transaction.startContent();
    if (start.code !== 354) return refused('data', start);
    const last = await transaction.submitContent(content.chunks);
    return isAccepted(last) ? { reply: describeReply(last) } : refused('final-reply', last);
  } finally {
    transaction.abandon();
  }
}

function refused(stage: UpstreamStage, reply: Reply): TestOutcome {
  return { reply: describeReply(reply), problem: explainReply(stage, reply) };
}

/** With the account's names in the remedy, and nothing secret anywhere. */
function presentable({ reply, problem: what }: TestOutcome, account: Account, scrubber: Scrubber): TestOutcome {
  const advice = what === undefined ? undefined : withNames(what, account);
  return {
    ...(reply === undefined ? {} : { reply: scrubber.scrub(reply) }),
    ...(advice === undefined ? {} : { problem: { ...advice, cause: scrubber.scrub(advice.cause), remedy: scrubber.scrub(advice.remedy) } }),
  };
}

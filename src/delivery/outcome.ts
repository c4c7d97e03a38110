/**
 * What an attempt came to: for each recipient, and for the account.
 *
 * Pure. What a reply means is decided in one table (upstream/reply-table.ts), which is handed in; what follows from it for the queue is decided here.
 * A refusal that is about the account, not about the message, costs the message nothing: it waits, keeps its place, and goes when the account may
 * submit again. An upstream that has taken the message for somebody, or judged it by itself, works.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import type { RelayResult, StagedReply, UpstreamError, UpstreamStage } from '../core/ports/upstream.ts';
import { type Problem, problem } from '../core/problem.ts';
import { isAccepted, type Reply } from '../core/reply.ts';
import type { Escalation, ReplyMeaning } from '../core/reply-meaning.ts';

/** Understands a reply. */
export type Classify = (stage: UpstreamStage, reply: Reply) => ReplyMeaning;

/**
 * Of one recipient. `retry`: this message again later, not before `after` has passed where that is given. `waits`: for the account, or for us; nothing
 * was learned about the message.
 */
export type RecipientOutcome =
  | { readonly kind: 'delivered'; readonly reply: Reply }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly stage: UpstreamStage; readonly problem: Problem }
  | { readonly kind: 'retry'; readonly problem: Problem; readonly reply?: Reply; readonly after?: DurationMs }
  | { readonly kind: 'waits'; readonly problem: Problem; readonly reply?: Reply };

/** What keeps an account from submitting. `hold`: somebody has to act. `quota`: a window has to pass. */
export interface AccountTrouble {
  readonly kind: 'back-off' | 'hold' | 'quota';
  readonly problem: Problem;
  /** Tells one trouble from another. */
  readonly name: string;
  readonly retryAfter?: DurationMs;
  readonly escalates?: Escalation;
}

/** What an attempt says about the account. */
export type AccountOutcome =
  | { readonly kind: 'works' }
  | { readonly kind: 'unknown' }
  | { readonly kind: 'trouble'; readonly trouble: AccountTrouble };

/** An attempt, judged. */
export interface Judgement {
  /** In the order of the envelope. */
  readonly recipients: readonly RecipientOutcome[];
  readonly account: AccountOutcome;
  /** Recipients without an answer may have got the message. */
  readonly isAmbiguous: boolean;
}

/** Judge an attempt. */
export function judge({ answers, failure }: RelayResult, classify: Classify): Judgement {
  const isAnyDelivered = answers.some((answer) => answer !== undefined && isAccepted(answer.reply));
  const judged = answers.map((answer) => judgeAnswer(answer, failure, classify));
  return {
    recipients: judged.map(({ recipient, trouble }) => (trouble !== undefined && isAnyDelivered ? own(recipient) : recipient)),
    account: isAnyDelivered ? { kind: 'works' } : accountOutcome(judged),
    isAmbiguous: failure?.stage === 'final-reply' && answers.includes(undefined),
  };
}

interface Judged {
  readonly recipient: RecipientOutcome;
  /** It is about the account. */
  readonly trouble?: AccountTrouble;
  /** It is about this recipient or message: the account works. */
  readonly isOwn?: boolean;
}

/** What is refused to one recipient after another got the message is not about the account, whatever it says. */
function own(recipient: RecipientOutcome): RecipientOutcome {
  return recipient.kind === 'waits' ? { ...recipient, kind: 'retry' } : recipient;
}

/** The gravest trouble; else whether the account works. */
function accountOutcome(judged: readonly Judged[]): AccountOutcome {
  const troubles = judged.flatMap(({ trouble }) => (trouble === undefined ? [] : [trouble]));
  const gravest = (['hold', 'quota', 'back-off'] as const).flatMap((kind) => troubles.filter((trouble) => trouble.kind === kind))[0];
  if (gravest !== undefined) return { kind: 'trouble', trouble: gravest };
  return { kind: judged.some(({ isOwn }) => isOwn === true) ? 'works' : 'unknown' };
}

function judgeAnswer(answer: StagedReply | undefined, failure: UpstreamError | undefined, classify: Classify): Judged {
  if (answer === undefined) return judgeFailure(failure);
  const { stage, reply } = answer;
  if (isAccepted(reply)) return { recipient: { kind: 'delivered', reply }, isOwn: true };
  return judgeRefusal(classify(stage, reply), reply, stage);
}

function judgeRefusal(meaning: ReplyMeaning, reply: Reply, stage: UpstreamStage): Judged {
  const { verdict, scope, problem: what, retryAfter, row, escalates } = meaning;
  const waits: RecipientOutcome = { kind: 'waits', problem: what, reply };
  const about = { problem: what, name: row, ...(retryAfter === undefined ? {} : { retryAfter }) };
  switch (verdict) {
    case 'permanent':
      return { recipient: { kind: 'refused', reply, stage, problem: what }, isOwn: true };
    case 'quota':
      return { recipient: waits, trouble: { kind: 'quota', ...about } };
    case 'auth':
    case 'config':
    case 'blocked':
      return { recipient: waits, trouble: { kind: 'hold', ...about } };
    case 'transient': {
      if (scope !== 'message') return { recipient: waits, trouble: { kind: 'back-off', ...about, ...(escalates && { escalates }) } };
      const after = retryAfter === undefined ? {} : { after: retryAfter };
      return { recipient: { kind: 'retry', problem: what, reply, ...after }, isOwn: true };
    }
  }
}

/** Up to here nothing of a message but its reverse-path has been said, so that any other message would have failed as well. */
const ACCOUNT_STAGES: ReadonlySet<UpstreamStage> = new Set(['token', 'connect', 'greeting', 'ehlo', 'starttls', 'auth', 'mail']);

function judgeFailure(failure: UpstreamError | undefined): Judged {
  const what = failure?.problem ?? problem('INTERNAL', 'an attempt ended without an answer');
  const waits: RecipientOutcome = { kind: 'waits', problem: what };
  // Our own doing: no connection was free, or we cut it.
  if (failure?.stage === 'wait' || what.code === 'SUBMISSION_ABORTED') return { recipient: waits };
  if (failure === undefined || !ACCOUNT_STAGES.has(failure.stage)) return { recipient: { kind: 'retry', problem: what } };
  const kind = what.heals === 'after-repair' ? 'hold' : 'back-off';
  // Its reverse-path may be what breaks the session: it steps back, so that another message shows whether the account works.
  const recipient: RecipientOutcome = failure.stage === 'mail' ? { kind: 'retry', problem: what } : waits;
  return { recipient, trouble: { kind, problem: what, name: what.code } };
}

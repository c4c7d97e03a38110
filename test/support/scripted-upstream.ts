/**
 * An upstream in memory, which answers as a test says and keeps what it was given, recipient by recipient.
 *
 * @packageDocumentation
 */
import type { Account } from '../../src/core/account.ts';
import type { DurationMs } from '../../src/core/clock.ts';
import type { Envelope } from '../../src/core/envelope.ts';
import { type RelayResult, type StagedReply, type Upstream, UpstreamError, type UpstreamStage } from '../../src/core/ports/upstream.ts';
import { type ProblemCode, problem } from '../../src/core/problem.ts';
import { joinReplyLines, parseReplyLine, type Reply, reply } from '../../src/core/reply.ts';

/** One attempt, as the upstream sees it. */
export interface RelayCall {
  readonly account: Account;
  readonly envelope: Envelope;
  readonly patience: DurationMs;
  /** 1 for the first attempt of all. */
  readonly number: number;
  /** Read the content, as after a 354. */
  read(): Promise<string>;
  /** Read the content and deliver it to these recipients, by index; to all unless told. */
  deliver(indexes?: readonly number[]): Promise<void>;
}

/** How an attempt is answered. */
export type RelayScript = (call: RelayCall) => Promise<RelayResult>;

export interface Delivered {
  readonly account: string;
  readonly address: string;
  readonly content: string;
}

/** `550 5.1.1 Unknown` as a reply. */
export function replyOf(line: string): Reply {
  const parsed = parseReplyLine(line);
  if (parsed === undefined) throw new Error(`not a reply: ${line}`);
  return joinReplyLines([parsed]);
}

const OK: Reply = reply(250, '2.6.0', 'Taken');

const result = (answers: readonly (StagedReply | undefined)[], failure?: UpstreamError): RelayResult => ({
  answers,
  upstream: 'smtp.lab.test:587',
  user: 'billing@postern.test',
  isDsnPassedOn: true,
  ...(failure === undefined ? {} : { failure }),
});

/** Everybody gets it. */
export const takesAll: RelayScript = async (call) => {
  await call.deliver();
  return result(call.envelope.forwardPaths.map(() => ({ stage: 'final-reply', reply: OK })));
};

/** MAIL, DATA or the content is refused with this line. */
export const refusesAt =
  (stage: UpstreamStage, line: string): RelayScript =>
  async (call) => {
    if (stage === 'final-reply') await call.read();
    return result(call.envelope.forwardPaths.map(() => ({ stage, reply: replyOf(line) })));
  };

/** By address; others get it. */
export const refusesRecipients =
  (lines: Readonly<Record<string, string>>): RelayScript =>
  async (call) => {
    const paths = call.envelope.forwardPaths;
    const accepted = paths.flatMap(({ address }, index) => (lines[address] === undefined ? [index] : []));
    if (accepted.length > 0) await call.deliver(accepted);
    return result(
      paths.map(({ address }): StagedReply => {
        const line = lines[address];
        return line === undefined ? { stage: 'final-reply', reply: OK } : { stage: 'rcpt', reply: replyOf(line) };
      }),
    );
  };

/** The session fails. After the dot, `delivers` says whether the provider had the message. */
export const failsAt =
  (stage: UpstreamStage, code: ProblemCode = 'UPSTREAM_LOST', delivers = false): RelayScript =>
  async (call) => {
    const isAfterDot = stage === 'final-reply';
    if (isAfterDot || stage === 'content') await (delivers ? call.deliver() : call.read());
    const what = problem(isAfterDot ? 'UPSTREAM_AMBIGUOUS' : code, `the session failed at ${stage}`);
    return result(
      call.envelope.forwardPaths.map(() => undefined),
      new UpstreamError(stage, what, reply(451, '4.4.2', 'Lost')),
    );
  };

export class ScriptedUpstream implements Upstream {
  /** Attempts so far. */
  readonly calls: RelayCall[] = [];
  /** What recipients have got, in order. */
  readonly delivered: Delivered[] = [];
  underWay = 0;
  mostUnderWay = 0;
  script: RelayScript = takesAll;

  /** Answer the next attempts so, one after another, and those after them as before. */
  next(...scripts: RelayScript[]): void {
    const before = this.script;
    const queue = [...scripts];
    this.script = (call) => (queue.shift() ?? before)(call);
  }

  async relay(
    account: Account,
    envelope: Envelope,
    openContent: () => AsyncIterable<Uint8Array>,
    patience: DurationMs,
  ): Promise<RelayResult> {
    const read = async (): Promise<string> => {
      let text = '';
      for await (const chunk of openContent()) text += Buffer.from(chunk).toString('latin1');
      return text;
    };
    const deliver = async (indexes = envelope.forwardPaths.map((_, index) => index)): Promise<void> => {
      const content = await read();
      for (const index of indexes) {
        const address = envelope.forwardPaths[index]?.address ?? '';
        this.delivered.push({ account: account.name, address, content });
      }
    };
    const call: RelayCall = { account, envelope, patience, number: this.calls.length + 1, read, deliver };
    this.calls.push(call);
    this.underWay += 1;
    this.mostUnderWay = Math.max(this.mostUnderWay, this.underWay);
    try {
      return await this.script(call);
    } finally {
      this.underWay -= 1;
    }
  }

  begin(): never {
    throw new Error('these tests hand over whole messages');
  }
}

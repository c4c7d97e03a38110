/**
 * What a session says to the operator: each line with session, listener, peer, and client and account once they are known.
 *
 * Names that a peer gave are cut and cleaned; passwords and lines of an AUTH exchange never come here.
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import type { QueueId, SessionId } from '../core/ids.ts';
import type { Mutable } from '../core/mutable.ts';
import type { Log, LogFields } from '../core/ports/log.ts';
import type { Problem } from '../core/problem.ts';
import { describeReply, type Reply } from '../core/reply.ts';

/** What is known from the start. */
export interface SessionFacts {
  readonly sessionId: SessionId;
  readonly listener: string;
  readonly peer: string;
}

export class SessionJournal {
  readonly #log: Log;
  readonly facts: SessionFacts;
  /** Set once the client is known. */
  client: Client | undefined;
  /** Of the transaction that is open. */
  queueId: QueueId | undefined;

  constructor(log: Log, facts: SessionFacts) {
    this.#log = log;
    this.facts = facts;
  }

  /** Something was refused because of `what`; `answer` is what the client reads. */
  refused(event: string, what: Problem, answer: Reply | string | undefined, fields: Partial<LogFields> = {}): void {
    const said = typeof answer === 'object' ? describeReply(answer) : answer;
    const line = this.#line(event, { problem: what, ...(said === undefined ? {} : { reply: said }), ...fields });
    this.#log.warn(line, what.cause);
  }

  /** A defect of ours. */
  defect(error: unknown, fields: Partial<LogFields> & { readonly problem: Problem }): void {
    this.#log.error(this.#line('defect', { ...fields, error }), fields.problem.cause);
  }

  info(event: string, message: string, fields: Partial<LogFields> = {}): void {
    this.#log.info(this.#line(event, fields), message);
  }

  debug(event: string, message: string, fields: Partial<LogFields> = {}): void {
    this.#log.debug(this.#line(event, fields), message);
  }

  /** A line of the dialogue: `C: …` or `S: …`, composed only where somebody hears it. Nothing that may hold a password, and nothing of a message. */
  trace(line: () => string): void {
    if (this.#log.hearsTrace === false) return;
    this.#log.trace(this.#line('client-dialogue', {}), line());
  }

  #line(event: string, fields: Partial<LogFields>): LogFields {
    const { client, queueId } = this;
    const { sessionId, listener, peer } = this.facts;
    const line: Mutable<LogFields> = { event, sessionId, listener, peer };
    if (client !== undefined) {
      line.client = client.name;
      line.account = client.account;
    }
    if (queueId !== undefined) line.queueId = queueId;
    Object.assign(line, fields);
    line.event = event;
    return line;
  }
}

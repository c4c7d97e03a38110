/**
 * What a session is talking about once the application has logged in, as far as the proxy has to know.
 *
 * Nearly everything passes through unchanged. A command that signs in does not: an application that logs in twice, or goes on with another password
 * before it has read that the first was right, would send its local password upstream; its words are cut off such a command, so that the upstream answers it in its
 * turn, as wrong. Nor does a goodbye of the upstream where the session can go on over another connection.
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';

/** A session that goes on over another connection. */
export interface Continued {
  /** Whole responses that tell the application what has changed meanwhile; may be empty. */
  readonly news: Buffer;
  /** What the server has said behind them. */
  readonly rest: Buffer;
}

/** The session cannot go on over another connection. The message says why, as part of a sentence. */
export class NotContinued extends Error {
  override readonly name = 'NotContinued';
}

export interface Conversation {
  /** @returns What goes upstream; a little of it may be kept until more comes. */
  fromApp(chunk: Buffer): Buffer;
  /** The application has said its last word. @returns What was kept. */
  appEnded(): Buffer;
  /** @returns What goes to the application; a little of it may be kept until more comes. */
  fromUpstream(chunk: Buffer): Buffer;
  /** The last response that the application has read anything of is complete: a line of ours would be read as one. */
  readonly isAtRest: boolean;
  /** A command is being carried out. */
  readonly isBusy: boolean;
  /** One of the two has said that the session is over. */
  readonly hasSaidGoodbye: boolean;
  /** What the upstream has said to end the session, where that was kept from the application because the session can go on. */
  readonly keptGoodbye: string | undefined;
  /** Why the session cannot go on over another connection at this moment; undefined where it can. */
  readonly obstacle: string | undefined;
  /**
   * Bring a new session of the same mailbox to where this one is. Nothing is noted until {@link Conversation.moved}.
   *
   * @param fresh - Paused. It is the caller's to close, also after an error.
   * @throws NotContinued, ProblemError
   */
  continueOn(fresh: OpenMailbox, clock: Clock): Promise<Continued>;
  /** From now on it is the new session that speaks, first with `news`. What the old one was about to say is forgotten. */
  moved(): void;
  /** The line, with its end, that ends a session which {@link Conversation.isAtRest}. */
  farewell(why: string): string;
}

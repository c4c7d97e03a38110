/**
 * What a session is talking about once the application has logged in, as far as the proxy has to know.
 *
 * Everything passes through unchanged but for one thing: a command that signs in. An application that logs in twice, or goes on with another password
 * before it has read that the first was right, would send its local password upstream; its words are cut off such a command, so that the upstream answers it in its
 * turn, as wrong.
 *
 * @packageDocumentation
 */

export interface Conversation {
  /** @returns What goes upstream; a little of it may be kept until more comes. */
  fromApp(chunk: Buffer): Buffer;
  /** The application has said its last word. @returns What was kept. */
  appEnded(): Buffer;
  /** What the upstream says goes to the application as it is. */
  fromUpstream(chunk: Buffer): void;
  /** The upstream's last response is complete: a line of ours would be read as one. */
  readonly isAtRest: boolean;
  /** A command is being carried out. */
  readonly isBusy: boolean;
  /** One of the two has said that the session is over. */
  readonly hasSaidGoodbye: boolean;
  /** The line, with its end, that ends a session which {@link Conversation.isAtRest}. */
  farewell(why: string): string;
}

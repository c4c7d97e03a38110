/**
 * How much a connection may talk without getting anywhere: submitting a message, or logging in to read some.
 *
 * Pure. Two counts: commands that were wrong, and commands that lead nowhere (NOOP, RSET, VRFY, EHLO again). A message that was accepted
 * wipes both out.
 *
 * @packageDocumentation
 */

const MOST_ERRORS = 20;
const MOST_IDLE_TALK = 100;

export class RejectionCounter {
  #errors = 0;
  #idleTalk = 0;

  /** @returns True where the connection has to be closed. */
  noteError(): boolean {
    this.#errors += 1;
    return this.#errors > MOST_ERRORS;
  }

  /** @returns True where the connection has to be closed. */
  noteIdleTalk(): boolean {
    this.#idleTalk += 1;
    return this.#idleTalk > MOST_IDLE_TALK;
  }

  forgive(): void {
    this.#errors = 0;
    this.#idleTalk = 0;
  }
}

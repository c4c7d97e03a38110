/**
 * Who has a message already, so that a recipient that took it does not get it again because another one could not.
 *
 * In memory and bounded: it is about messages that are held, of which there are few. After a restart such a recipient gets the message once more,
 * and recognises it by the id in its first Received field, which is the message's key.
 *
 * @packageDocumentation
 */

/** Messages remembered; the fetcher holds no more of a rule. */
const MOST_MESSAGES = 1_000;

export class RecipientLedger {
  readonly #has = new Map<string, Set<string>>();

  /** @returns Those of `recipients` that do not have it, as far as is known. */
  without(key: string, recipients: readonly string[]): string[] {
    const known = this.#has.get(key);
    return recipients.filter((recipient) => known?.has(recipient) !== true);
  }

  note(key: string, recipient: string): void {
    const known = this.#has.get(key) ?? new Set();
    known.add(recipient);
    // Once more at the end: the one forgotten first is the one that was noted longest ago.
    this.#has.delete(key);
    this.#has.set(key, known);
    const [oldest] = this.#has.keys();
    if (this.#has.size > MOST_MESSAGES && oldest !== undefined) this.#has.delete(oldest);
  }

  forget(key: string): void {
    this.#has.delete(key);
  }
}

/**
 * What the application was told about each of its messages, and what the provider has got: from these two alone it is judged.
 *
 * @packageDocumentation
 */

export class CutLedger {
  readonly #bodies = new Map<string, string>();
  readonly #accepted = new Set<string>();
  readonly #received = new Map<string, number>();
  #altered = 0;

  /** An attempt, of which every octet behind the header section is known. */
  attempted(id: string, body: string): void {
    this.#bodies.set(id, body);
  }

  /** The application has read a whole 250 behind its final dot. */
  accepted(id: string): void {
    this.#accepted.add(id);
  }

  /** The provider keeps it. */
  received(id: string, content: string): void {
    this.#received.set(id, (this.#received.get(id) ?? 0) + 1);
    const body = this.#bodies.get(id);
    if (body === undefined || content.slice(content.indexOf('\r\n\r\n') + 4) !== body) this.#altered += 1;
  }

  get counts() {
    return {
      attempts: this.#bodies.size,
      '250 seen by the app': this.#accepted.size,
      'received by the provider': this.#received.size,
      'received, and no 250 seen': [...this.#received.keys()].filter((id) => !this.#accepted.has(id)).length,
      'false 250': [...this.#accepted].filter((id) => !this.#received.has(id)).length,
      'received twice in one attempt': [...this.#received.values()].filter((times) => times > 1).length,
      'received altered or in part': this.#altered,
    };
  }

  broken(): string[] {
    const { counts } = this;
    const never = ['false 250', 'received twice in one attempt', 'received altered or in part'] as const;
    return never.filter((what) => counts[what] > 0).map((what) => `${what}: ${counts[what]}`);
  }
}

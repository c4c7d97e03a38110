/**
 * Chance, injected so that tests can fix it.
 *
 * @packageDocumentation
 */

/** A source of random values. Implementation: platform/system-random.ts. */
export interface Random {
  /** A number in [0, 1). Not for secrets. */
  fraction(): number;
  /** `count` octets fit for keys and ids. */
  octets(count: number): Uint8Array;
}

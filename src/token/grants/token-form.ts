/**
 * What a grant sends to the token endpoint: form parameters (RFC 6749 Appendix B), and what making them needs.
 *
 * One file per grant beside this one; grants.ts knows them all.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../core/clock.ts';
import type { Random } from '../../core/ports/random.ts';

/** A form to post. */
export interface TokenForm {
  readonly parameters: Readonly<Record<string, string>>;
  /** Those of its values that must not show up anywhere. */
  readonly secrets: readonly string[];
}

/** Time, chance and files: assertions have all three in them. */
export interface FormContext {
  readonly now: EpochMs;
  readonly random: Random;
  /** The text of a small file. @throws Error of node:fs, or one that says what is wrong with the file. */
  readonly readFile: (path: string) => Promise<string>;
}

/** The `scope` parameter; absent where none is asked for (RFC 6749 §3.3). */
export function scopeParameter(scopes: readonly string[]): { readonly scope?: string } {
  return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

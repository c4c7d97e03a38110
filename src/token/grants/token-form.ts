/**
 * What a grant sends to the token endpoint: form parameters (RFC 6749 Appendix B).
 *
 * Pure. One file per grant beside this one; grants.ts knows them all.
 *
 * @packageDocumentation
 */

/** A form to post. */
export interface TokenForm {
  readonly parameters: Readonly<Record<string, string>>;
  /** Those of its values that must not show up anywhere. */
  readonly secrets: readonly string[];
}

/** The `scope` parameter; absent where none is asked for (RFC 6749 §3.3). */
export function scopeParameter(scopes: readonly string[]): { readonly scope?: string } {
  return scopes.length === 0 ? {} : { scope: scopes.join(' ') };
}

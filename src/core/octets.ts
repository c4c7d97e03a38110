/**
 * Sizes in octets.
 *
 * @packageDocumentation
 */

declare const unit: unique symbol;

/** A count of octets. */
export type Octets = number & { readonly [unit]: 'Octets' };

export const octets = (count: number): Octets => count as Octets;
export const kibibytes = (count: number): Octets => (count * 1024) as Octets;
export const mebibytes = (count: number): Octets => (count * 1024 * 1024) as Octets;

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

/** Octets in order: as they come, or all of them, where they are here already and small enough to be held. */
export type Chunks = AsyncIterable<Uint8Array> | readonly Uint8Array[];

/** All of them are here. */
export const areHere = (chunks: Chunks): chunks is readonly Uint8Array[] => Array.isArray(chunks);

/** How many they are. */
export const sizeOf = (chunks: readonly Uint8Array[]): Octets => octets(chunks.reduce((sum, { length }) => sum + length, 0));

/**
 * Which Postern this is.
 *
 * @packageDocumentation
 */

/** Put in by the build (scripts/build.mjs). */
declare const POSTERN_VERSION: string | undefined;

/** `1.2.3`; `unbuilt` when run from its sources. */
export const VERSION: string = typeof POSTERN_VERSION === 'string' ? POSTERN_VERSION : 'unbuilt';

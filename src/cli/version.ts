/**
 * `postern version`.
 *
 * @packageDocumentation
 */
import { type Command, EXIT } from './command.ts';

/** Put in by the build (scripts/build.mjs). */
declare const POSTERN_VERSION: string | undefined;

export const version: Command = {
  run({ isJson }) {
    const text = typeof POSTERN_VERSION === 'string' ? POSTERN_VERSION : 'unbuilt';
    process.stdout.write(
      isJson ? `${JSON.stringify({ version: text, node: process.version })}\n` : `postern ${text} (node ${process.version})\n`,
    );
    return Promise.resolve(EXIT.ok);
  },
};

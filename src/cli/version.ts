/**
 * `postern version`.
 *
 * @packageDocumentation
 */
import { VERSION } from '../core/version.ts';
import { type Command, EXIT } from './command.ts';

export const version: Command = {
  run({ isJson }) {
    process.stdout.write(
      isJson ? `${JSON.stringify({ version: VERSION, node: process.version })}\n` : `postern ${VERSION} (node ${process.version})\n`,
    );
    return Promise.resolve(EXIT.ok);
  },
};

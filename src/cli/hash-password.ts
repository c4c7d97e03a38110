/**
 * `postern hash-password`: a password on standard input becomes the value of `clients[].passwordHash`.
 *
 * Standard input, not an argument: arguments can be read by every user of the machine.
 *
 * @packageDocumentation
 */
import { hashPassword } from '../platform/password.ts';
import { type Command, EXIT } from './command.ts';

/** A longer password is a mistake, such as a file piped in. */
const LONGEST = 4096;

export const hashPasswordCommand: Command = {
  async run({ isJson }) {
    if (process.stdin.isTTY) process.stderr.write('Type the password (it is shown), then Enter: ');
    const password = await firstLine();
    if (password === '') {
      process.stderr.write('postern: no password on standard input\n');
      return EXIT.usage;
    }
    const passwordHash = await hashPassword(password);
    process.stdout.write(isJson ? `${JSON.stringify({ passwordHash })}\n` : `${passwordHash}\n`);
    return EXIT.ok;
  },
};

/** The first line without its line end; nothing else is trimmed, since a password may end in a space. */
async function firstLine(): Promise<string> {
  let text = '';
  for await (const chunk of process.stdin.setEncoding('utf8')) {
    text += String(chunk);
    if (text.includes('\n')) break;
    if (text.length > LONGEST) throw new Error(`the password is longer than ${LONGEST} characters`);
  }
  return text.split(/\r?\n/, 1)[0] ?? '';
}

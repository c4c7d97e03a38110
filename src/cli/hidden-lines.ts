/**
 * Reads lines that hold secrets from standard input: at a terminal they are not shown, and may be longer than the 4095 characters that a terminal takes
 * in its line mode.
 *
 * @packageDocumentation
 */
import { createInterface } from 'node:readline';
import { Writable } from 'node:stream';

/** No token or address is longer. */
const LONGEST = 64 * 1024;

export class HiddenLines {
  readonly #lines: AsyncIterator<string>;
  readonly #close: () => void;

  constructor(input: NodeJS.ReadStream = process.stdin) {
    if (input.isTTY) {
      const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
      const reader = createInterface({ input, output: nowhere, terminal: true });
      this.#lines = reader[Symbol.asyncIterator]();
      this.#close = () => reader.close();
    } else {
      this.#lines = cappedLines(input);
      this.#close = () => void input.destroy();
    }
  }

  /** The next line without its end; undefined when there are no more. @throws Error for a line that is far too long. */
  async next(): Promise<string | undefined> {
    const { done, value } = await this.#lines.next();
    return done === true ? undefined : value;
  }

  /** Lets the process end. */
  close(): void {
    this.#close();
  }
}

async function* cappedLines(input: NodeJS.ReadStream): AsyncGenerator<string, undefined> {
  let rest = '';
  for await (const chunk of input.setEncoding('utf8')) {
    const lines = (rest + String(chunk)).split(/\r?\n/);
    rest = lines.pop() ?? '';
    if (rest.length > LONGEST) throw new Error(`a line of standard input is longer than ${LONGEST} characters`);
    yield* lines;
  }
  if (rest !== '') yield rest;
  return undefined;
}

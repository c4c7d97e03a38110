/**
 * Follows a POP3 session: which commands wait for an answer, and where answers of several lines end.
 *
 * Sources: RFC 1939 §3 (responses), §5; RFC 2449 §5 (CAPA).
 *
 * @packageDocumentation
 */
import { type Conversation, NotContinued } from './conversation.ts';

const LF = 0x0a;
/** Of a line that is a command, enough to know its verb. */
const HEAD = 64;
const ALWAYS_MANY = /^(?:RETR|TOP|CAPA)$/;
/** One line with an argument, many without. */
const SOMETIMES_MANY = /^(?:LIST|UIDL)$/;
/** Cut off, and what goes upstream in their place; without an argument AUTH would ask for a list. */
const SIGN_IN: Readonly<Record<string, string>> = { USER: 'USER', PASS: 'PASS', APOP: 'APOP', AUTH: 'AUTH *' };
const COMMANDS = /^(?:STAT|LIST|RETR|DELE|NOOP|RSET|QUIT|TOP|UIDL|CAPA|USER|PASS|APOP|AUTH|STLS|UTF8|LANG)\b/i;
const LONGEST_SASL_LINE = 16_384;

export class Pop3Conversation implements Conversation {
  /** Whether the answer to each command has many lines, oldest first. */
  readonly #pending: boolean[] = [];
  #hasSaidGoodbye = false;
  /** Start of the application's line; undefined once its verb is known. */
  #head: string | undefined = '';
  #verb = '';
  #hasArgument = false;
  #isDropping = false;
  #isDroppingSasl = false;
  /** Of the line that the upstream is saying; a few octets. */
  #lineStart = '';
  #isLineStart = true;
  #isInBody = false;

  fromApp(chunk: Buffer): Buffer {
    const out: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      const end = chunk.indexOf(LF, at);
      const stop = end === -1 ? chunk.length : end + 1;
      const part = chunk.subarray(at, stop);
      at = stop;
      const passed = this.#head === undefined ? this.#goOn(part) : this.#begin(part, end !== -1);
      if (passed !== undefined) out.push(passed);
      if (end !== -1 && this.#head === undefined) this.#endCommand();
    }
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  }

  appEnded(): Buffer {
    const kept = this.#isDroppingSasl ? '' : (this.#head ?? '');
    this.#head = '';
    return Buffer.from(kept, 'latin1');
  }

  fromUpstream(chunk: Buffer): Buffer {
    this.#follow(chunk);
    return chunk;
  }

  get isAtRest(): boolean {
    return this.#isLineStart && !this.#isInBody;
  }

  /** Between commands too: to cut a session short of QUIT undoes its deletions (RFC 1939 §6). */
  get isBusy(): boolean {
    return !this.#hasSaidGoodbye;
  }

  get hasSaidGoodbye(): boolean {
    return this.#hasSaidGoodbye;
  }

  get keptGoodbye(): undefined {
    return undefined;
  }

  /** RFC 1939 §4, §6: lock, numbers and deletions are those of one connection. */
  get obstacle(): string {
    return 'a session of POP3 ends with its connection';
  }

  continueOn(): Promise<never> {
    return Promise.reject(new NotContinued(this.obstacle));
  }

  moved(): never {
    throw new Error(this.obstacle);
  }

  farewell(why: string): string {
    return `-ERR [SYS/TEMP] ${why}\r\n`;
  }

  #follow(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const end = chunk.indexOf(LF, at);
      const stop = end === -1 ? chunk.length : end + 1;
      if (this.#lineStart.length < 4) this.#lineStart += chunk.toString('latin1', at, Math.min(stop, at + 4));
      this.#isLineStart = end !== -1;
      at = stop;
      if (end === -1) return;
      this.#endLine(this.#lineStart);
      this.#lineStart = '';
    }
  }

  #begin(part: Buffer, isWholeLine: boolean): Buffer | undefined {
    this.#head = (this.#head ?? '') + part.toString('latin1');
    const head = this.#head;
    if (this.#isDroppingSasl && !/[ ]/.test(head) && head.length < LONGEST_SASL_LINE) {
      if (!isWholeLine) return undefined;
      if (!COMMANDS.test(head)) {
        this.#head = '';
        return undefined;
      }
    }
    const verb = /^([A-Za-z0-9]+)[ \r\n]/.exec(head)?.[1]?.toUpperCase();
    if (verb === undefined && !isWholeLine && head.length < HEAD) return undefined;
    this.#head = undefined;
    this.#isDroppingSasl = false;
    this.#verb = verb ?? '';
    this.#hasArgument = /^\S+ +\S/.test(head);
    const instead = SIGN_IN[this.#verb];
    if (instead === undefined) return Buffer.from(head, 'latin1');
    this.#isDropping = true;
    this.#isDroppingSasl = this.#verb === 'AUTH';
    return Buffer.from(`${instead}\r\n`, 'latin1');
  }

  #goOn(part: Buffer): Buffer | undefined {
    this.#hasArgument ||= /\S/.test(part.toString('latin1', 0, 16));
    return this.#isDropping ? undefined : part;
  }

  #endCommand(): void {
    this.#head = '';
    this.#isDropping = false;
    this.#pending.push(ALWAYS_MANY.test(this.#verb) || (SOMETIMES_MANY.test(this.#verb) && !this.#hasArgument));
    if (this.#verb === 'QUIT') this.#hasSaidGoodbye = true;
  }

  #endLine(start: string): void {
    if (this.#isInBody) {
      if (/^\.\r?\n/.test(start)) this.#isInBody = false;
      return;
    }
    const hasMany = this.#pending.shift() === true;
    if (hasMany && start.startsWith('+OK')) this.#isInBody = true;
  }
}

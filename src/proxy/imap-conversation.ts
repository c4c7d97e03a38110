/**
 * Follows an IMAP session: where commands begin, which are being carried out, and where the server's responses end.
 *
 * Literals are skipped by their length, so following costs next to nothing while a message passes.
 *
 * Sources: RFC 9051 §2.2 (commands and responses), §4.3 (literals), §6.3.13 (IDLE); RFC 7888 (`{n+}`).
 *
 * @packageDocumentation
 */
import type { Conversation } from './conversation.ts';

const LF = 0x0a;
/** Enough of a line's start to know tag and verb, and of its end to know the literal. */
const HEAD = 512;
const TAIL = 24;
/** More commands than this are in flight in no sane session; the oldest are forgotten. */
const MOST_PENDING = 1000;

const SIGN_IN = /^(?:LOGIN|AUTHENTICATE)$/i;
const LITERAL = /\{(\d{1,10})(\+?)\}\r?\n$/;
/** What a line behind a sign-in that was cut off must be to go upstream: anything else may be what was left of it. */
const KNOWN =
  /^\S+ +(?:CAPABILITY|NOOP|LOGOUT|ID|ENABLE|SELECT|EXAMINE|CREATE|DELETE|RENAME|SUBSCRIBE|UNSUBSCRIBE|X?LIST|LSUB|STATUS|APPEND|IDLE|NAMESPACE|CHECK|CLOSE|UNSELECT|EXPUNGE|SEARCH|SORT|THREAD|FETCH|STORE|COPY|MOVE|UID|GETQUOTA|GETQUOTAROOT|GETACL|MYRIGHTS|[GS]ETMETADATA|NOTIFY|COMPRESS|STARTTLS|LOGIN|AUTHENTICATE)[ \r\n]/i;
/** The longest start that may become one: a tag, blanks and a verb. */
const LONGEST_START = 256;

export class ImapConversation implements Conversation {
  readonly #app = new AppSide((tag, verb) => this.#began(tag, verb));
  readonly #pending = new Map<string, string>();
  #hasSaidGoodbye = false;
  /** Of the response that is coming. */
  #head = '';
  #tail = '';
  #literalLeft = 0;
  #isAtRest = true;

  fromApp(chunk: Buffer): Buffer {
    return this.#app.read(chunk);
  }

  appEnded(): Buffer {
    return this.#app.end();
  }

  fromUpstream(chunk: Buffer): void {
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#literalLeft, chunk.length - at);
      this.#literalLeft -= skipped;
      at += skipped;
      if (at === chunk.length) return;
      const end = chunk.indexOf(LF, at);
      const stop = end === -1 ? chunk.length : end + 1;
      if (this.#isAtRest) [this.#isAtRest, this.#head] = [false, ''];
      if (this.#head.length < HEAD) this.#head += chunk.toString('latin1', at, Math.min(stop, at + HEAD));
      this.#tail = (this.#tail + chunk.toString('latin1', Math.max(at, stop - TAIL), stop)).slice(-TAIL);
      at = stop;
      if (end === -1) return;
      const literal = LITERAL.exec(this.#tail);
      this.#tail = '';
      if (literal === null) this.#responded();
      else this.#literalLeft = Number(literal[1]);
    }
  }

  get isAtRest(): boolean {
    return this.#isAtRest;
  }

  /** IDLE is a command that lasts; nothing is lost when it ends. */
  get isBusy(): boolean {
    return [...this.#pending.values()].some((verb) => verb !== 'IDLE');
  }

  get hasSaidGoodbye(): boolean {
    return this.#hasSaidGoodbye;
  }

  farewell(why: string): string {
    return `* BYE ${why}\r\n`;
  }

  #began(tag: string, verb: string): void {
    this.#pending.set(tag, verb);
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size <= MOST_PENDING) return;
      this.#pending.delete(oldest);
    }
  }

  #responded(): void {
    this.#isAtRest = true;
    if (/^\* BYE\b/i.test(this.#head)) this.#hasSaidGoodbye = true;
    const [, tag, status] = /^(\S+) (OK|NO|BAD)\b/i.exec(this.#head) ?? [];
    if (tag === undefined || status === undefined || tag === '*') return;
    this.#pending.delete(tag);
    this.#app.concluded(tag);
  }
}

/** The application's half. */
class AppSide {
  readonly #onCommand: (tag: string, verb: string) => void;
  /** A command's start that is not yet enough to know its verb; undefined inside a command. */
  #head: string | undefined = '';
  #tail = '';
  #tag = '';
  #literalLeft = 0;
  /** The literal that comes has been announced and not begun: the server may still refuse it. */
  #isAwaitingConsent = false;
  /** Inside a command that signs in: nothing of it goes upstream. */
  #isDropping = false;
  /**
   * A sign-in was cut off that may have further parts: responses to challenges, literals that wait for consent or that are longer than announced. An
   * application that does not wait sends them all the same, perhaps after it could have read the refusal; so lines go nowhere until one is a command.
   */
  #isWary = false;

  constructor(onCommand: (tag: string, verb: string) => void) {
    this.#onCommand = onCommand;
  }

  read(chunk: Buffer): Buffer {
    // Where nothing begins in it, a chunk passes as it is.
    if (this.#literalLeft >= chunk.length && !this.#isDropping) {
      this.#literalLeft -= chunk.length;
      this.#isAwaitingConsent = false;
      return chunk;
    }
    const out: Buffer[] = [];
    for (let at = 0; at < chunk.length; ) {
      if (this.#literalLeft > 0) {
        const stop = Math.min(chunk.length, at + this.#literalLeft);
        this.#isAwaitingConsent = false;
        this.#literalLeft -= stop - at;
        if (!this.#isDropping) out.push(chunk.subarray(at, stop));
        at = stop;
        continue;
      }
      const end = chunk.indexOf(LF, at);
      const stop = end === -1 ? chunk.length : end + 1;
      const part = chunk.subarray(at, stop);
      at = stop;
      const passed = this.#head === undefined ? (this.#isDropping ? undefined : part) : this.#begin(part, end !== -1);
      if (passed !== undefined) out.push(passed);
      this.#tail = (this.#tail + part.toString('latin1', Math.max(0, part.length - TAIL))).slice(-TAIL);
      if (end !== -1 && this.#head !== '') this.#endLine();
      else if (end !== -1) this.#tail = '';
    }
    return out.length === 1 && out[0] !== undefined ? out[0] : Buffer.concat(out);
  }

  end(): Buffer {
    const kept = this.#head ?? '';
    this.#head = '';
    return Buffer.from(this.#isWary ? '' : kept, 'latin1');
  }

  /** The server has answered a command, perhaps instead of consenting to its literal. */
  concluded(tag: string): void {
    if (!this.#isAwaitingConsent || tag !== this.#tag) return;
    this.#isAwaitingConsent = false;
    this.#literalLeft = 0;
    this.#isWary ||= this.#isDropping;
    this.#isDropping = false;
    this.#head = '';
  }

  /** @returns What of the command's start goes upstream now. */
  #begin(part: Buffer, isWholeLine: boolean): Buffer | undefined {
    this.#head = (this.#head ?? '') + part.toString('latin1');
    const head = this.#head;
    if (this.#isWary && !KNOWN.test(head)) {
      this.#head = isWholeLine ? '' : head.slice(0, LONGEST_START);
      return undefined;
    }
    this.#isWary = false;
    const [, tag, verb] = /^(\S+) +([A-Za-z]+)[ \r\n]/.exec(head) ?? [];
    if (tag === undefined || verb === undefined) {
      if (!isWholeLine && head.length < HEAD) return undefined;
    } else {
      this.#tag = tag;
      this.#onCommand(tag, verb.toUpperCase());
    }
    this.#head = undefined;
    if (tag === undefined || verb === undefined || !SIGN_IN.test(verb)) return Buffer.from(head, 'latin1');
    this.#isDropping = true;
    this.#isWary = true;
    return Buffer.from(`${tag} ${verb}\r\n`, 'latin1');
  }

  #endLine(): void {
    const literal = LITERAL.exec(this.#tail);
    this.#tail = '';
    if (literal === null) {
      this.#head = '';
      this.#isDropping = false;
      return;
    }
    this.#literalLeft = Number(literal[1]);
    // Who does not wait for consent goes on with the literal, also inside a command that is cut off; who waits reads the answer first.
    this.#isAwaitingConsent = literal[2] === '';
  }
}

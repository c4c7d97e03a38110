/**
 * The application's half of an IMAP session: where its commands begin and end, and what of them goes upstream.
 *
 * @packageDocumentation
 */
const LF = 0x0a;
/** Enough of a command's start to know tag and verb. */
const HEAD = 512;
/** Enough of a line's end to know the literal. */
const TAIL = 24;
/** The first line of a command that matters to us is read whole up to this (RFC 2683 §3.2.1.5 would have it at most 1,000). */
const LONGEST_NOTED = 2048;

const SIGN_IN = /^(?:LOGIN|AUTHENTICATE)$/i;
const LITERAL = /\{(\d{1,10})(\+?)\}\r?\n$/;
/** Commands whose first line the listener reads whole. */
const NOTED = /^(?:SELECT|EXAMINE|SEARCH|UID|IDLE|NOOP|CHECK)$/;
/** What a line behind a sign-in that was cut off must be to go upstream: anything else may be what was left of it. */
const KNOWN =
  /^\S+ +(?:CAPABILITY|NOOP|LOGOUT|ID|ENABLE|SELECT|EXAMINE|CREATE|DELETE|RENAME|SUBSCRIBE|UNSUBSCRIBE|X?LIST|LSUB|STATUS|APPEND|IDLE|NAMESPACE|CHECK|CLOSE|UNSELECT|EXPUNGE|SEARCH|SORT|THREAD|FETCH|STORE|COPY|MOVE|UID|GETQUOTA|GETQUOTAROOT|GETACL|MYRIGHTS|[GS]ETMETADATA|NOTIFY|COMPRESS|STARTTLS|LOGIN|AUTHENTICATE)[ \r\n]/i;
/** The longest start that may become one: a tag, blanks and a verb. */
const LONGEST_START = 256;

/** Who wants to know. */
export interface CommandListener {
  /**
   * A command begins.
   *
   * @param verb - In capitals.
   * @param line - Its first line, with its end; undefined where it is of no interest or too long.
   * @returns What goes upstream in place of `line`; undefined for the line itself.
   */
  began(tag: string, verb: string, line: string | undefined): string | undefined;
  /** A line that is no command: DONE, or something that the server will not understand. */
  saidOther(line: string): void;
}

export class ImapAppSide {
  readonly #listener: CommandListener;
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

  constructor(listener: CommandListener) {
    this.#listener = listener;
  }

  /** Nothing has gone upstream of a command that is not complete. */
  get isBetweenCommands(): boolean {
    return this.#head !== undefined && this.#literalLeft === 0;
  }

  /** @returns What goes upstream. */
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

  /** @returns What was kept. */
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
    const isNoted = verb !== undefined && NOTED.test(verb.toUpperCase());
    if (!isWholeLine && head.length < (isNoted ? LONGEST_NOTED : HEAD) && (verb === undefined || isNoted)) return undefined;
    this.#head = undefined;
    if (tag === undefined || verb === undefined) {
      this.#listener.saidOther(head);
      return Buffer.from(head, 'latin1');
    }
    this.#tag = tag;
    const instead = this.#listener.began(tag, verb.toUpperCase(), isNoted && isWholeLine ? head : undefined);
    if (!SIGN_IN.test(verb)) return Buffer.from(instead ?? head, 'latin1');
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

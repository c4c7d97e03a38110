/**
 * Follows an IMAP session: where commands begin, which are being carried out, where the server's responses end, and what the application knows of its mailbox.
 *
 * Literals are skipped by their length, so following costs next to nothing while a message passes. What is remembered is bounded.
 *
 * Sources: RFC 9051 §2.2 (commands and responses), §4.3 (literals), §6.3.13 (IDLE), §7.1.5 (BYE); RFC 7888 (`{n+}`).
 *
 * @packageDocumentation
 */
import type { ImapQuirks } from '../core/listener.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import { type Continued, type Conversation, NotContinued } from './conversation.ts';
import { ImapAppSide } from './imap-app-side.ts';
import { continueImap, type IdleState } from './imap-continuation.ts';
import { withoutCharset, withSpecialUse } from './imap-quirks.ts';
import { type Anchor, MailboxView } from './mailbox-view.ts';

const LF = 0x0a;
/** Enough of a response to know what it is, and of its end to know the literal. */
const HEAD = 512;
const TAIL = 24;
/** More commands than this are in flight in no sane session; the oldest are forgotten. */
const MOST_PENDING = 1000;

const LITERAL = /\{(\d{1,10})\+?\}\r?\n$/;
/** What these set up ends with the connection, and no other connection would know of it. */
const SPOILING = /^(?:ENABLE|NOTIFY|COMPRESS|LANGUAGE|COMPARATOR|STARTTLS|UNAUTHENTICATE)$/;
/** A stored result (RFC 5182), a search that goes on (RFC 5267). */
const STORED_SEARCH = /\bRETURN \([^)]*\b(?:SAVE|UPDATE|CONTEXT)\b/i;
/** What the server says of its own accord is all that these bring. */
const TELLS_NOTHING = /^(?:IDLE|NOOP|CHECK|CAPABILITY|ID|NAMESPACE|X?LIST|LSUB)$/;
/** Asks for the UID of a message that has arrived, on the way of a command that the application sends anyway. */
const PROBE = 'postern-probe';

/** What is put right on the way. */
export type ConversationQuirks = Pick<ImapQuirks, 'plainSearch' | 'specialUse'>;

export class ImapConversation implements Conversation {
  readonly #quirks: ConversationQuirks;
  readonly #app = new ImapAppSide({
    began: (tag, verb, line) => this.#began(tag, verb, line),
    saidOther: (line) => this.#saidOther(line),
  });
  readonly #pending = new Map<string, string>();
  #hasSaidGoodbye = false;
  #keptGoodbye: string | undefined;
  /** Of the response that is coming. */
  #head = '';
  #tail = '';
  #isHeadWhole = true;
  #literalLeft = 0;
  #isBetweenResponses = true;
  /** Start of a response of which it is not yet known whether it is the application's. */
  #kept: Buffer[] = [];
  #isUndecided = false;
  #isProbing = false;
  #idle: IdleState | undefined;
  #view: MailboxView | undefined;
  /** The mailbox that is being selected. */
  #opening: MailboxView | undefined;
  /** Something has been agreed upon that another connection would not know. */
  #spoilt: string | undefined;
  /** Of the new session, until it is the one that speaks. */
  #nextAnchor: Anchor | undefined;

  constructor(quirks: ConversationQuirks = { plainSearch: false, specialUse: false }) {
    this.#quirks = quirks;
  }

  fromApp(chunk: Buffer): Buffer {
    return this.#app.read(chunk);
  }

  appEnded(): Buffer {
    return this.#app.end();
  }

  fromUpstream(chunk: Buffer): Buffer {
    if (this.#literalLeft >= chunk.length) {
      this.#literalLeft -= chunk.length;
      return chunk;
    }
    const out: Buffer[] = [];
    /** Up to here the chunk has been passed on, kept or dropped. */
    let from = 0;
    for (let at = 0; at < chunk.length; ) {
      const skipped = Math.min(this.#literalLeft, chunk.length - at);
      this.#literalLeft -= skipped;
      at += skipped;
      if (at === chunk.length) break;
      const end = chunk.indexOf(LF, at);
      const stop = end === -1 ? chunk.length : end + 1;
      this.#readPart(chunk, at, stop);
      if (this.#isUndecided) {
        const fate = this.#decide(end !== -1);
        if (fate !== 'pass' || this.#kept.length > 0) {
          out.push(chunk.subarray(from, at));
          if (typeof fate !== 'string') out.push(fate.instead);
          else if (fate !== 'drop') this.#kept.push(chunk.subarray(at, stop));
          if (fate === 'pass') out.push(...this.#kept);
          if (fate !== 'keep') this.#kept = [];
          from = stop;
        }
        this.#isUndecided = fate === 'keep';
      }
      at = stop;
      if (end !== -1) this.#endLine();
    }
    if (from === 0 && out.length === 0) return chunk;
    out.push(chunk.subarray(from));
    // Copied, since a piece of a chunk keeps all of it in memory.
    this.#kept = this.#kept.map((piece) => Buffer.from(piece));
    return Buffer.concat(out);
  }

  get isAtRest(): boolean {
    return this.#isBetweenResponses || this.#isUndecided;
  }

  /** IDLE is a command that lasts; nothing is lost when it ends. */
  get isBusy(): boolean {
    return [...this.#pending.values()].some((verb) => verb !== 'IDLE');
  }

  get hasSaidGoodbye(): boolean {
    return this.#hasSaidGoodbye;
  }

  get keptGoodbye(): string | undefined {
    return this.#keptGoodbye;
  }

  get obstacle(): string | undefined {
    if (!this.isAtRest) return 'a response was on its way';
    if (this.#hasSaidGoodbye) return 'a goodbye was said';
    if (!this.#app.isBetweenCommands || this.isBusy || this.#pending.size > 1) return 'a command was in progress';
    return this.#spoilt ?? this.#view?.obstacle;
  }

  async continueOn(fresh: OpenMailbox, clock: Clock): Promise<Continued> {
    const { obstacle } = this;
    if (obstacle !== undefined) throw new NotContinued(obstacle);
    const { anchor, ...continued } = await continueImap(fresh, { view: this.#view, idle: this.#idle }, clock);
    this.#nextAnchor = anchor;
    return continued;
  }

  moved(): void {
    [this.#head, this.#tail, this.#literalLeft] = ['', '', 0];
    [this.#isBetweenResponses, this.#isUndecided, this.#kept] = [true, false, []];
    [this.#isProbing, this.#keptGoodbye] = [false, undefined];
    if (this.#nextAnchor !== undefined) this.#view?.anchorAt(this.#nextAnchor);
    this.#nextAnchor = undefined;
  }

  farewell(why: string): string {
    return `* BYE ${why}\r\n`;
  }

  #readPart(chunk: Buffer, at: number, stop: number): void {
    if (this.#isBetweenResponses) {
      [this.#isBetweenResponses, this.#isUndecided] = [false, true];
      [this.#head, this.#isHeadWhole] = ['', true];
    }
    if (this.#head.length + (stop - at) > HEAD) this.#isHeadWhole = false;
    if (this.#head.length < HEAD) this.#head += chunk.toString('latin1', at, Math.min(stop, at + HEAD - this.#head.length));
    this.#tail = (this.#tail + chunk.toString('latin1', Math.max(at, stop - TAIL), stop)).slice(-TAIL);
  }

  #endLine(): void {
    const literal = LITERAL.exec(this.#tail);
    this.#tail = '';
    if (literal === null) this.#responded();
    else this.#literalLeft = Number(literal[1]);
  }

  /** Whether a response, of which the start is known, is for the application. */
  #decide(isWholeLine: boolean): 'pass' | 'keep' | 'drop' | { readonly instead: Buffer } {
    const head = this.#head;
    const isGoodbye = /^\* BYE\b/i.test(head);
    if (!isWholeLine) {
      const mayBeGoodbye = isGoodbye || '* BYE'.startsWith(head.toUpperCase());
      const mayBeList = this.#quirks.specialUse && (/^\* LIST /i.test(head) || '* LIST '.startsWith(head.toUpperCase()));
      return (mayBeGoodbye || mayBeList || this.#isProbing) && head.length < HEAD ? 'keep' : 'pass';
    }
    if (isGoodbye) {
      if (this.obstacle !== undefined) return 'pass';
      this.#keptGoodbye = head.slice('* BYE'.length).trim();
      return 'drop';
    }
    if (this.#quirks.specialUse && this.#isHeadWhole && /^\* LIST /i.test(head)) {
      const instead = withSpecialUse(head);
      return instead === head ? 'pass' : { instead: Buffer.from(instead, 'latin1') };
    }
    return this.#isProbing && (head.startsWith(`${PROBE} `) || /^\* \d+ FETCH \(UID \d+\)\r?\n$/i.test(head)) ? 'drop' : 'pass';
  }

  #began(tag: string, verb: string, line: string | undefined): string | undefined {
    const isAlone = this.#pending.size === 0;
    this.#pending.set(tag, verb);
    for (const oldest of this.#pending.keys()) {
      if (this.#pending.size <= MOST_PENDING) break;
      this.#pending.delete(oldest);
    }
    if (!TELLS_NOTHING.test(verb)) this.#view?.explored();
    if (SPOILING.test(verb)) this.#spoilt ??= `${verb} was used`;
    switch (verb) {
      case 'SELECT':
      case 'EXAMINE':
        // Where nothing is selected yet, other commands tell of no messages.
        this.#opening = openingOf(tag, verb, line, isAlone || (this.#view ?? this.#opening) === undefined);
        return undefined;
      case 'SEARCH':
      case 'UID':
        if (line === undefined) return undefined;
        if (STORED_SEARCH.test(line)) this.#view?.spoil('the server keeps a search result');
        return this.#quirks.plainSearch ? withoutCharset(line) : undefined;
      case 'IDLE':
        this.#idle = { tag, isConfirmed: false, isDone: false };
        break;
      case 'NOOP':
      case 'CHECK':
        break;
      default:
        return undefined;
    }
    return line !== undefined && isAlone && tag !== PROBE ? this.#withProbe(line) : undefined;
  }

  #withProbe(line: string): string | undefined {
    if (this.#isProbing || this.#view?.hasUnanchored !== true) return undefined;
    this.#isProbing = true;
    return `${PROBE} FETCH ${this.#view.exists} (UID)\r\n${line}`;
  }

  #saidOther(line: string): void {
    if (this.#idle !== undefined && /^DONE\r?\n$/i.test(line)) this.#idle = { ...this.#idle, isDone: true };
    else if (line.trim() !== '') this.#spoilt ??= 'the application has said something that is no command';
  }

  #responded(): void {
    this.#isBetweenResponses = true;
    const head = this.#head;
    if (head.startsWith('* ')) return this.#noteUntagged(head);
    if (head.startsWith('+')) {
      if (this.#idle !== undefined) this.#idle = { ...this.#idle, isConfirmed: true };
      return;
    }
    const [, tag, status] = /^(\S+) (OK|NO|BAD)\b/i.exec(head) ?? [];
    if (tag !== undefined && status !== undefined) this.#concluded(tag, status.toUpperCase(), head);
  }

  #noteUntagged(head: string): void {
    if (/^\* BYE\b/i.test(head)) this.#hasSaidGoodbye ||= this.#keptGoodbye === undefined;
    else (this.#opening ?? this.#view)?.note(head, this.#isHeadWhole);
    if ([...this.#pending.values()].some((verb) => !TELLS_NOTHING.test(verb))) this.#view?.explored();
  }

  #concluded(tag: string, status: string, head: string): void {
    if (this.#isProbing && tag === PROBE) this.#isProbing = false;
    const verb = this.#pending.get(tag);
    this.#pending.delete(tag);
    this.#app.concluded(tag);
    switch (verb) {
      case 'SELECT':
      case 'EXAMINE':
        // RFC 9051 §6.3.2: after a failure nothing is selected.
        this.#view = status === 'OK' ? this.#opening : undefined;
        this.#opening = undefined;
        this.#view?.opened(verb === 'EXAMINE' || /^\S+ OK \[READ-ONLY\]/i.test(head));
        return;
      case 'CLOSE':
      case 'UNSELECT':
        if (status === 'OK') this.#view = undefined;
        return;
      case 'IDLE':
        this.#idle = undefined;
        return;
      default:
    }
  }
}

/** @param line - The command; undefined where it was too long. */
function openingOf(tag: string, verb: string, line: string | undefined, isClear: boolean): MailboxView {
  const name = line?.slice(tag.length).trim().slice(verb.length).trim() ?? '';
  if (!isClear) return new MailboxView('', 'the mailbox was selected while another command was in progress');
  if (name === '' || LITERAL.test(line ?? '')) return new MailboxView('', 'the name of the mailbox came in a literal');
  // RFC 4466 §2.1: parameters, such as CONDSTORE and QRESYNC.
  if (name.endsWith(')')) return new MailboxView('', 'the mailbox was selected with parameters');
  return new MailboxView(`${verb} ${name}`);
}

/**
 * What an application has been told of the mailbox that it has selected: enough to say, on another connection, whether it is the same still.
 *
 * Message sequence numbers are the danger: who deletes message 5 must mean the message that is 5. UIDs only grow, and the messages below a UID can only become
 * fewer (RFC 9051 §2.3.1.1). So for the messages that an application knows to be the same ones it is enough that the last of them is where it was: its
 * anchor, a number of messages and a UID that they are below. Memory does not depend on the size of the mailbox, but for {@link FlagMemory}.
 *
 * @packageDocumentation
 */
import { FlagMemory } from './flag-memory.ts';

/** The first `count` messages have UIDs below `uidBound`, and all others have not. */
export interface Anchor {
  readonly count: number;
  readonly uidBound: number;
}

export class MailboxView {
  /** SELECT or EXAMINE, and the mailbox's name as the application wrote it. */
  readonly command: string;
  readonly flags = new FlagMemory();
  uidValidity: number | undefined;
  isReadOnly = false;
  /** Messages that the application knows of. */
  exists = 0;
  #anchor: Anchor | undefined;
  #uidNext: number | undefined;
  #obstacle: string | undefined;
  #isExplored = false;

  /** @param obstacle - Why it cannot be opened again on another connection. */
  constructor(command: string, obstacle?: string) {
    this.command = command;
    this.#obstacle = obstacle;
  }

  get anchor(): Anchor | undefined {
    return this.#anchor;
  }

  /** The application was told of a message whose UID nobody has heard. */
  get hasUnanchored(): boolean {
    return this.#anchor !== undefined && this.#anchor.count < this.exists;
  }

  /** Why nobody can say whether the mailbox is the same later on; undefined where one can. */
  get obstacle(): string | undefined {
    if (this.#obstacle !== undefined) return this.#obstacle;
    if (this.uidValidity === undefined || this.#anchor === undefined) return 'the server has told neither UIDVALIDITY nor UIDNEXT';
    if (this.hasUnanchored && this.#isExplored) return 'a message has arrived whose UID is not known';
    return this.flags.isFull ? 'the application knows the flags of too many messages' : undefined;
  }

  /**
   * A command that tells of messages is in progress. Of one whose UID nobody has heard, the application may know now which one it is; before, it knows no more
   * than that there is one, and then any other is as good.
   */
  explored(): void {
    if (this.hasUnanchored) this.#isExplored = true;
  }

  /** From now on there is something that another connection would not know. */
  spoil(why: string): void {
    this.#obstacle ??= why;
  }

  /** Behind SELECT, and behind a comparison that found everything the same. */
  anchorAt(anchor: Anchor): void {
    this.#anchor = anchor;
    this.#isExplored = false;
  }

  /** @param text - An untagged response, without its literals, perhaps cut short after some hundred octets. */
  note(text: string, isWhole: boolean): void {
    const [, count, what] = /^\* (\d{1,10}) (EXISTS|EXPUNGE|FETCH)\b/i.exec(text) ?? [];
    if (count !== undefined && what !== undefined) this.#noteMessage(Number(count), what.toUpperCase(), text, isWhole);
    else if (/^\* VANISHED\b/i.test(text)) this.spoil('the server speaks QRESYNC');
    else this.#noteCode(text);
  }

  #noteCode(text: string): void {
    const [, name, value] = /^\* OK \[(UIDVALIDITY|UIDNEXT) (\d{1,10})\]/i.exec(text) ?? [];
    if (name === undefined) return;
    if (name.toUpperCase() === 'UIDVALIDITY') {
      if (this.uidValidity !== undefined && this.uidValidity !== Number(value)) this.spoil('UIDVALIDITY has changed');
      this.uidValidity = Number(value);
    } else this.#uidNext = Number(value);
  }

  /** SELECT is done: what it said holds together. */
  opened(isReadOnly: boolean): void {
    this.isReadOnly = isReadOnly;
    if (this.#anchor === undefined && this.#uidNext !== undefined) this.#anchor = { count: this.exists, uidBound: this.#uidNext };
  }

  #noteMessage(number: number, what: string, text: string, isWhole: boolean): void {
    if (what === 'EXISTS') {
      // RFC 9051 §7.4.1: fewer is said with EXPUNGE alone.
      if (number < this.exists) this.spoil('the server has taken messages back without saying which');
      this.exists = number;
    } else if (what === 'EXPUNGE') this.#noteExpunge(number);
    else this.#noteFetch(number, attributesOf(text), isWhole);
  }

  #noteExpunge(number: number): void {
    this.exists -= 1;
    this.flags.expunged(number);
    const anchor = this.#anchor;
    if (anchor !== undefined && number <= anchor.count) this.#anchor = { ...anchor, count: anchor.count - 1 };
  }

  #noteFetch(number: number, attributes: string, isWhole: boolean): void {
    if (/[( ]MODSEQ \(/i.test(attributes)) this.spoil('the server speaks CONDSTORE');
    const uid = /[( ]UID (\d{1,10})(?=[ )])/i.exec(attributes)?.[1];
    if (uid !== undefined && number > (this.#anchor?.count ?? 0) && number <= this.exists) {
      this.#anchor = { count: number, uidBound: Number(uid) + 1 };
      this.#isExplored &&= this.hasUnanchored;
    }
    const flags = /[( ]FLAGS \(([^()]*)\)/i.exec(attributes)?.[1];
    if (flags !== undefined) this.flags.told(number, flags);
    else if (!isWhole) this.flags.told(number, undefined);
  }
}

/** Without quoted strings and section names, in which a message's author may write what looks like an attribute. */
function attributesOf(text: string): string {
  return text.includes('"') || text.includes('[')
    ? text.replace(/"(?:[^"\\]|\\.)*(?:"|$)/g, '""').replace(/\[[^\]]*(?:\]|$)/g, '[]')
    : text;
}

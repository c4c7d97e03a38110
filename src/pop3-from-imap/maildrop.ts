/**
 * INBOX of an IMAP server as a POP3 maildrop.
 *
 * Messages are named by UID throughout, so what others do to the mailbox meanwhile (EXISTS, EXPUNGE) changes no number of ours. Nothing is changed at the
 * server before {@link Maildrop.remove}: content is fetched with PEEK, so that not even \Seen is set.
 *
 * A connection that is lost (Exchange ends sessions when their access token does) is opened again by the next command, as long as UIDVALIDITY is still the same.
 *
 * Sources: RFC 9051 §6.3.2, §6.4.5, §6.4.6, §6.4.9; RFC 4315 (UIDPLUS).
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { cleanText } from '../core/reply.ts';
import { explainRefusal } from '../policy/mailbox-answers.ts';
import { type DataResponse, fetchItems, type ImapValue, numberOf, type StatusResponse } from './imap-response.ts';
import { ImapSession, type SignedInImap } from './imap-session.ts';
import { MessageCollector, type MessageList, MOST_MESSAGES } from './message-list.ts';
import { uidSets } from './uid-set.ts';

/** Where a message goes while it is read. */
export interface ContentSink {
  /** Once, before the first octet. @param size - Octets to come; exact. */
  begin(size: number): Promise<void>;
  octets(octets: Buffer): Promise<void>;
}

/** `gone`: somebody has deleted it meanwhile. `refused`: the server will not give it; `text` is what it says. */
export type FetchOutcome =
  | { readonly kind: 'fetched'; readonly size: number }
  | { readonly kind: 'gone' }
  | { readonly kind: 'refused'; readonly text: string };

/** A part of a message: so many octets from there. */
export interface Range {
  readonly offset: number;
  readonly octets: number;
}

/** How removal went. `kept`: messages that are still there, hidden by \Deleted from POP3, since the server cannot expunge them alone. */
export interface Removal {
  readonly removed: number;
  readonly kept: number;
}

export interface MaildropDependencies {
  /** A new session at the provider. @throws ProblemError */
  readonly open: () => Promise<SignedInImap>;
  readonly clock: Clock;
}

interface Selected {
  readonly session: ImapSession;
  readonly uidValidity: number;
  readonly exists: number;
  readonly isReadOnly: boolean;
}

export class Maildrop {
  readonly messages: MessageList;
  readonly #deps: MaildropDependencies;
  #selected: Selected;
  #isClosed = false;

  private constructor(deps: MaildropDependencies, selected: Selected, messages: MessageList) {
    this.#deps = deps;
    this.#selected = selected;
    this.messages = messages;
  }

  /** @throws ProblemError where the mailbox cannot be opened or its messages be listed. */
  static async open(deps: MaildropDependencies): Promise<Maildrop> {
    const selected = await select(await deps.open(), deps.clock);
    const collector = new MessageCollector();
    if (selected.exists > 0) {
      const answer = await selected.session.command('UID FETCH 1:* (UID FLAGS RFC822.SIZE)', {
        onData: (response) => collector.add(response),
        mostResponses: selected.exists + 10_000,
      });
      if (answer.status !== 'OK') throw refusedBy(selected.session, answer);
    }
    return new Maildrop(deps, selected, collector.list(selected.uidValidity));
  }

  /**
   * Read a message, or a part of it.
   *
   * @throws ProblemError where the connection is lost in the middle, or cannot be opened again; or whatever the sink throws. What the sink has then is not whole.
   */
  async fetch(uid: number, sink: ContentSink, range?: Range): Promise<FetchOutcome> {
    const fetching = new Fetching(uid, sink);
    try {
      return await fetching.run((await this.#session()).session, range);
    } catch (error) {
      // Nothing has been passed on: the same again on a new connection shows no difference.
      if (fetching.hasBegun || this.#isClosed || !isLoss(error)) throw error;
      return fetching.run((await this.#session()).session, range);
    }
  }

  /**
   * Delete messages for good (the UPDATE state of POP3).
   *
   * With UIDPLUS exactly these are expunged. Without it EXPUNGE would also take what other readers have marked: it is used where nothing else is marked, else the
   * messages stay, marked, and POP3 does not show them again.
   *
   * @param uids - Ascending.
   * @throws ProblemError. Some of the messages may be deleted then.
   */
  async remove(uids: readonly number[]): Promise<Removal> {
    if (uids.length === 0) return { removed: 0, kept: 0 };
    const { session, isReadOnly } = await this.#session();
    if (isReadOnly) throw new ProblemError(problem('UPSTREAM_REFUSED', 'the mailbox is read-only for this account'));
    const hasUidPlus = session.capabilities.has('UIDPLUS') || session.capabilities.has('IMAP4REV2');
    for (const set of uidSets(uids)) {
      await must(session, `UID STORE ${set} +FLAGS.SILENT (\\Deleted)`);
      if (hasUidPlus) await must(session, `UID EXPUNGE ${set}`);
    }
    if (hasUidPlus) return { removed: uids.length, kept: 0 };
    if (!(await areOnlyDeleted(session, new Set(uids)))) return { removed: 0, kept: uids.length };
    await must(session, 'EXPUNGE');
    return { removed: uids.length, kept: 0 };
  }

  /** End the session in good order. */
  close(): void {
    this.#isClosed = true;
    this.#selected.session.logout();
  }

  /** End it at once. Nothing is deleted. */
  abort(): void {
    this.#isClosed = true;
    this.#selected.session.close();
  }

  /** The session, or a new one in its place. */
  async #session(): Promise<Selected> {
    if (this.#selected.session.isOpen || this.#isClosed) return this.#selected;
    const selected = await select(await this.#deps.open(), this.#deps.clock);
    if (selected.uidValidity !== this.messages.uidValidity || this.#isClosed) {
      selected.session.logout();
      throw new ProblemError(problem('UPSTREAM_LOST', 'the mailbox was made anew by its server; the messages have other numbers now'));
    }
    this.#selected = selected;
    return selected;
  }
}

/** One FETCH of one message. */
class Fetching {
  readonly #uid: number;
  readonly #sink: ContentSink;
  hasBegun = false;
  #size = 0;

  constructor(uid: number, sink: ContentSink) {
    this.#uid = uid;
    this.#sink = sink;
  }

  async run(session: ImapSession, range: Range | undefined): Promise<FetchOutcome> {
    const part = range === undefined ? '' : `<${range.offset}.${range.octets}>`;
    const answer = await session.command(`UID FETCH ${this.#uid} (UID BODY.PEEK[]${part})`, {
      takeLiteral: (before, size) => (/ ?BODY\[\](?:<\d+>)? $/i.test(before) ? this.#begin(session, size) : undefined),
      onData: (response) => this.#check(session, response),
    });
    if (answer.status !== 'OK') {
      if (this.hasBegun) throw refusedBy(session, answer);
      return { kind: 'refused', text: cleanText(answer.text) };
    }
    return this.hasBegun ? { kind: 'fetched', size: this.#size } : { kind: 'gone' };
  }

  #begin(session: ImapSession, size: number): (octets: Buffer) => Promise<void> {
    if (this.hasBegun) throw session.violated('it sends the content twice');
    this.hasBegun = true;
    this.#size = size;
    let isAnnounced = false;
    return async (octets) => {
      if (!isAnnounced) await this.#sink.begin(size);
      isAnnounced = true;
      await this.#sink.octets(octets);
    };
  }

  /** Content may also come as a quoted string or NIL, where it is short; and with a literal of no octets nothing has been announced yet. */
  async #check(session: ImapSession, response: DataResponse): Promise<void> {
    if (response.name !== 'FETCH') return;
    const items = fetchItems(response);
    const content = [...items].find(([name]) => /^BODY\[\](?:<\d+>)?$/.test(name));
    if (content === undefined) return; // Flags that have changed.
    if (numberOf(items.get('UID')) !== this.#uid) throw session.violated('it sends another message than was asked for');
    await this.#whole(session, content[1]);
  }

  async #whole(session: ImapSession, content: ImapValue): Promise<void> {
    if (this.hasBegun && !(content instanceof Buffer) && content !== null) {
      if (this.#size === 0) await this.#sink.begin(0);
      return;
    }
    if (this.hasBegun || !(content === null || content instanceof Buffer)) throw session.violated('it sends content in no known form');
    this.hasBegun = true;
    this.#size = content?.length ?? 0;
    await this.#sink.begin(this.#size);
    if (content !== null) await this.#sink.octets(content);
  }
}

async function select(mailbox: SignedInImap, clock: Clock): Promise<Selected> {
  const session = new ImapSession(mailbox, clock);
  let uidValidity: number | undefined;
  let exists = 0;
  const answer = await session.command('SELECT INBOX', {
    onData: ({ name, number }) => {
      if (name === 'EXISTS') exists = number ?? 0;
    },
    onStatus: ({ code }) => {
      uidValidity = numberOf(/^UIDVALIDITY (\d+)$/i.exec(code ?? '')?.[1]) ?? uidValidity;
    },
  });
  if (answer.status !== 'OK') throw refusedBy(session, answer);
  if (uidValidity === undefined) throw session.violated('no UIDVALIDITY: messages cannot be told apart over sessions');
  if (exists > MOST_MESSAGES) {
    session.logout();
    throw new ProblemError(problem('UPSTREAM_REFUSED', `INBOX has ${exists} messages; POP3 is served for up to ${MOST_MESSAGES}`));
  }
  return { session, uidValidity, exists, isReadOnly: /^READ-ONLY$/i.test(answer.code ?? '') };
}

/** True where no other message carries \Deleted. */
async function areOnlyDeleted(session: ImapSession, uids: ReadonlySet<number>): Promise<boolean> {
  let others = 0;
  const answer = await session.command('UID FETCH 1:* (UID FLAGS)', {
    onData: (response) => {
      if (response.name !== 'FETCH') return;
      const items = fetchItems(response);
      const uid = numberOf(items.get('UID'));
      const flags = items.get('FLAGS');
      const isDeleted = Array.isArray(flags) && flags.some((flag) => typeof flag === 'string' && flag.toUpperCase() === '\\DELETED');
      if (isDeleted && (uid === undefined || !uids.has(uid))) others += 1;
    },
    mostResponses: MOST_MESSAGES + 10_000,
  });
  return answer.status === 'OK' && others === 0;
}

async function must(session: ImapSession, command: string): Promise<void> {
  const answer = await session.command(command);
  if (answer.status !== 'OK') throw refusedBy(session, answer);
}

/** The connection is closed: what state the server is in is not known. */
function refusedBy(session: ImapSession, { status, text }: StatusResponse): ProblemError {
  session.logout();
  return new ProblemError(explainRefusal('access', session.upstream, `${status} ${text}`));
}

const isLoss = (error: unknown): boolean => error instanceof ProblemError && error.problem.code === 'UPSTREAM_LOST';

/**
 * Brings a new IMAP session to where another one was: the same mailbox selected, with the same messages under the same numbers, and IDLE where that was.
 *
 * It goes on if the application can be told of every difference. What it knows must be there still, under its number ({@link ./mailbox-view.ts} says how
 * that is known); new messages are told with EXISTS, changed flags with FETCH. A message that is gone could be told only inside a command that the
 * application may not have sent (RFC 9051 §7.5.1), so that ends the session, as does another UIDVALIDITY.
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import type { OpenMailbox } from '../core/ports/mailbox.ts';
import { type Continued, NotContinued } from './conversation.ts';
import { type Anchor, MailboxView } from './mailbox-view.ts';
import { ServerDialogue } from './server-dialogue.ts';

/** IDLE, and how far it has come. */
export interface IdleState {
  readonly tag: string;
  /** The application has read the server's `+`. */
  readonly isConfirmed: boolean;
  /** The application has said DONE. */
  readonly isDone: boolean;
}

/** Where the session is. */
export interface ImapPosition {
  /** Absent where no mailbox is selected. */
  readonly view: MailboxView | undefined;
  readonly idle: IdleState | undefined;
}

/** What the new session knows of its messages, too. */
export interface ImapContinued extends Continued {
  readonly anchor: Anchor | undefined;
}

/** @throws NotContinued, ProblemError */
export async function continueImap(fresh: OpenMailbox, { view, idle }: ImapPosition, clock: Clock): Promise<ImapContinued> {
  const dialogue = new ServerDialogue(fresh, clock);
  try {
    const news: string[] = [];
    const anchor = view === undefined ? undefined : await select(dialogue, view, news);
    if (idle?.isDone === true) news.push(`${idle.tag} OK IDLE completed\r\n`);
    else if (idle !== undefined) await beginIdle(dialogue, idle, news);
    return { news: Buffer.from(news.join(''), 'latin1'), rest: dialogue.detach(), anchor };
  } finally {
    dialogue.detach();
  }
}

async function select(dialogue: ServerDialogue, known: MailboxView, news: string[]): Promise<Anchor | undefined> {
  const now = new MailboxView(known.command);
  const answer = await dialogue.command(known.command, (line) => now.note(line, true));
  if (answer.status !== 'OK') throw new NotContinued(`the mailbox could not be selected again (${answer.status})`);
  now.opened(/^EXAMINE/i.test(known.command) || /^OK \[READ-ONLY\]/i.test(answer.line));
  if (now.uidValidity !== known.uidValidity) throw new NotContinued('UIDVALIDITY of the mailbox has changed');
  if (now.isReadOnly !== known.isReadOnly) throw new NotContinued('the mailbox may be written to no longer, or only now');
  const { anchor } = known;
  if (anchor === undefined || now.exists < anchor.count) throw new NotContinued('messages have been removed meanwhile');
  const uid = anchor.count === 0 ? 0 : await uidOf(dialogue, anchor.count, now);
  if (uid === undefined || uid >= anchor.uidBound) throw new NotContinued('messages have been removed meanwhile');

  await compareFlags(dialogue, known, now, news);
  // Counted last: more may have arrived since SELECT.
  if (now.exists < known.exists) throw new NotContinued('messages have been removed meanwhile');
  if (now.exists > known.exists) news.unshift(`* ${now.exists} EXISTS\r\n`);
  return now.anchor;
}

/** An EXPUNGE in between counts as a difference: `now` hears of it. */
async function uidOf(dialogue: ServerDialogue, sequence: number, now: MailboxView): Promise<number | undefined> {
  let uid: number | undefined;
  const { status } = await dialogue.command(`FETCH ${sequence} (UID)`, (line) => {
    now.note(line, true);
    refuseExpunge(line);
    const found = new RegExp(`^\\* ${sequence} FETCH \\(.*?\\bUID (\\d{1,10})\\b`, 'i').exec(line)?.[1];
    if (found !== undefined) uid = Number(found);
  });
  if (status !== 'OK') throw new NotContinued(`the messages could not be looked at (${status})`);
  return uid;
}

async function compareFlags(dialogue: ServerDialogue, known: MailboxView, now: MailboxView, news: string[]): Promise<void> {
  const { range } = known.flags;
  if (range === undefined) return;
  const [lowest, highest] = range;
  const onFetch = (line: string): void => {
    now.note(line, true);
    refuseExpunge(line);
    const [, sequence, flags] = /^\* (\d{1,10}) FETCH \(.*?\bFLAGS \(([^()]*)\)/i.exec(line) ?? [];
    if (sequence === undefined || flags === undefined) return;
    if (known.flags.compare(Number(sequence), flags) === 'changed') news.push(`* ${sequence} FETCH (FLAGS (${flags}))\r\n`);
  };
  const { status } = await dialogue.command(`FETCH ${lowest}:${highest} (FLAGS)`, onFetch);
  if (status !== 'OK') throw new NotContinued(`the flags could not be looked at (${status})`);
}

function refuseExpunge(line: string): void {
  if (/^\* (?:\d+ EXPUNGE|VANISHED)\b/i.test(line)) throw new NotContinued('messages have been removed meanwhile');
}

async function beginIdle(dialogue: ServerDialogue, { tag, isConfirmed }: IdleState, news: string[]): Promise<void> {
  const said: string[] = [];
  const consent = await dialogue.idle(tag, (line) => {
    // What is told before the consent is news for the application.
    if (line.startsWith('* ')) said.push(line);
  });
  if (consent === undefined) throw new NotContinued('the server does not take IDLE');
  news.push(...said, ...(isConfirmed ? [] : [consent]));
}

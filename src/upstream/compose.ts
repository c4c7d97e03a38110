/**
 * Composes the messages that Postern itself originates, with nodemailer's MIME composer.
 *
 * The composer may neither open files nor fetch URLs: what stands in a text stays a text.
 *
 * @packageDocumentation
 */
import MailComposer from 'nodemailer/lib/mail-composer';
import type { EpochMs } from '../core/clock.ts';
import type { Content } from '../core/ports/submission.ts';
import { toWireForm } from '../message/wire-form.ts';

/** A message of plain text. */
export interface ComposedText {
  readonly from: string;
  readonly to: string;
  readonly subject: string;
  /** Lines separated by line feeds. */
  readonly text: string;
  /** With angle brackets. */
  readonly messageId: string;
  readonly date: EpochMs;
}

/** The message in wire form. RFC 3834 §5: `Auto-Submitted` keeps vacation responders from answering a program. */
export async function composeText({ from, to, subject, text, messageId, date }: ComposedText): Promise<Content> {
  const composer = new MailComposer({
    from: { name: 'Postern', address: from },
    to: { name: '', address: to },
    subject,
    text,
    messageId,
    date: new Date(date),
    headers: { 'Auto-Submitted': 'auto-generated' },
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  const octets = await composer.compile().build();
  return { messageId, chunks: toWireForm(inOneChunk(octets)) };
}

async function* inOneChunk(octets: Uint8Array): AsyncGenerator<Uint8Array> {
  yield await Promise.resolve(octets);
}

/**
 * What policy says about the senders of a message, turned into a reply, a log line or another header section.
 *
 * Source: RFC 6409 §6.1 (550 5.7.1 where the right to send as an address is missing).
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import type { LogFields } from '../core/ports/log.ts';
import { problem } from '../core/problem.ts';
import { quoted, type Reply, reply } from '../core/reply.ts';
import { parseAddressList } from '../message/address-list.ts';
import type { HeaderSection } from '../message/header-section.ts';
import { rewriteSender } from '../message/rewrite-sender.ts';
import type { IncomingMessage } from '../message/submission-content.ts';
import { judgeField, judgeReversePath, type SenderVerdict } from '../policy/sender.ts';
import type { SessionJournal } from '../platform/session-journal.ts';

const REVERSE_PATH = 'the reverse-path';

/** What goes on, or the reply that refuses it. */
export type Checked<Kept> = { readonly kept: Kept } | { readonly refused: Reply };

/** MAIL FROM. @returns The reverse-path to use. */
export function checkReversePath(
  client: Client,
  reversePath: string,
  journal: SessionJournal,
  fields: Partial<LogFields>,
): Checked<string> {
  const verdict = judgeReversePath(client, reversePath);
  if (verdict.kind === 'refused') return { refused: refuse(verdict.address, REVERSE_PATH, client, journal, { reversePath }) };
  noteRewritten(verdict, REVERSE_PATH, journal, fields);
  return { kept: verdict.kind === 'rewritten' ? verdict.to : reversePath };
}

/** From, and where senders are rewritten, Sender. @returns The header section to send. */
export function checkFields(
  client: Client,
  { headers, from, isFromMalformed }: Pick<IncomingMessage, 'headers' | 'from' | 'isFromMalformed'>,
  journal: SessionJournal,
  fields: Partial<LogFields>,
): Checked<HeaderSection> {
  const verdict = judgeField(client, from, isFromMalformed);
  if (verdict.kind === 'refused') return { refused: refuse(verdict.address, 'From', client, journal, fields) };
  const { onOtherSender } = client;
  if (onOtherSender === 'refuse') return { kept: headers };
  const sender = judgeSender(client, headers);
  noteRewritten(verdict, 'From', journal, fields);
  noteRewritten(sender, 'Sender', journal, fields);
  const foreign = { isFromForeign: verdict.kind === 'rewritten', isSenderForeign: sender.kind === 'rewritten' };
  return { kept: rewriteSender(headers, onOtherSender.rewriteTo, foreign) };
}

/** Sender is looked at only where it can be rewritten. It is no reason to refuse: providers ask for the right to From. */
function judgeSender(client: Client, headers: HeaderSection): SenderVerdict {
  const lists = headers.values('Sender').map(parseAddressList);
  const isMalformed = lists.some((list) => list.isMalformed);
  return judgeField(
    client,
    lists.flatMap(({ addresses }) => addresses),
    isMalformed,
  );
}

/** The reply names the address, since it is the client's own and the person at the device has nothing else to go by. */
function refuse(address: string, where: string, client: Client, journal: SessionJournal, fields: Partial<LogFields>): Reply {
  const what = described(address);
  const answer = reply(550, '5.7.1', `Sender not allowed: this login may not use ${what} in ${where}`);
  journal.refused('sender-refused', problem('SENDER_NOT_ALLOWED', `client ${client.name} used ${what} in ${where}`), answer, fields);
  return answer;
}

/** One line for each place, so that an operator finds out why a message looks different where it arrives. */
function noteRewritten(verdict: SenderVerdict, where: string, journal: SessionJournal, fields: Partial<LogFields>): void {
  if (verdict.kind !== 'rewritten') return;
  journal.info('sender-rewritten', `${where} rewritten from ${described(verdict.address)} to ${quoted(verdict.to)}`, fields);
}

const described = (address: string): string => (address === '' ? 'no address at all' : quoted(address));

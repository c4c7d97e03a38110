/**
 * A message of a mailbox as sinks get it: its key, and its octets behind a trace field.
 *
 * Source: RFC 5321 §4.4 (trace information), RFC 5322 §2.1.1 (lines of 78 characters).
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { EpochMs } from '../core/clock.ts';
import type { FetchRule } from '../core/fetch-rule.ts';
import type { FetchedMessage } from '../core/ports/message-sink.ts';
import { formatDateTime } from '../message/date-time.ts';
import type { MessageFacts, OpenSource } from './mailbox-source.ts';

/** Stable for the same message; the print tells it from another one where a server gives a UID twice. */
export function messageKey({ account, mailbox }: FetchRule, uidValidity: bigint, { uid, print }: MessageFacts): string {
  const names = [account, mailbox, String(uidValidity), String(uid), print];
  // Each with its length, so that no two lists of names run into the same text.
  const text = names.map((name) => `${Buffer.byteLength(name)}:${name}`).join(',');
  return createHash('sha256').update(text).digest('hex').slice(0, 40);
}

/** @param hostname - Of this machine. */
export function traceField(rule: FetchRule, upstream: string, key: string, hostname: string, now: EpochMs): Buffer {
  const host = upstream.replace(/:\d+$/, '');
  const lines = [
    `Received: from ${word(host)} (mailbox ${comment(rule.mailbox)} of account ${comment(rule.account)})`,
    ` by ${word(hostname)} (Postern, fetch rule ${comment(rule.name)}) with IMAP`,
    ` id ${key}; ${formatDateTime(now)}`,
  ];
  return Buffer.from(lines.map((line) => `${line}\r\n`).join(''), 'latin1');
}

/** What may stand in a comment without being quoted (RFC 5322 §3.2.2). */
const comment = (text: string): string => text.replaceAll(/[^\u0021-\u0027\u002a-\u005b\u005d-\u007e]/g, '?').slice(0, 100);
const word = (text: string): string => text.replaceAll(/[^A-Za-z0-9.:_-]/g, '?').slice(0, 255);

/** What the message looks like to a sink. */
export function fetchedMessage(
  rule: FetchRule,
  source: Pick<OpenSource, 'uidValidity' | 'content'>,
  facts: MessageFacts,
  trace: Buffer,
  key: string,
  onFailure: (error: unknown) => void,
): FetchedMessage {
  return {
    key,
    rule: rule.name,
    account: rule.account,
    mailbox: rule.mailbox,
    uidValidity: source.uidValidity,
    uid: facts.uid,
    receivedAt: facts.receivedAt,
    size: trace.length + facts.size,
    flags: facts.flags,
    async *content(signal) {
      yield trace;
      try {
        yield* source.content(facts.uid, facts.size, signal);
      } catch (error) {
        onFailure(error);
        throw error;
      }
    },
  };
}

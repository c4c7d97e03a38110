/**
 * The part of the schema that is about fetching mail: {@link ./schema.ts} says how it is used.
 *
 * @packageDocumentation
 */
import { z } from 'zod';
import { address, date, directory, duration, flag, integer, name, path, secret, size, text } from './schema-parts.ts';

const AFTER = /^(keep|seen|delete|move:[^\u0000-\u001f\u007f]+)$/;
const TARGETS = ['maildir', 'directory', 'lmtp', 'smtp', 'webhook', 'command'] as const;

const filterSchema = z.strictObject({
  since: date().describe('Arrived on this day or later.').optional(),
  unseen: flag().prefault(false).describe('Not read yet.'),
  from: text().max(255).describe('Somewhere in the From field. The server compares.').optional(),
  subject: text().max(255).describe('Somewhere in the Subject field. The server compares.').optional(),
  maxSize: size().describe('No larger than this.').optional(),
});

const targetSchema = z
  .strictObject({
    maildir: directory().describe('Maildir; made if it is not there.').optional(),
    directory: directory().describe('Directory for two files per message, `.eml` and `.json`; made if it is not there.').optional(),
    lmtp: text().describe('LMTP server, host:port.').optional(),
    smtp: text().describe('SMTP server, host:port.').optional(),
    webhook: secret().describe('URL that gets a POST for each message. `https://` only; `http://` is accepted on loopback.').optional(),
    command: z
      .array(text())
      .min(1)
      .describe('Program and arguments. It reads the message from standard input; exit code 0 takes it.')
      .optional(),
    recipient: z
      .union([address(), z.array(address()).min(1)], { error: 'must be an address, or a list of addresses' })
      .describe("With `lmtp` or `smtp`: for whom; an address or a list. Default: the account's `mailbox`.")
      .optional(),
    sender: address().describe('With `lmtp` or `smtp`: reverse-path. Default: none, so that nothing is returned to anybody.').optional(),
    tls: z
      .enum(['none', 'starttls', 'implicit'])
      .describe('With `lmtp` or `smtp`. Default: `none` on loopback, `starttls` elsewhere.')
      .optional(),
    caFile: path().describe("With `lmtp`, `smtp` or `webhook`: PEM file with certificates trusted in addition to the system's.").optional(),
    secret: secret().describe('With `webhook`: signs each request.').optional(),
    format: z.enum(['rfc822', 'json']).describe('With `webhook`: the message as it is, or parsed. Default: `rfc822`.').optional(),
    timeout: duration().describe('With `webhook` or `command`: for one message. Default: 60s.').optional(),
  })
  .refine((sinks) => TARGETS.filter((target) => sinks[target] !== undefined).length === 1, {
    error: `must have exactly one of ${TARGETS.join(', ')}`,
  });

export const fetchSchema = z.strictObject({
  name: name().describe('How logs, the API and `postern fetch` call the rule. Default: account and mailbox, `billing-INBOX`.').optional(),
  account: name().describe('Account to read. The session counts as one of `limits.mailboxSessions`.'),
  mailbox: text().prefault('INBOX').describe('Mailbox (folder) to read.'),
  mode: z.enum(['idle', 'poll']).prefault('idle').describe('Wait for the server to tell, or ask now and then.'),
  interval: duration().prefault('1m').describe('How often to ask: with `poll`, and with `idle` where the server has no IDLE.'),
  from: z
    .union([z.enum(['now', 'all']), date()], { error: 'must be now, all or a date such as 2027-03-01' })
    .prefault('now')
    .describe(
      'Where the rule begins when it runs for the first time: with what comes from `now` on, with `all` that is there, or with what arrived on a day or later. After that it goes on where it stopped.',
    ),
  filter: filterSchema.describe('Which messages. Others are passed over. Default: all.').optional(),
  to: targetSchema.describe('Where messages go: exactly one place, and what belongs to it.'),
  // `then` is a word of ours here, not a promise.
  // oxlint-disable-next-line unicorn/no-thenable
  then: z
    .string()
    .regex(AFTER, { error: 'must be keep, seen, delete or move:NAME' })
    .prefault('keep')
    .describe('What happens to the message at the provider afterwards: `keep`, `seen`, `delete` or `move:NAME`.'),
  tries: integer(1, 1000)
    .prefault(5)
    .describe(
      'A message that cannot be read, or that the other side refuses for good, so often is set aside with an alert: it stays at the provider, and those behind it go on.',
    ),
});

export type FetchInput = z.output<typeof fetchSchema>;

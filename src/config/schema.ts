/**
 * The whole contract of the configuration file, in one schema: types, rules and documentation.
 *
 * docs/config.md and config/postern.schema.json are generated from it (`npm run generate`); a test fails when they are stale. What one
 * value alone cannot tell (references, ports used twice, keys that need each other) is checked in resolve-….ts.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { ALERT_EVENTS } from '../core/alert.ts';
import { MOST_ITERATIONS } from '../platform/fernet.ts';
import { accountSchema, providerSchema } from './schema-accounts.ts';
import { fetchSchema } from './schema-fetch.ts';
import { adminSchema, listenersSchema } from './schema-listeners.ts';
import { base64, directory, duration, integer, name, network, path, secret, sender, size, text } from './schema-parts.ts';

export const stateSchema = z.strictObject({
  dir: directory()
    .describe(
      'Directory for tokens and everything else that must survive a restart. Default: `POSTERN_STATE_DIR`, else `var` beside the configuration file.',
    )
    .optional(),
  keyFile: path()
    .describe(
      'Key that encrypts the tokens; made at the first start, renewed by `postern rotate-key`. May hold several, newest first. Keep a copy. `POSTERN_KEY_FILE` wins over it. Default: `master.key` in `state.dir`.',
    )
    .optional(),
});

const importedSchema = z
  .strictObject({
    salt: base64().describe('`token_salt`.'),
    iterations: integer(1, MOST_ITERATIONS).describe('`token_iterations`.'),
    refreshToken: secret().describe('`refresh_token`, encrypted with the password of the application.').optional(),
    accessToken: secret()
      .describe('`access_token`, encrypted likewise: it proves the password where there is no refresh token.')
      .optional(),
  })
  .refine((sealed) => sealed.refreshToken !== undefined || sealed.accessToken !== undefined, {
    error: 'needs refreshToken or accessToken',
  });

export const clientSchema = z.strictObject({
  name: name().describe('How log lines call it.'),
  username: text().max(255).describe('User name that the application logs in with.').optional(),
  password: secret().describe('Its password. Never sent upstream.').optional(),
  passwordHash: secret().describe('Instead of `password`: what `postern hash-password` prints.').optional(),
  imported: importedSchema
    .describe(
      'Instead of `password`, written by `postern import`: the application goes on with the password that it has used with email-oauth2-proxy. At the first login with it, the refresh token in here becomes that of the account, and a hash of the password is kept in `state.dir`.',
    )
    .optional(),
  networks: z.array(network()).min(1).describe('IP networks that need no password.').optional(),
  account: name().describe('The account it submits through. Default: the only account.').optional(),
  senders: z
    .array(sender())
    .min(1)
    .describe("Senders it may use: addresses, or `*@domain`. Default: the account's `mailbox` and `smtpUser`.")
    .optional(),
  onOtherSender: z
    .enum(['refuse', 'rewrite'])
    .prefault('refuse')
    .describe(
      "What happens to a message from another sender. `refuse`: the application reads 550. `rewrite`: reverse-path and From become the account's `mailbox`, the display name stays; X-Original-From keeps what the application wrote, and so does Reply-To, unless there is one. This breaks a DKIM signature that the application has put on the message, since From is always signed: let the provider sign instead, which it does by itself.",
    ),
  rate: z
    .strictObject({ messagesPerMinute: integer(1, 1_000_000).describe('Messages a minute.') })
    .describe('How much it may submit. Default: no limit but that of the account.')
    .optional(),
  mailboxSessions: integer(1, 10_000).describe('IMAP and POP3 sessions at once. Default: no limit but that of the account.').optional(),
});

export const deliverySchema = z.strictObject({
  mode: z.enum(['auto', 'direct', 'queue']).prefault('auto').describe('For accounts without `delivery`.'),
  budget: duration()
    .prefault('15s')
    .describe('Mode `auto`: how long an application waits for the answer of the provider before the message is queued.'),
  giveUpAfter: duration().prefault('5d').describe('Age at which a queued message is given up: its sender gets a report.'),
  warnAfter: duration().prefault('4h').describe('Age at which the sender of a queued message is told that it waits.'),
  dsn: z
    .enum(['sender', 'operator', 'off'])
    .prefault('sender')
    .describe(
      'Who gets reports about queued messages that were not delivered: their `sender`; the `operator`, at the mailbox of the account; or nobody (`off`). What nobody could be told of is kept: `postern queue list`.',
    ),
  queueLimit: size().prefault('10GB').describe('Most that the queue may hold. When it is full, applications are told to come again (452).'),
});

export const alertSchema = z.strictObject({
  webhook: secret().describe(
    'URL that gets a POST for each event. `https://` only; `http://` is accepted on loopback. Never shown: it often holds a token.',
  ),
  events: z.array(z.enum(ALERT_EVENTS)).min(1).describe('Which events. Default: all.').optional(),
  secret: secret()
    .describe('Signs each request, so that the receiver knows where it comes from: header `X-Postern-Signature`, see docs/operations.md.')
    .optional(),
});

export const logSchema = z.strictObject({
  level: z.enum(['error', 'warn', 'info', 'debug', 'trace']).prefault('info').describe('`trace` shows the dialogue, without secrets.'),
  format: z.enum(['json', 'pretty']).prefault('json').describe('`json`: one object a line. `pretty`: for people.'),
});

export const configSchema = z.strictObject({
  listeners: listenersSchema.describe('Where applications connect to.').optional(),
  admin: adminSchema.describe('Health, metrics and API over HTTP: docs/operations.md. Not opened if left out.').optional(),
  state: stateSchema.describe('What survives a restart.').optional(),
  providers: z
    .record(name(), providerSchema)
    .describe('Mail providers besides the built-in ones, by name. A name of a built-in one replaces it.')
    .optional(),
  accounts: z
    .array(accountSchema)
    .describe('Upstream mailboxes. Without any, `postern serve` starts a local sandbox and relays to it.')
    .optional(),
  clients: z.array(clientSchema).describe('Who may use the relay, and as whom. Each has a user name, networks, or both.').optional(),
  fetch: z.array(fetchSchema).describe('Mail to fetch from mailboxes and hand on: docs/fetch.md.').optional(),
  delivery: deliverySchema.describe('What happens to a message once it is accepted.').optional(),
  alerts: z
    .array(alertSchema)
    .describe('Who is told when something needs a person: each entry is one webhook. docs/operations.md says what it gets.')
    .optional(),
  log: logSchema.describe('What is logged to standard output.').optional(),
});

/** Keys whose values are secrets wherever they stand; in the schema they are made with `secret()`. */
export const SECRET_KEYS: ReadonlySet<string> = new Set([
  'password',
  'passwordHash',
  'clientSecret',
  'refreshToken',
  'accessToken',
  'passphrase',
  'privateKey',
  'webhook',
  'secret',
]);

export type StateInput = z.output<typeof stateSchema>;
export type ClientInput = z.output<typeof clientSchema>;
export type AlertInput = z.output<typeof alertSchema>;
export type DeliveryInput = z.output<typeof deliverySchema>;
export type LogInput = z.output<typeof logSchema>;

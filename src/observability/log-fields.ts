/**
 * The closed list of field names in a line of the log, and how an event becomes one.
 *
 * What is not on the list is left out, whoever passed it; docs/logs.md is made from it.
 *
 * @packageDocumentation
 */
import type { LogFields } from '../core/ports/log.ts';

type Written = Exclude<keyof LogFields, 'problem' | 'error'>;

/** Fields that are written as they are, and what they mean. */
export const LOG_FIELDS: Readonly<Record<Written, string>> = {
  event: 'Stable name of what happened.',
  sessionId: 'Session of an application.',
  queueId: 'The message, from MAIL to its end; also in its Received field.',
  account: 'Account.',
  client: 'Client.',
  peer: 'Address of the peer, without port.',
  upstream: '`host:port` of the provider, or of the endpoint.',
  listener: '`host:port` of the listener.',
  mechanism: 'How somebody signed in.',
  user: 'User of the session at the provider.',
  reversePath: 'MAIL FROM.',
  forwardPaths: 'Recipients that the line is about.',
  messageId: 'Message-ID, with angle brackets.',
  traceParent: '`traceparent` field of the message (W3C Trace Context), where its application set a valid one.',
  size: 'Octets of content, as on the wire.',
  reply: 'The reply given or received, as one line.',
  durationMs: 'How long it took, in milliseconds.',
  stage: 'Step of the dialogue: wait, token, connect, greeting, ehlo, starttls, auth, mail, rcpt, data, content, final-reply.',
  attempt: 'Counted from 1.',
  generation: 'Of an access token.',
  expiresInSeconds: 'Until a token or secret ends.',
  protocol: 'ESMTPSA and the like.',
  alert: 'Event of an alert.',
  topic: 'What of the account an alert is about.',
  rule: 'Fetch rule.',
  mailbox: 'Mailbox (folder) that is fetched from.',
  uid: 'Of the message in its mailbox.',
  tls: 'Version and cipher.',
  file: 'File that the line is about.',
};

/** Fields that a problem or an error becomes, and those of every line. */
export const MADE_FIELDS: Readonly<Record<string, string>> = {
  time: 'ISO 8601, UTC.',
  level: 'error, warn, info, debug, trace.',
  message: 'For people.',
  problem: 'Code of the problem: errors.md.',
  cause: 'What happened here.',
  heals: 'Whether it passes by itself.',
  remedy: 'What to do.',
  error: 'Name, message, code and stack of an error; for whoever mends Postern.',
};

const NAMES = Object.keys(LOG_FIELDS) as Written[];

/** A problem becomes four flat fields, so that `jq .remedy` works; an error its name, message and code. */
export function lineFields(fields: LogFields): Record<string, unknown> {
  const { problem, error, durationMs } = fields;
  const line: Record<string, unknown> = {};
  for (const name of NAMES) if (fields[name] !== undefined) line[name] = fields[name];
  if (durationMs !== undefined) line['durationMs'] = Math.round(durationMs);
  if (problem !== undefined)
    Object.assign(line, { problem: problem.code, cause: problem.cause, heals: problem.heals, remedy: problem.remedy });
  if (error !== undefined) line['error'] = describeError(error);
  return line;
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && typeof error.code === 'string' ? { code: error.code } : {};
  return { name: error.name, message: error.message, ...code, stack: error.stack };
}

/** docs/logs.md. */
export function renderLogFields(): string {
  const rows = Object.entries({ ...MADE_FIELDS, ...LOG_FIELDS }).map(([name, meaning]) => `| \`${name}\` | ${meaning} |\n`);
  return `# Fields of the log

<!-- Made by \`npm run generate\` from src/observability/log-fields.ts. Do not edit. -->

With \`log.format: json\` each line is an object with some of these fields, and no others. Known secrets are replaced by \`[secret]\` wherever they stand.

| field | means |
| --- | --- |
${rows.join('')}`;
}

/**
 * Counts what the log says: one table from event names to metrics.
 *
 * The log has one line for each thing that happens to a message, a token or a session, with its names and its duration, so a number in `/metrics` and the
 * lines behind it cannot drift apart. test/unit/observability/event-metrics.test.ts holds that each name in the table is one that some room logs.
 *
 * @packageDocumentation
 */
import type { LabelsOf } from '../core/metric.ts';
import type { LogFields } from '../core/ports/log.ts';
import type { Metrics } from '../core/ports/metrics.ts';
import type { ProblemCode } from '../core/problem.ts';
import type { LogObserver } from './observed-log.ts';

type Count = (metrics: Metrics, fields: LogFields) => void;

type Outcome = LabelsOf<'postern_messages_total'>['outcome'];

/** A message of an account had this outcome. A line of a listener about a message of its own refusing has none: the account never saw it. */
const message =
  (outcome: Outcome): Count =>
  (metrics, { account = '', listener }) => {
    if (listener === undefined) metrics.add('postern_messages_total', { account, outcome });
  };

const relayed: Count = (metrics, { account = '', listener, forwardPaths, durationMs }) => {
  if (listener === undefined) metrics.add('postern_messages_total', { account, outcome: 'relayed' });
  metrics.add('postern_recipients_relayed_total', { account }, forwardPaths?.length ?? 0);
  if (durationMs !== undefined) metrics.observe('postern_relay_seconds', { account }, durationMs / 1000);
};

/** A reply is one line that begins with its code. */
const answered: Count = (metrics, { client = '', reply = '', durationMs }) => {
  const answer = reply.startsWith('2') ? 'accepted' : reply.startsWith('4') ? 'deferred' : 'refused';
  metrics.add('postern_answers_total', { client, answer });
  if (durationMs !== undefined) metrics.observe('postern_accept_seconds', { client }, durationMs / 1000);
};

const tokenTry =
  (result: 'obtained' | 'restored' | undefined): Count =>
  (metrics, { account = '', problem, durationMs }) => {
    metrics.add('postern_token_requests_total', { account, result: result ?? problem?.code ?? 'INTERNAL' });
    if (durationMs !== undefined && result !== 'restored') metrics.observe('postern_token_request_seconds', { account }, durationMs / 1000);
  };

const LOGIN_REASONS: Readonly<Partial<Record<ProblemCode, LabelsOf<'postern_auth_failures_total'>['reason']>>> = {
  CLIENT_UNKNOWN: 'unknown',
  CLIENT_PASSWORD_WRONG: 'password',
  CLIENT_THROTTLED: 'throttled',
};

const loginFailed: Count = (metrics, { listener = '', problem }) => {
  const reason = problem === undefined ? undefined : LOGIN_REASONS[problem.code];
  if (reason !== undefined) metrics.add('postern_auth_failures_total', { listener, reason });
};

const fetched =
  (outcome: LabelsOf<'postern_fetch_messages_total'>['outcome']): Count =>
  (metrics, { rule = '' }) =>
    metrics.add('postern_fetch_messages_total', { rule, outcome });

const EVENTS: Readonly<Record<string, Count>> = {
  'message-queued': message('queued'),
  'message-relayed': relayed,
  'message-deferred': message('deferred'),
  'message-refused': message('refused'),
  'message-given-up': message('given-up'),
  'message-reported': message('reported'),
  'dead-letter': message('dead-letter'),
  'queue-drop': message('dropped'),
  'message-answered': answered,
  'token-obtained': tokenTry('obtained'),
  'token-recovered': tokenTry('obtained'),
  'token-restored': tokenTry('restored'),
  'token-failed': tokenTry(undefined),
  'login-refused': loginFailed,
  'login-throttled': loginFailed,
  'message-fetched': fetched('fetched'),
  'fetch-deferred': fetched('deferred'),
  'fetch-refused': fetched('refused'),
  'fetch-set-aside': fetched('set-aside'),
  'fetch-failed': (metrics, { rule = '', problem }) =>
    metrics.add('postern_fetch_failures_total', { rule, code: problem?.code ?? 'INTERNAL' }),
  'session-ended': (metrics, { listener = '' }) => metrics.add('postern_sessions_total', { listener }),
  'upstream-signed-in': (metrics, { account = '', durationMs = 0 }) =>
    metrics.observe('postern_upstream_sign_in_seconds', { account }, durationMs / 1000),
  'upstream-auth-refused': (metrics, { account = '' }) => metrics.add('postern_upstream_auth_refusals_total', { account }),
  alert: (metrics, { account = '', alert = '' }) =>
    metrics.add('postern_alerts_total', { account, alert: alert as LabelsOf<'postern_alerts_total'>['alert'] }),
};

/** Names that the table has. */
export const COUNTED_EVENTS: readonly string[] = Object.keys(EVENTS);

/** Asked for each event; most names are not in it. */
const COUNTS: ReadonlyMap<string, Count> = new Map(Object.entries(EVENTS));

/** Feeds `metrics` with what it hears. */
export function countEvents(metrics: Metrics): LogObserver {
  return (level, fields) => {
    if (level === 'trace') return; // Dialogues: many lines, and nothing in them is counted.
    if (level === 'error' || level === 'warn') metrics.add('postern_log_lines_total', { level });
    if (fields.listener !== undefined && fields.problem !== undefined && level === 'warn') {
      metrics.add('postern_refusals_total', { listener: fields.listener, code: fields.problem.code });
    }
    COUNTS.get(fields.event)?.(metrics, fields);
  };
}

/**
 * Every metric there is: name, meaning, labels and their values. docs/metrics.md is made from it, and nothing else has a name in `/metrics`.
 *
 * The label sets are bounded: a label holds either one of the values listed here, or the name of an account, client, listener or fetch rule that is configured.
 * Whatever else comes is counted as {@link OTHER}, so that neither senders nor peers can make the number of time series grow.
 *
 * Pure. Units are in the names: seconds, octets (`bytes` where Prometheus has a convention). Source: Prometheus, "Metric and label naming".
 *
 * @packageDocumentation
 */
import { PROBLEMS, type ProblemCode } from './problem.ts';

/** What a label may hold: one of these values, or a configured name; `process`: one value that a process never changes. */
export type LabelValues = readonly string[] | 'account' | 'client' | 'listener' | 'rule' | 'process';

/** One metric. */
export interface MetricDefinition {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly help: string;
  readonly labels: Readonly<Record<string, LabelValues>>;
  /** Of a histogram: upper bounds in seconds. */
  readonly buckets?: readonly number[];
}

/** In place of a label value that is not in its set. */
export const OTHER = 'other';

const PROBLEM_CODES = Object.keys(PROBLEMS) as readonly ProblemCode[];

/** An application waits for these. */
const ANSWER_BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 15, 30, 60] as const;
/** An attempt at the provider: a round trip at the least, ten minutes for the answer to a final dot at the most (RFC 5321 §4.5.3.2.6). */
const RELAY_BUCKETS = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600] as const;

const NONE = {} as const;
const ACCOUNT = { account: 'account' } as const;
const RULE = { rule: 'rule' } as const;
const LISTENER = { listener: 'listener' } as const;

export const METRICS = {
  postern_messages_total: {
    type: 'counter',
    help: 'What happened to messages. A message counts once for each outcome that it had: queued, then deferred twice, then relayed. `refused` and `deferred` count each recipient, or step, that the log has a line for.',
    labels: { ...ACCOUNT, outcome: ['queued', 'relayed', 'deferred', 'refused', 'given-up', 'reported', 'dead-letter', 'dropped'] },
  },
  postern_recipients_relayed_total: { type: 'counter', help: 'Recipients for whom the upstream has taken a message.', labels: ACCOUNT },
  postern_answers_total: {
    type: 'counter',
    help: 'What applications were answered at the end of their messages: 2yz, 4yz, 5yz.',
    labels: { client: 'client', answer: ['accepted', 'deferred', 'refused'] },
  },
  postern_accept_seconds: {
    type: 'histogram',
    help: 'How long applications waited between the end of their message and the answer.',
    labels: { client: 'client' },
    buckets: ANSWER_BUCKETS,
  },
  postern_relay_seconds: {
    type: 'histogram',
    help: 'How long the attempts took in which the upstream took a message.',
    labels: ACCOUNT,
    buckets: RELAY_BUCKETS,
  },
  postern_refusals_total: {
    type: 'counter',
    help: 'What listeners refused to peers and applications, by the code of the problem (docs/errors.md).',
    labels: { ...LISTENER, code: PROBLEM_CODES },
  },
  postern_auth_failures_total: {
    type: 'counter',
    help: 'Logins of applications that failed: unknown user name, wrong password, or too many before.',
    labels: { ...LISTENER, reason: ['unknown', 'password', 'throttled'] },
  },
  postern_sessions_total: { type: 'counter', help: 'Sessions of applications that have ended.', labels: LISTENER },
  postern_sessions: { type: 'gauge', help: 'Sessions of applications that are open.', labels: LISTENER },
  postern_mailbox_sessions: {
    type: 'gauge',
    help: 'Sessions in which applications read the mail of the account. Only where an IMAP or POP3 listener is open.',
    labels: { ...ACCOUNT, protocol: ['imap', 'pop3'] },
  },
  postern_fetch_messages_total: {
    type: 'counter',
    help: 'What came of messages offered by fetch rules: handed on, held for later, refused, set aside.',
    labels: { ...RULE, outcome: ['fetched', 'deferred', 'refused', 'set-aside'] },
  },
  postern_fetch_failures_total: {
    type: 'counter',
    help: 'Times that a fetch rule could not go on, by the code of the problem (docs/errors.md).',
    labels: { ...RULE, code: PROBLEM_CODES },
  },
  postern_fetch_failing: { type: 'gauge', help: '1 where something is in the way of the fetch rule, else 0.', labels: RULE },
  postern_fetch_last_uid: { type: 'gauge', help: 'UID up to which the messages of the mailbox are settled.', labels: RULE },
  postern_fetch_lag_seconds: {
    type: 'gauge',
    help: 'From the arrival of the last message in the mailbox until it was handed on, by the clocks of the provider and of this machine.',
    labels: RULE,
  },
  postern_fetch_held: { type: 'gauge', help: 'Messages that are offered again later.', labels: RULE },
  postern_fetch_aside: { type: 'gauge', help: 'Messages that were set aside.', labels: RULE },
  postern_queue_messages: {
    type: 'gauge',
    help: 'Messages in the queue: those that are tried again by themselves, and those on hold.',
    labels: { ...ACCOUNT, state: ['waiting', 'held'] },
  },
  postern_queue_oldest_seconds: {
    type: 'gauge',
    help: 'Age of the oldest message in the queue; 0 without one.',
    labels: ACCOUNT,
  },
  postern_queue_bytes: { type: 'gauge', help: 'Octets of content in the queue.', labels: NONE },
  postern_queue_limit_bytes: { type: 'gauge', help: 'What the queue may hold (`delivery.queueLimit`).', labels: NONE },
  postern_config_in_use: {
    type: 'gauge',
    help: 'Whether the configuration that is there is the one in use: 0 where it was rejected, or part of it waits for a port or for a restart.',
    labels: NONE,
  },
  postern_config_loaded_timestamp_seconds: {
    type: 'gauge',
    help: 'When the configuration in use was taken over, in seconds since 1970.',
    labels: NONE,
  },
  postern_queue_quarantined: {
    type: 'gauge',
    help: 'Messages set aside since the queue was opened because they were damaged.',
    labels: NONE,
  },
  postern_account_state: {
    type: 'gauge',
    help: '1 for the state that the account is in: `open`, or why its mail waits.',
    labels: { ...ACCOUNT, state: ['open', 'backing-off', 'held', 'quota'] },
  },
  postern_token_state: {
    type: 'gauge',
    help: '1 for the state that the access token of the account is in.',
    labels: { ...ACCOUNT, state: ['empty', 'active', 'refreshing', 'backing-off', 'reauth-required', 'misconfigured'] },
  },
  postern_token_age_seconds: { type: 'gauge', help: 'Time since the access token in hand was obtained.', labels: ACCOUNT },
  postern_token_expires_seconds: {
    type: 'gauge',
    help: 'Time until the access token in hand expires; negative once it has.',
    labels: ACCOUNT,
  },
  postern_token_requests_total: {
    type: 'counter',
    help: 'Tries to get an access token, by what came of them: `obtained`, `restored` (a stored one still lived) or the code of the problem.',
    labels: { ...ACCOUNT, result: ['obtained', 'restored', ...PROBLEM_CODES] },
  },
  postern_token_request_seconds: {
    type: 'histogram',
    help: 'How long tries to get an access token took, whatever came of them.',
    labels: ACCOUNT,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  postern_upstream_connections: {
    type: 'gauge',
    help: 'Connections to the submission server that exist or are being opened.',
    labels: ACCOUNT,
  },
  postern_upstream_connections_limit: { type: 'gauge', help: 'Most connections of the account (`limits.connections`).', labels: ACCOUNT },
  postern_upstream_sign_in_seconds: {
    type: 'histogram',
    help: 'How long it took to open a connection to the submission server and sign in on it.',
    labels: ACCOUNT,
    buckets: [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
  },
  postern_upstream_auth_refusals_total: {
    type: 'counter',
    help: 'Sign-ins that the submission server refused; the first one of each token is followed by a new token.',
    labels: ACCOUNT,
  },
  postern_pace_messages_left: {
    type: 'gauge',
    help: 'Messages that the account may still submit within the present minute (`limits.messagesPerMinute`).',
    labels: ACCOUNT,
  },
  postern_pace_recipients_left: {
    type: 'gauge',
    help: 'Recipients that the account may still submit to within the present 24 hours (`limits.recipientsPerDay`).',
    labels: ACCOUNT,
  },
  postern_secret_expires_seconds: {
    type: 'gauge',
    help: 'Time until a secret of the account ends, where that is known; negative once it has.',
    labels: { ...ACCOUNT, secret: ['client-secret', 'certificate', 'refresh-token'] },
  },
  postern_alerts_total: {
    type: 'counter',
    help: 'Alerts told, reminders and recoveries included.',
    labels: {
      ...ACCOUNT,
      alert: ['reauth_required', 'secret_expiring', 'account_blocked', 'account_misconfigured', 'dead_letter', 'recovered'],
    },
  },
  postern_spans_total: {
    type: 'counter',
    help: 'Spans of OpenTelemetry traces: taken by the collector, or dropped. Only where traces are switched on.',
    labels: { result: ['exported', 'dropped'] },
  },
  postern_log_lines_total: {
    type: 'counter',
    help: 'Events of level `error` and `warn`, whatever `log.level` says.',
    labels: { level: ['error', 'warn'] },
  },
  postern_build_info: { type: 'gauge', help: 'Always 1: the version that runs.', labels: { version: 'process', node: 'process' } },
  postern_event_loop_lag_seconds: {
    type: 'gauge',
    help: 'Longest time that the event loop was late since the metrics were last read.',
    labels: NONE,
  },
  process_start_time_seconds: { type: 'gauge', help: 'When the process started, in seconds since 1970.', labels: NONE },
  process_resident_memory_bytes: { type: 'gauge', help: 'Memory that the process holds.', labels: NONE },
  process_heap_bytes: { type: 'gauge', help: 'Of that, what the heap of the language uses.', labels: NONE },
  process_cpu_seconds_total: { type: 'counter', help: 'Processor time used, user and system.', labels: NONE },
} as const satisfies Readonly<Record<string, MetricDefinition>>;

/** A name in the list. */
export type MetricName = keyof typeof METRICS;

type NameOf<Type extends MetricDefinition['type']> = {
  [Name in MetricName]: (typeof METRICS)[Name]['type'] extends Type ? Name : never;
}[MetricName];

export type CounterName = NameOf<'counter'>;
export type GaugeName = NameOf<'gauge'>;
export type HistogramName = NameOf<'histogram'>;

type ValueOf<Values> = Values extends readonly (infer Value extends string)[] ? Value : string;

/** The labels of a metric, all of them. */
export type LabelsOf<Name extends MetricName> = {
  readonly [Label in keyof (typeof METRICS)[Name]['labels']]: ValueOf<(typeof METRICS)[Name]['labels'][Label]>;
};

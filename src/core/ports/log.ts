/**
 * What happened, for the operator.
 *
 * Implementation: observability/log.ts (pino). Everything passes a scrubber that replaces known secrets by value.
 *
 * @packageDocumentation
 */
import type { AccountName } from '../account.ts';
import type { DurationMs } from '../clock.ts';
import type { QueueId, SessionId } from '../ids.ts';
import type { Problem } from '../problem.ts';

/**
 * The closed list of field names in a log line, so that a line can be searched by machine.
 *
 * Made for one line. Whoever hears it may keep it as it is, so nobody changes it afterwards, nor a list or a problem in it.
 */
export interface LogFields {
  /** Stable name of the event, kebab-case: `message-relayed`, `token-refreshed`. */
  readonly event: string;
  readonly sessionId?: SessionId;
  readonly queueId?: QueueId;
  readonly account?: AccountName;
  /** Name of the client. */
  readonly client?: string;
  /** Address of the peer, without port. */
  readonly peer?: string;
  /** `host:port` of the upstream or endpoint. */
  readonly upstream?: string;
  readonly listener?: string;
  readonly mechanism?: string;
  /** SASL user presented upstream. */
  readonly user?: string;
  readonly reversePath?: string;
  readonly forwardPaths?: readonly string[];
  /** Of the message, with angle brackets. */
  readonly messageId?: string;
  /** `traceparent` of the message (W3C Trace Context), where its application set a valid one. */
  readonly traceParent?: string;
  /** Octets of content in wire form. */
  readonly size?: number;
  /** The reply given or received, as one line. */
  readonly reply?: string;
  readonly durationMs?: DurationMs;
  /** Protocol step: connect, greeting, ehlo, starttls, auth, mail, rcpt, data, content, final-reply. */
  readonly stage?: string;
  readonly attempt?: number;
  readonly generation?: number;
  /** Seconds until a token or secret ends. */
  readonly expiresInSeconds?: number;
  /** Explained to the operator: code, cause, healing and remedy become fields of the line. */
  readonly problem?: Problem;
  /** Protocol of the session: ESMTPSA and the like (RFC 3848). */
  readonly protocol?: string;
  /** Event of an alert: `reauth_required` and the like. */
  readonly alert?: string;
  /** What of the account an alert is about. */
  readonly topic?: string;
  /** Name of a fetch rule. */
  readonly rule?: string;
  readonly mailbox?: string;
  /** Of a message in its mailbox (IMAP). */
  readonly uid?: number;
  readonly tls?: string;
  readonly file?: string;
  readonly error?: unknown;
}

/** The message that something is done for, where that is known. */
export type MessageNames = Pick<LogFields, 'queueId' | 'client' | 'sessionId'>;

/** A log. */
export interface Log {
  /** Something failed and somebody must act. */
  error(fields: LogFields, message: string): void;
  /** Something failed and heals by itself, or is close to failing. */
  warn(fields: LogFields, message: string): void;
  /** One line per message, token and start or stop. */
  info(fields: LogFields, message: string): void;
  /** Sessions and decisions. */
  debug(fields: LogFields, message: string): void;
  /** Wire dialogue, already redacted by its writer. */
  trace(fields: LogFields, message: string): void;
  /** False while nobody hears {@link trace}: a dialogue has many lines, and composing them costs. Absent: somebody does. */
  readonly hearsTrace?: boolean;
}

/** How grave a line is. */
export type LogLevel = Exclude<keyof Log, 'hearsTrace'>;

/** Knows the secrets that must never be shown. Implementation: observability/scrubber.ts. */
export interface Redactor {
  /**
   * From now on every occurrence is replaced, in clear, base64 (at any offset), URL-encoded, hex or JSON-escaped. Values under 6 characters
   * are ignored, since they would blot out ordinary words.
   *
   * @param lifetime - `rotating` for tokens that are replaced again and again: only the newest 512 of those are remembered.
   */
  add(secret: string, lifetime?: 'rotating'): void;
}

/**
 * Reads the answer of a token endpoint, which is hostile until it has been checked.
 *
 * Pure. Whatever comes, the result is one of the {@link TokenAnswer} kinds; no text of the body gets into a cause unless it is a field of an OAuth
 * error, cleaned and cut.
 *
 * Sources: RFC 6749 §5.1, §5.2; RFC 6750 §2.1 (token characters); RFC 9110 §10.2.3 (Retry-After).
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, hours, milliseconds, seconds } from '../core/clock.ts';
import { cleanText } from '../core/reply.ts';
import { SecretTraces } from '../core/secret-traces.ts';
import type { TokenAnswer, TokenFailure, TokenRefusal } from './token-answer.ts';

/** A complete HTTP response. */
export interface TokenHttpResponse {
  readonly status: number;
  readonly contentType?: string | undefined;
  readonly retryAfter?: string | undefined;
  readonly body: string;
  /** `host:port` that answered, for causes. */
  readonly host: string;
}

const LONGEST_ACCESS_TOKEN = 16 * 1024;
const LONGEST_REFRESH_TOKEN = 64 * 1024;
/** RFC 6749 Appendix A.12 allows a space; an access token with one would break out of `Bearer TOKEN` (RFC 6750 §2.1), so here it may not. */
const TOKEN_CHARACTERS = /^[\x21-\x7e]+$/;
/** Entra's own default. Too long a guess costs one refused login and one refresh. */
const DEFAULT_LIFETIME = seconds(3599);
/** Entra gives 28 h at most (continuous access evaluation); a clock or unit gone wrong gives years. */
const LONGEST_LIFETIME = hours(48);
const LONGEST_RETRY_AFTER = seconds(3600);
const LONGEST_FIELD = 450;
/** Of a field, for the search of secrets in it. */
const LONGEST_READ = 8192;
/** AADSTS50196, "the server saw a request loop": it comes with a throttling status too, and means more than that. */
const LOOP = 50196;

/**
 * @param now - To make sense of a Retry-After that is a date.
 * @param secrets - Sent with the request; removed from whatever the endpoint echoes.
 */
export function readTokenResponse(response: TokenHttpResponse, now: EpochMs, secrets: readonly string[]): TokenAnswer {
  return readOAuthResponse(response, now, secrets, (fields) => readTokens(fields, response.host, now));
}

/**
 * The same for any endpoint that answers as RFC 6749 §5 lays down.
 *
 * @param readSuccess - Reads the object that came with a 2xx status.
 */
export function readOAuthResponse<Success>(
  response: TokenHttpResponse,
  now: EpochMs,
  secrets: readonly string[],
  readSuccess: (fields: Record<string, unknown>) => Success,
): Success | TokenFailure {
  const { status, host } = response;
  const wait = readRetryAfter(response.retryAfter, now);
  const retryAfter = wait === undefined ? {} : { retryAfter: wait };
  const fields = parseObject(response.body);
  const traces = new SecretTraces(secrets);
  const refusal = fields === undefined ? undefined : readRefusal(status, fields, traces);
  if (refusal?.errorCodes.includes(LOOP) === true) return { ...refusal, ...retryAfter };
  if (status === 429 || status === 408 || status >= 500) {
    const error = refusal === undefined ? '' : ` (${refusal.error})`;
    return { kind: 'busy', cause: `${host} answered HTTP ${status}${error}`, ...retryAfter };
  }
  if (refusal !== undefined) return { ...refusal, ...retryAfter };
  if (status < 200 || status >= 300 || fields === undefined)
    return { kind: 'nonsense', cause: traces.conceal(describeNonsense(response, fields)), ...retryAfter };
  return readSuccess(fields);
}

/** RFC 6749 §5.1. */
function readTokens(fields: Record<string, unknown>, host: string, now: EpochMs): TokenAnswer {
  const rotated = readRefreshToken(fields['refresh_token']);
  const nonsense = (what: string): TokenAnswer => ({ kind: 'nonsense', cause: `${host} answered ${what}`, ...rotated });
  const { access_token: accessToken, token_type: tokenType } = fields;
  if (typeof accessToken !== 'string' || accessToken === '') return nonsense('without an access_token');
  if (accessToken.length > LONGEST_ACCESS_TOKEN) return nonsense(`an access_token of ${accessToken.length} characters`);
  if (!TOKEN_CHARACTERS.test(accessToken)) return nonsense('an access_token with characters that no token may have');
  // RFC 6749 §7.1: a client MUST NOT use a token of a type that it does not understand.
  if (typeof tokenType === 'string' && tokenType.toLowerCase() !== 'bearer') return nonsense('a token of a type other than Bearer');
  const expiresIn = readLifetime(fields, now);
  if (expiresIn <= 0) return nonsense('an access_token that has already expired (expires_in)');
  return { kind: 'granted', accessToken, expiresIn, ...rotated, ...readIdToken(fields['id_token']) };
}

/** Seconds; App Service gives the moment in place of the duration. */
function readLifetime(fields: Record<string, unknown>, now: EpochMs): DurationMs {
  const duration = readNumber(fields['expires_in']);
  if (duration !== undefined) return milliseconds(Math.min(duration * 1000, LONGEST_LIFETIME));
  const moment = readNumber(fields['expires_on']);
  return moment === undefined ? DEFAULT_LIFETIME : milliseconds(Math.min(moment * 1000 - now, LONGEST_LIFETIME));
}

/** A number, or as managed identities send it, a numeric string; whatever else counts as missing. */
function readNumber(value: unknown): number | undefined {
  const count = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  return typeof count === 'number' && !Number.isNaN(count) ? count : undefined;
}

/** It only ever travels in a form, encoded; so any text will do. */
function readRefreshToken(value: unknown): { readonly refreshToken?: string } {
  if (typeof value !== 'string' || value === '' || value.length > LONGEST_REFRESH_TOKEN) return {};
  return { refreshToken: value };
}

/** Only its claims are of use, and only where somebody signs in (OpenID Connect Core 1.0 §3.1.3.3). */
function readIdToken(value: unknown): { readonly idToken?: string } {
  return typeof value === 'string' && value.length <= LONGEST_ACCESS_TOKEN && TOKEN_CHARACTERS.test(value) ? { idToken: value } : {};
}

/** RFC 6749 §5.2. Google says `error_subtype` where Entra says `suberror`. */
function readRefusal(httpStatus: number, fields: Record<string, unknown>, traces: SecretTraces): TokenRefusal | undefined {
  const text = (name: string): string | undefined => readText(fields[name], traces);
  const error = text('error');
  if (error === undefined || (httpStatus >= 200 && httpStatus < 300 && typeof fields['access_token'] === 'string')) return undefined;
  const description = text('error_description');
  const optional = {
    suberror: text('suberror') ?? text('error_subtype'),
    description,
    traceId: text('trace_id'),
    correlationId: text('correlation_id'),
  };
  const known = Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)) as Partial<TokenRefusal>;
  return { kind: 'refused', httpStatus, error, errorCodes: readErrorCodes(fields['error_codes'], description), ...known };
}

/** Where the list is missing, the description starts with the number: `AADSTS50173: …`. */
export function readErrorCodes(list: unknown, description: string | undefined): number[] {
  if (Array.isArray(list)) {
    const codes = list.slice(0, 10).map(Number).filter(Number.isSafeInteger);
    if (codes.length > 0) return codes;
  }
  const match = /\bAADSTS(\d{4,9})\b/.exec(description ?? '');
  return match === null ? [] : [Number(match[1])];
}

function readText(value: unknown, traces: SecretTraces): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  return cleanText(traces.conceal(value.slice(0, LONGEST_READ))).slice(0, LONGEST_FIELD);
}

function parseObject(body: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(body);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined; // Not JSON: the caller says so with status and content type.
  }
}

function describeNonsense({ status, contentType, body, host }: TokenHttpResponse, fields: Record<string, unknown> | undefined): string {
  const type = contentType === undefined ? 'no content type' : cleanText(contentType).slice(0, 80);
  if (status >= 300 && status < 400) return `${host} answered HTTP ${status}, a redirect, which is never followed with secrets in hand`;
  if (fields !== undefined) return `${host} answered HTTP ${status} with JSON that is neither tokens nor an OAuth error`;
  return `${host} answered HTTP ${status} with something that is not JSON (${type}, ${body.length} characters)`;
}

/** Seconds or a date (RFC 9110 §10.2.3); nonsense counts as missing, and more than an hour as an hour. */
export function readRetryAfter(value: string | undefined, now: EpochMs): DurationMs | undefined {
  if (value === undefined) return undefined;
  const wait = /^\s*\d+\s*$/.test(value) ? Number(value) * 1000 : Date.parse(value) - now;
  if (!Number.isFinite(wait)) return Number.isNaN(wait) ? undefined : LONGEST_RETRY_AFTER;
  return milliseconds(Math.min(Math.max(wait, 0), LONGEST_RETRY_AFTER));
}

/**
 * Reads the answer of a device authorization endpoint, which is hostile until it has been checked: a person will be told to go where it says.
 *
 * Pure.
 *
 * Source: RFC 8628 §3.2.
 *
 * @packageDocumentation
 */
import { type DurationMs, type EpochMs, milliseconds, minutes, seconds } from '../../core/clock.ts';
import { cleanText } from '../../core/reply.ts';
import type { TokenFailure } from '../token-answer.ts';
import { readOAuthResponse, type TokenHttpResponse } from '../token-response.ts';

/** A device code and what the person needs. */
export interface DeviceGrant {
  readonly kind: 'device';
  /** Secret: whoever has it gets the tokens. */
  readonly deviceCode: string;
  /** For the person to type. */
  readonly userCode: string;
  /** Where to type it; http or https. */
  readonly verificationUri: string;
  readonly expiresIn: DurationMs;
  /** Between two questions. */
  readonly interval: DurationMs;
}

/** RFC 8628 §3.2: where none is given. */
const DEFAULT_INTERVAL = seconds(5);
const LONGEST_INTERVAL = minutes(1);
const DEFAULT_LIFETIME = minutes(15);
const LONGEST_LIFETIME = minutes(30);
const LONGEST_DEVICE_CODE = 16 * 1024;
const LONGEST_USER_CODE = 64;
const LONGEST_URI = 1024;

/** @param secrets - Sent with the request. */
export function readDeviceResponse(response: TokenHttpResponse, now: EpochMs, secrets: readonly string[]): DeviceGrant | TokenFailure {
  return readOAuthResponse(response, now, secrets, (fields) => readFields(fields, response.host));
}

function readFields(fields: Record<string, unknown>, host: string): DeviceGrant | TokenFailure {
  const nonsense = (what: string): TokenFailure => ({ kind: 'nonsense', cause: `${host} answered ${what}` });
  // Google said verification_url before the RFC did otherwise.
  const { device_code: deviceCode, user_code: userCode, verification_uri: uri = fields['verification_url'] } = fields;
  if (typeof deviceCode !== 'string' || deviceCode === '' || deviceCode.length > LONGEST_DEVICE_CODE) {
    return nonsense('without a usable device_code');
  }
  if (typeof userCode !== 'string' || userCode === '' || userCode.length > LONGEST_USER_CODE || cleanText(userCode) !== userCode) {
    return nonsense('without a usable user_code');
  }
  const verificationUri = typeof uri === 'string' ? webAddress(uri) : undefined;
  if (verificationUri === undefined) return nonsense('without a usable verification_uri');
  return {
    kind: 'device',
    deviceCode,
    userCode,
    verificationUri,
    expiresIn: readSeconds(fields['expires_in'], DEFAULT_LIFETIME, LONGEST_LIFETIME),
    interval: readSeconds(fields['interval'], DEFAULT_INTERVAL, LONGEST_INTERVAL),
  };
}

/** As the URL class writes it: nothing in it can command a terminal. */
function webAddress(text: string): string | undefined {
  if (text.length > LONGEST_URI || !URL.canParse(text)) return undefined;
  const { protocol, href } = new URL(text);
  return protocol === 'https:' || protocol === 'http:' ? href : undefined;
}

function readSeconds(value: unknown, fallback: DurationMs, longest: DurationMs): DurationMs {
  const count = typeof value === 'string' && value.trim() !== '' ? Number(value) : value;
  if (typeof count !== 'number' || !(count > 0)) return fallback;
  return milliseconds(Math.min(count * 1000, longest));
}

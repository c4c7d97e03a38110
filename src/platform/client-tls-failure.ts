/**
 * What a failed TLS handshake says about the set-up of the application.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { type Problem, problem } from '../core/problem.ts';

/** Texts of OpenSSL, and what to do about each. */
const HINTS: readonly { readonly pattern: RegExp; readonly remedy: string }[] = [
  {
    pattern: /wrong version number|http request|packet length too long|record layer failure/i,
    remedy:
      'The application speaks clear text on a port with implicit TLS: choose SSL/TLS in the application, or a listener with starttls.',
  },
  {
    pattern: /unsupported protocol|version too low|no shared cipher|no protocols available/i,
    remedy: 'The application knows only older TLS: lower minTls for this listener, or give the device a listener of its own.',
  },
  {
    pattern: /alert (?:unknown ca|bad certificate|certificate unknown|certificate expired)|unknown ca/i,
    remedy: "The application does not trust the listener's certificate: install its CA there, or use a certificate that it trusts.",
  },
];

/** @param message - Of the error that ended the handshake. */
export function clientTlsFailure(message: string): Problem {
  const hint = HINTS.find(({ pattern }) => pattern.test(message));
  return problem('CLIENT_TLS_FAILED', `TLS handshake failed: ${message}`, hint === undefined ? {} : { remedy: hint.remedy });
}

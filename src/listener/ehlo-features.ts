/**
 * What the reply to EHLO offers, and when a password may be sent.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
import { type IpAddress, isLoopback } from '../core/ip-network.ts';
import type { SmtpListenerSettings } from '../core/listener.ts';
import { SERVER_MECHANISMS } from '../sasl/server.ts';

/** The session at the moment of the question. */
export interface SessionState {
  readonly isTls: boolean;
  readonly isAuthenticated: boolean;
  readonly peer: IpAddress;
  /** The client whose network the peer is in. */
  readonly networkClient: Client | undefined;
}

/** In clear text only where nobody but the two ends can listen, or where the operator has named the network (RFC 4954 §4). */
export function mayAuthenticate({ requireTls }: SmtpListenerSettings, { isTls, peer, networkClient }: SessionState): boolean {
  return isTls || (!requireTls && (isLoopback(peer) || networkClient !== undefined));
}

/** Keywords in the reply to EHLO (RFC 5321 §4.1.1.1). */
export function ehloFeatures(settings: SmtpListenerSettings, state: SessionState): string[] {
  const features = ['PIPELINING', `SIZE ${settings.maxSize}`, '8BITMIME', 'SMTPUTF8', 'ENHANCEDSTATUSCODES', 'DSN'];
  if (settings.tls === 'starttls' && !state.isTls) features.push('STARTTLS');
  // The second form is what clients of the 1990s look for.
  if (mayAuthenticate(settings, state) && !state.isAuthenticated) features.push(`AUTH ${MECHANISMS}`, `AUTH=${MECHANISMS}`);
  return features;
}

const MECHANISMS = SERVER_MECHANISMS.join(' ');

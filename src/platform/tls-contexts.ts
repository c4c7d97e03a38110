/**
 * What a TLS client needs to verify a server: trusted roots, versions, ciphers; and the sessions of servers that were verified by them.
 *
 * Contexts are kept per additional CA, since it takes time to make one.
 *
 * @packageDocumentation
 */
import * as tls from 'node:tls';
import { TlsSessions } from './tls-sessions.ts';

/** Whom a client trusts, and whom it has verified. */
export interface ClientTrust {
  readonly context: tls.SecureContext;
  readonly sessions: TlsSessions;
}

/** A CA per provider: more than these come from a program gone wrong. */
const MOST_CONTEXTS = 32;

/** SECLEVEL 2 refuses keys under 2048 bits and SHA-1 signatures, which Node's own default still accepts. */
const CIPHERS = `${tls.DEFAULT_CIPHERS}:@SECLEVEL=2`;

const trusts = new Map<string, ClientTrust>();

/**
 * For servers that the system's roots vouch for, or `ca` (PEM text, trusted in addition).
 *
 * @throws Error where `ca` is not PEM.
 */
export function clientTrust(ca: string | undefined): ClientTrust {
  const known = trusts.get(ca ?? '');
  if (known !== undefined) return known;
  // OpenSSL uses its own roots, which costs next to nothing and knows NODE_EXTRA_CA_CERTS.
  const context = tls.createSecureContext({ minVersion: 'TLSv1.2', ciphers: CIPHERS });
  if (ca !== undefined) native(context).addCACert(ca);
  const fresh = { context, sessions: new TlsSessions() };
  trusts.set(ca ?? '', fresh);
  const [oldest] = trusts.keys();
  if (trusts.size > MOST_CONTEXTS && oldest !== undefined) trusts.delete(oldest);
  return fresh;
}

/**
 * The part of a context that Node gives its own options to. Its option `ca` takes the place of the roots; to give them again, each as a text, takes 30 ms and a megabyte for each
 * context, while OpenSSL shares those it has. Not a promised interface: test/contract/context-internals.test.ts holds it against each version of Node that it runs on.
 */
const native = (context: tls.SecureContext): { addCACert(pem: string): void } => context.context as { addCACert(pem: string): void };

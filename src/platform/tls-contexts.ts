/**
 * What a TLS client needs to verify a server: trusted roots, versions, ciphers; and sessions to resume.
 *
 * Contexts are kept per additional CA, since it takes time to make one. Sessions are kept only once their server has been verified, and apart for each server name
 * and CA: Node does not look at the name again when it resumes one.
 *
 * @packageDocumentation
 */
import * as tls from 'node:tls';

/** A CA per provider and a session per server: more than these come from a program gone wrong. */
const MOST_CONTEXTS = 32;
const MOST_SESSIONS = 128;

/** SECLEVEL 2 refuses keys under 2048 bits and SHA-1 signatures, which Node's own default still accepts. */
const CIPHERS = `${tls.DEFAULT_CIPHERS}:@SECLEVEL=2`;

const contexts = new Map<string, tls.SecureContext>();
const sessions = new Map<string, Buffer>();

/** The context for servers that Node's roots vouch for, or `ca` (PEM text, trusted in addition). */
export function clientContext(ca: string | undefined): tls.SecureContext {
  const known = contexts.get(ca ?? '');
  if (known !== undefined) return known;
  const context = tls.createSecureContext({ minVersion: 'TLSv1.2', ciphers: CIPHERS });
  if (ca !== undefined) native(context).addCACert(ca);
  keep(contexts, ca ?? '', context, MOST_CONTEXTS);
  return context;
}

/**
 * The part of a context that Node gives its own options to. Its option `ca` takes the place of the roots; to give them again, each as a text, takes 30 ms and a megabyte for each
 * context, while OpenSSL shares those it has. Not a promised interface: test/contract/context-internals.test.ts holds it against each version of Node that it runs on.
 */
const native = (context: tls.SecureContext): { addCACert(pem: string): void } => context.context as { addCACert(pem: string): void };

/** A session of an earlier verified connection to `target` (`host:port`). */
export function resumableSession(target: string, ca: string | undefined): Buffer | undefined {
  return sessions.get(sessionKey(target, ca));
}

/** Keep the sessions that the server of `socket`, which has just been verified, hands out from now on. */
export function rememberSessions(socket: tls.TLSSocket, target: string, ca: string | undefined): void {
  const remember = (session: Buffer): void => keep(sessions, sessionKey(target, ca), session, MOST_SESSIONS);
  socket.on('session', remember);
  // With TLS 1.2 the session has come before the handshake ended; with 1.3 tickets follow later.
  const early = socket.getProtocol() === 'TLSv1.2' ? socket.getSession() : undefined;
  if (early !== undefined) remember(early);
}

/** A session that led to a failed handshake must not be offered again. */
export function forgetSession(target: string, ca: string | undefined): void {
  sessions.delete(sessionKey(target, ca));
}

const sessionKey = (target: string, ca: string | undefined): string => `${target}\n${ca ?? ''}`;

function keep<Value>(map: Map<string, Value>, key: string, value: Value, most: number): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > most && oldest !== undefined) map.delete(oldest);
}

/**
 * The one way to open a connection to the outside: TCP, and where wanted verified TLS, within a deadline.
 *
 * TLS is 1.2 or newer and always verified; there is no switch for less. Proxies (HTTP CONNECT, SOCKS5) will take the place of
 * {@link connectTcp}: what comes after it does not know how the bytes travel.
 *
 * Sources: RFC 8305 (happy eyeballs), RFC 8314 §3, RFC 9325 §3.1 and §4 (TLS versions and strength), RFC 9525 §6 (server identity).
 *
 * @packageDocumentation
 */
import { lookup as systemLookup } from 'node:dns';
import { isIPv4, type LookupFunction, Socket } from 'node:net';
import * as tls from 'node:tls';
import { type DurationMs, seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import { connectFailure, DialError, tlsFailure } from './dial-error.ts';
import { SharedLookups } from './shared-lookups.ts';
import { clientTrust } from './tls-contexts.ts';
import { withoutCertificate } from './tls-session-form.ts';
import type { ResumableSession, TlsSessions } from './tls-sessions.ts';

/** Where to connect, and how. */
export interface DialRequest {
  readonly host: string;
  readonly port: number;
  /** `none` for STARTTLS, which follows with {@link upgradeToTls}, and for token endpoints on loopback. */
  readonly tls: 'implicit' | 'none';
  /** PEM text trusted in addition to the system's roots. */
  readonly ca?: string | undefined;
  /** The name that the certificate must have; `host` unless told. */
  readonly servername?: string;
  /** For everything together: DNS, TCP and the TLS handshake. */
  readonly deadline?: DurationMs;
  readonly clock: Clock;
  readonly signal?: AbortSignal | undefined;
  /** In place of the system's resolver. */
  readonly lookup?: LookupFunction;
  /** False: the server has to show its certificate, though a TLS session of it might be resumed. */
  readonly mayResume?: boolean;
}

/** How {@link dial} looks to those who use it, so that a test or a proxy can take its place. */
export type Dial = (request: DialRequest) => Promise<Socket>;

/** How to secure an open connection. */
export type TlsUpgrade = Pick<DialRequest, 'clock' | 'deadline' | 'signal' | 'ca' | 'mayResume'> & {
  /** Name or address that the certificate must have. */
  readonly servername: string;
  /** With the name, tells sessions of different servers apart. */
  readonly port: number;
};

const lookups = new SharedLookups(systemLookup);
const DEFAULT_DEADLINE = seconds(30);
/** The resolver library waits up to 25 s for a server that never answers; the application may have given up by then. */
const DNS_DEADLINE = seconds(10);
/** RFC 8305 §5 suggests 250 ms, but Node abandons an address when it turns to the next one, so slow links need more. */
const NEXT_ADDRESS_AFTER = seconds(1);
/** With the ten probes that libuv sends a second apart, a peer that vanished is noticed after 30 s of silence. */
const KEEPALIVE_AFTER = seconds(20);

/**
 * Open a connection.
 *
 * @returns A connected socket, for `implicit` a verified `tls.TLSSocket`. The caller adds its listeners before it next yields.
 * @throws DialError
 */
export async function dial(request: DialRequest): Promise<Socket> {
  const { host, port, clock, deadline = DEFAULT_DEADLINE } = request;
  const begun = clock.monotonic();
  const socket = await connectTcp(request);
  if (request.tls === 'none') return socket;
  const rest = Math.max(0, deadline - (clock.monotonic() - begun)) as DurationMs;
  return upgradeToTls(socket, { ...request, port, servername: request.servername ?? host, deadline: rest });
}

async function connectTcp(request: DialRequest): Promise<Socket> {
  const { host, port, clock, deadline = DEFAULT_DEADLINE, signal } = request;
  const target = `${host}:${port}`;
  const socket = new Socket();
  const guard = watch(socket, target, clock, deadline, signal);
  const lookup: LookupFunction = request.lookup ?? ((...question) => lookups.ask(clock, ...question));
  const resolve = guardedLookup(target, clock, lookup, guard.fail);
  const onError = (error: Error): void => guard.fail(connectFailure(target, error));
  return guard.settle(() => {
    socket.on('error', onError);
    socket.connect({ host, port, lookup: resolve, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_AFTER });
    socket.once('connect', () => {
      socket.setNoDelay(true).setKeepAlive(true, KEEPALIVE_AFTER);
      socket.on('error', unheard).off('error', onError);
      guard.succeed();
    });
  });
}

/**
 * An error closes the connection, and that is what its user hears of; without a listener it would end the process. It is the same for all connections: what
 * was needed to open one, signals and timers, is not kept with each for as long as it lasts.
 */
const unheard = (): void => undefined;

/** The resolver with a deadline of its own. Its late answer is left alone: the socket is gone by then. */
function guardedLookup(target: string, clock: Clock, lookup: LookupFunction, fail: (error: DialError) => void): LookupFunction {
  return (hostname, options, callback) => {
    const timer = clock.startTimer(DNS_DEADLINE, () => fail(new DialError('dns', `${target}: the resolver did not answer in 10 s`)));
    lookup(hostname, options, (error, address, family) => {
      timer.cancel();
      callback(error, address, family);
    });
  };
}

/**
 * Secure an open connection: the handshake, and the certificate verified.
 *
 * @param socket - Its clear-text bytes must all have been read. Nobody listens to its data any more.
 * @throws DialError. The socket is destroyed then. Clear text that is still unread means that somebody tries to smuggle replies into the
 * encrypted part (RFC 3207 §6, CVE-2011-0411): `injection`.
 */
export async function upgradeToTls(socket: Socket, upgrade: TlsUpgrade): Promise<tls.TLSSocket> {
  const { servername, port, ca, clock, deadline = DEFAULT_DEADLINE, signal } = upgrade;
  const target = `${servername}:${port}`;
  if (socket.readableLength > 0) {
    socket.destroy();
    throw new DialError('injection', `${target}: clear text after the reply to STARTTLS`);
  }
  const { context, sessions } = clientTrust(ca);
  const offered = upgrade.mayResume === false ? undefined : sessions.take(target, clock.monotonic());
  const secured = tls.connect({
    socket,
    host: servername,
    // An address is no server name (RFC 6066 §3); the certificate is compared with `host` then.
    servername: isAddress(servername) ? '' : servername,
    secureContext: context,
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
    checkServerIdentity,
    ...(offered === undefined ? {} : { session: offered.session }),
  });
  const guard = watch(secured, target, clock, deadline, signal);
  return guard.settle(() => {
    const fail = (error: Error): void => {
      sessions.forget(target);
      guard.fail(tlsFailure(target, error));
    };
    handOnErrors(socket, secured);
    secured.on('error', fail);
    secured.once('secureConnect', () => {
      const verifiedAt = offered !== undefined && secured.isSessionReused() ? offered.verifiedAt : clock.monotonic();
      keepSessions(secured, sessions, target, verifiedAt);
      secured.on('error', unheard).off('error', fail);
      guard.succeed();
    });
  });
}

/** No name has a colon. `isIP` would say the same, with an expression for IPv6 that takes 3 ms to compile. */
const isAddress = (host: string): boolean => host.includes(':') || isIPv4(host);

/** A function of its own, since closures of one function keep all that any of them needs. */
function handOnErrors(socket: Socket, secured: tls.TLSSocket): void {
  socket.on('error', (error) => secured.destroy(error));
}

/** Those that the server, which has been verified, hands out from now on. */
function keepSessions(secured: tls.TLSSocket, sessions: TlsSessions, target: string, verifiedAt: ResumableSession['verifiedAt']): void {
  const keep = (session: Buffer): void => sessions.keep(target, { session: withoutCertificate(session), verifiedAt });
  secured.on('session', keep);
  // With TLS 1.2 the session has come before the handshake ended; with 1.3 tickets follow later.
  const early = secured.getProtocol() === 'TLSv1.2' ? secured.getSession() : undefined;
  if (early !== undefined) keep(early);
}

/** RFC 9525 §2: the common name is no identity, though Node still falls back on it. */
function checkServerIdentity(host: string, certificate: tls.PeerCertificate): Error | undefined {
  if (certificate.subjectaltname !== undefined) return tls.checkServerIdentity(host, certificate);
  const error: NodeJS.ErrnoException = new Error('the certificate has no subjectAltName');
  error.code = 'ERR_TLS_CERT_ALTNAME_INVALID';
  return error;
}

/** Settles once: by success, failure, deadline, signal, or the socket's close. On failure the socket is destroyed. */
function watch<Opened extends Socket>(socket: Opened, target: string, clock: Clock, deadline: DurationMs, signal?: AbortSignal) {
  let resolve: (opened: Opened) => void = () => {};
  let reject: (error: DialError) => void = () => {};
  const opened = new Promise<Opened>((onSuccess, onFailure) => {
    resolve = onSuccess;
    reject = onFailure;
  });
  const fail = (error: DialError): void => {
    release();
    socket.destroy();
    reject(error);
  };
  const onAbort = (): void => fail(new DialError('aborted', `${target}: connecting was called off`));
  const onClose = (): void => fail(new DialError('closed', `${target}: closed by the peer`));
  const timer = clock.startTimer(deadline, () => fail(new DialError('timeout', `${target}: not connected after ${deadline / 1000} s`)));
  const release = (): void => {
    timer.cancel();
    signal?.removeEventListener('abort', onAbort);
    socket.removeListener('close', onClose);
  };
  return {
    fail,
    succeed(): void {
      release();
      resolve(socket);
    },
    settle(start: () => void): Promise<Opened> {
      socket.once('close', onClose);
      signal?.addEventListener('abort', onAbort, { once: true });
      if (signal?.aborted === true) onAbort();
      else start();
      return opened;
    },
  };
}

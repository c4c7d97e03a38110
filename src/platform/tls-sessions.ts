/**
 * TLS sessions of servers that have been verified, to be resumed: a resumed handshake costs a fraction of a whole one, at both ends.
 *
 * Belongs to one {@link ./tls-contexts.ts} context, so that nothing outlives a change of whom we trust, and is apart for each server: Node does not look at
 * name and certificate again when it resumes. A server hands out new tickets on resumed connections too, so a session could go on for ever; a day after a
 * certificate was verified, the next handshake is a whole one again.
 *
 * Deviation from RFC 8446 §C.4: a ticket is used once, but for the last one, which is offered until another has come. It asks for this so that those who
 * listen cannot tell two connections of one client; we say who we are in each, from the same address. A burst of connections resumes that way.
 *
 * Pure: moments come with each call.
 *
 * Sources: RFC 8446 §2.2, §4.6.1 (tickets), RFC 5077 (TLS 1.2).
 *
 * @packageDocumentation
 */
import { between, hours, type MonotonicMs } from '../core/clock.ts';

/** What to offer a server. */
export interface ResumableSession {
  /** As of the 'session' event of `tls.TLSSocket`. */
  readonly session: Buffer;
  /** When the server showed its certificate. */
  readonly verifiedAt: MonotonicMs;
}

/** More servers than these come from a program gone wrong. */
const MOST_SERVERS = 128;
/** A server gives one or two tickets for each handshake. */
const MOST_OF_ONE_SERVER = 16;
/** RFC 8446 §4.6.1 lets a single ticket live for seven days. */
const VERIFIED_FOR = hours(24);

export class TlsSessions {
  /** Newest last, servers and sessions alike. */
  readonly #servers = new Map<string, ResumableSession[]>();

  /** @param server - `host:port`. @returns The newest session, which nobody else gets unless it is the only one. */
  take(server: string, now: MonotonicMs): ResumableSession | undefined {
    const sessions = this.#servers.get(server)?.filter(({ verifiedAt }) => between(verifiedAt, now) < VERIFIED_FOR) ?? [];
    const newest = sessions.at(-1);
    if (newest === undefined) this.#servers.delete(server);
    else this.#servers.set(server, sessions.length > 1 ? sessions.slice(0, -1) : sessions);
    return newest;
  }

  keep(server: string, session: ResumableSession): void {
    const sessions = this.#servers.get(server) ?? [];
    this.#servers.delete(server);
    this.#servers.set(server, [...sessions.slice(1 - MOST_OF_ONE_SERVER), session]);
    const [oldest] = this.#servers.keys();
    if (this.#servers.size > MOST_SERVERS && oldest !== undefined) this.#servers.delete(oldest);
  }

  /** A handshake with one of its sessions has failed. */
  forget(server: string): void {
    this.#servers.delete(server);
  }
}

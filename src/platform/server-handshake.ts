/**
 * The server's side of a TLS handshake on a connection that is open already.
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';
import { type SecureContext, TLSSocket } from 'node:tls';
import { seconds } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';

/** From the first octet to the last, however they come. */
const HANDSHAKE_LIMIT = seconds(10);

export class ServerHandshake {
  /** To be destroyed in place of the one it runs on: tearing that down from below, in the middle of a handshake, is more than Node can take. */
  readonly socket: TLSSocket;
  /** Paused and without listeners of ours. Rejects with what OpenSSL says, or that the other end has left; the connection is gone then. */
  readonly secured: Promise<TLSSocket>;

  /** @param plain - Without listeners of ours. */
  constructor(plain: Socket, secureContext: SecureContext, clock: Clock) {
    const socket = new TLSSocket(plain, { isServer: true, secureContext });
    this.socket = socket;
    plain.on('error', (error) => socket.destroy(error));
    socket.on('error', () => undefined); // Whoever goes on with it listens a moment later; until then nothing may be thrown.
    this.secured = new Promise((resolve, reject) => {
      const fail = (error?: Error): void => {
        timer.cancel();
        reject(error ?? new PeerLeft());
      };
      const onClose = (): void => fail();
      const timer = clock.startTimer(HANDSHAKE_LIMIT, () => socket.destroy(new HandshakeTimedOut()), { isBackground: true });
      socket.once('error', fail).once('close', onClose);
      // Once: a client of TLS 1.2 may renegotiate, which makes Node say it again.
      socket.once('secure', () => {
        timer.cancel();
        socket.off('error', fail).off('close', onClose);
        resolve(socket);
      });
    });
  }
}

/**
 * Throw away what has come in clear text behind the command that begins TLS: it would be taken for something said inside (RFC 3207 §6, CVE-2011-0411).
 *
 * @param plain - Without listeners of ours.
 */
export function forgetUnread(plain: Socket): void {
  plain.pause();
  while (plain.read() !== null); // Forgotten.
}

/** The other end has left before the handshake was over. */
export class PeerLeft extends Error {
  override readonly name = 'PeerLeft';
  constructor() {
    super('closed');
  }
}

/** Nothing, or too little, came in time. */
export class HandshakeTimedOut extends Error {
  override readonly name = 'HandshakeTimedOut';
  constructor() {
    super('handshake timed out');
  }
}

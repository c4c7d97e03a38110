/**
 * Writes what is long, such as a token, to a TLS socket in records that need no more memory than short lines do.
 *
 * Node encrypts into a buffer of 1 KiB that each connection has. Where a record does not fit, a second one of 16 KiB comes beside it and stays for as long as
 * the connection does, with what OpenSSL had in that memory before: a session that only idles after it has signed in would keep 17 KiB of the 52 that it has
 * then for nothing (bench/mailboxes.ts). Each record waits until the one before has left, since the buffer is free only then.
 *
 * Source: Node's src/crypto/crypto_bio.h (`NodeBIO::kThroughputBufferLength`), crypto_tls.cc (`TLSWrap::EncOut`).
 *
 * @packageDocumentation
 */
import type { Socket } from 'node:net';

/** 1,024 without header, nonce, padding and tags of a record of TLS 1.2, whatever its cipher suite (RFC 5246 §6.2.3, RFC 5288). */
const RECORD = 900;

export class SmallRecords {
  readonly #socket: Socket;
  #rest: Buffer = Buffer.alloc(0);

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  /** In order, whatever is written before the record before has left. */
  write(text: string): void {
    this.flush();
    this.#rest = Buffer.from(text);
    this.#writeNext();
  }

  /** Whatever waits is written at once, in records as large as they get: somebody else will write to the socket. */
  flush(): void {
    const rest = this.#rest;
    this.#rest = Buffer.alloc(0);
    if (rest.length > 0) this.#socket.write(rest);
  }

  readonly #writeNext = (): void => {
    if (this.#socket.destroyed) return;
    if (this.#rest.length <= RECORD) {
      this.flush();
      return;
    }
    const record = this.#rest.subarray(0, RECORD);
    this.#rest = this.#rest.subarray(RECORD);
    this.#socket.write(record, this.#writeNext);
  };
}

/**
 * smtp-server's framing of commands and content, with what we need to know besides.
 *
 * The framing itself is the library's: only `CRLF.CRLF` ends content, however it is cut into segments. One thing it does beyond RFC 5321 §4.5.2: of
 * two dots behind a bare LF it takes one away, as behind CRLF.
 *
 * @packageDocumentation
 */
import { SMTPStream, type SMTPStreamOptions } from 'smtp-server/lib/smtp-stream.js';

/** What the session hears from its stream. */
export interface CommandStreamEvents {
  /** The first octet says TLS handshake (RFC 8446 §5.1: content type 22). */
  onTlsRecord(): void;
  /** Octets of content have come. */
  onContent(octets: number): void;
  /** They have been taken: content is the client's to send again. */
  onContentTaken(): void;
  /** The client has closed its side; every whole command before that has been answered. */
  onEnd(isInContent: boolean): void;
}

const TLS_HANDSHAKE = 0x16;

export class CommandStream extends SMTPStream {
  readonly #events: CommandStreamEvents;
  #isFirst = true;
  #isBusy = false;

  constructor(options: SMTPStreamOptions, events: CommandStreamEvents) {
    super(options);
    this.#events = events;
  }

  /** True while a command or a chunk of content is being worked on. */
  get isBusy(): boolean {
    return this.#isBusy;
  }

  override _write(chunk: Buffer, encoding: BufferEncoding | 'buffer', next: (error?: Error | null) => void): void {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst && chunk[0] === TLS_HANDSHAKE) {
      this.isClosed = true;
      this.#events.onTlsRecord();
    }
    if (this._dataMode) this.#events.onContent(chunk.length);
    this.#isBusy = true;
    super._write(chunk, encoding, (error) => {
      this.#isBusy = false;
      if (this._dataMode) this.#events.onContentTaken();
      next(error);
    });
  }

  /** A line without its line end is not a command: the library would run it when the client closes its side. */
  override _flushData(): void {
    if (!this.isClosed) this.#events.onEnd(this._dataMode);
  }
}

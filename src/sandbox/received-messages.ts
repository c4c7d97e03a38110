/**
 * The messages the sandbox accepted, newest last, in memory and bounded.
 *
 * The last 1,000 messages are listed. Their contents may take 256 MB together: beyond that the oldest contents are dropped while their
 * entries stay. The digest is over exactly the octets that arrived, dots unstuffed, so that tests can compare octet for octet.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { EpochMs } from '../core/clock.ts';
import { type HeaderSummary, summarizeHeader } from './header-summary.ts';

/** A recipient as it was accepted. */
export interface ReceivedForwardPath {
  readonly address: string;
  /** What followed the path on the wire: `NOTIFY=FAILURE ORCPT=rfc822;a@b`, still in xtext; `''` for nothing. */
  readonly parameters: string;
}

/** How a message arrived. */
export interface Arrival {
  /** The SASL user of the session. */
  readonly user: string;
  /** True where an application's own token was shown, not a person's. */
  readonly isApplication: boolean;
  readonly reversePath: string;
  /** What followed the reverse-path on the wire: `SIZE=… BODY=8BITMIME RET=HDRS ENVID=…`. */
  readonly parameters: string;
  readonly forwardPaths: readonly ReceivedForwardPath[];
  /** `TLSv1.3`. */
  readonly tls: string;
  readonly peer: string;
}

/** A message the sandbox has said 250 to, or kept because a fault says so. */
export interface ReceivedMessage extends Arrival, HeaderSummary {
  /** As in the 250: without angle brackets. */
  readonly id: string;
  readonly receivedAt: EpochMs;
  /** Octets of content. */
  readonly size: number;
  /** SHA-256 of the content, hexadecimal. */
  readonly sha256: string;
}

/** Limits of the store. */
export interface MessageCaps {
  readonly messages: number;
  readonly octets: number;
}

const DEFAULT_CAPS: MessageCaps = { messages: 1_000, octets: 256 * 1024 * 1024 };

export class ReceivedMessages {
  readonly #caps: MessageCaps;
  readonly #messages: ReceivedMessage[] = [];
  readonly #contents = new Map<string, Buffer>();
  readonly #listeners = new Set<(message: ReceivedMessage) => void>();
  #octets = 0;

  constructor(caps: MessageCaps = DEFAULT_CAPS) {
    this.#caps = caps;
  }

  /** Oldest first. */
  list(): readonly ReceivedMessage[] {
    return [...this.#messages];
  }

  find(id: string): ReceivedMessage | undefined {
    return this.#messages.find((message) => message.id === id);
  }

  /** Undefined where there is no such message or its content had to make room. */
  content(id: string): Buffer | undefined {
    return this.#contents.get(id);
  }

  /** Forget all. */
  clear(): void {
    this.#messages.length = 0;
    this.#contents.clear();
    this.#octets = 0;
  }

  /** Call `listener` for each message from now on, before its 250 is sent. Returns the function that stops it. */
  onMessage(listener: (message: ReceivedMessage) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  add(id: string, receivedAt: EpochMs, arrival: Arrival, content: Buffer): ReceivedMessage {
    const sha256 = createHash('sha256').update(content).digest('hex');
    const message = { id, receivedAt, ...arrival, ...summarizeHeader(content), size: content.length, sha256 };
    this.#messages.push(message);
    this.#contents.set(id, content);
    this.#octets += content.length;
    this.#makeRoom();
    for (const listener of this.#listeners) listener(message);
    return message;
  }

  #makeRoom(): void {
    while (this.#messages.length > this.#caps.messages) {
      const oldest = this.#messages.shift();
      if (oldest !== undefined) this.#dropContent(oldest.id);
    }
    // A Map keeps the order of insertion: the first key is the oldest content.
    for (const id of this.#contents.keys()) {
      if (this.#octets <= this.#caps.octets) return;
      this.#dropContent(id);
    }
  }

  #dropContent(id: string): void {
    this.#octets -= this.#contents.get(id)?.length ?? 0;
    this.#contents.delete(id);
  }
}

/**
 * Replies out of the octets that a server sends, whatever the segments they come in. For SMTP at the provider and for the servers that get fetched mail,
 * SMTP or LMTP (RFC 2033 §4: the same replies).
 *
 * Pure and bounded: a server that never ends a line or a reply is found out before it has cost more than {@link LONGEST_REPLY} octets.
 *
 * Source: RFC 5321 §4.2 and §4.5.3.1.5 (512 octets a reply line). Deviations: lines may be longer, as Microsoft's are, and may end in a
 * lone LF; but a reply whose lines carry different codes is refused, since it could be read as a success or as a failure.
 *
 * @packageDocumentation
 */
import { joinReplyLines, parseReplyLine, type Reply, type ReplyLine } from '../core/reply.ts';

const LONGEST_LINE = 8_192;
const LONGEST_REPLY = 65_536;
const MOST_LINES = 100;
const LF = 0x0a;

/** The octets are not SMTP replies, or too many for one. */
export class ReplyViolation extends Error {
  override readonly name = 'ReplyViolation';
}

/** One parser reads one stream from its beginning. */
export class ReplyParser {
  #tail: Buffer = Buffer.alloc(0);
  #lines: ReplyLine[] = [];
  #size = 0;

  /** True where a reply has begun and not ended. */
  get isMidReply(): boolean {
    return this.#tail.length > 0 || this.#lines.length > 0;
  }

  /**
   * Take the next octets.
   *
   * @yields Each reply as it is complete; what follows it has not been looked at yet.
   * @throws ReplyViolation. The parser is of no use afterwards.
   */
  *read(octets: Uint8Array): Generator<Reply, void, undefined> {
    let rest: Buffer = this.#tail.length === 0 ? Buffer.from(octets) : Buffer.concat([this.#tail, octets]);
    this.#tail = rest;
    for (let end = rest.indexOf(LF); end !== -1; end = rest.indexOf(LF)) {
      const line = rest.subarray(0, end + 1);
      rest = rest.subarray(end + 1);
      this.#tail = rest;
      const reply = this.#addLine(line);
      if (reply !== undefined) yield reply;
    }
    if (rest.length > LONGEST_LINE) throw new ReplyViolation(`a reply line of more than ${LONGEST_LINE} octets`);
  }

  #addLine(octets: Buffer): Reply | undefined {
    if (octets.length > LONGEST_LINE) throw new ReplyViolation(`a reply line of ${octets.length} octets`);
    this.#size += octets.length;
    // Octets that are no UTF-8 become U+FFFD; control characters are taken out when the lines are joined.
    const line = parseReplyLine(octets.toString('utf8').replace(/\r?\n$/, ''));
    if (line === undefined) throw new ReplyViolation('a line that is no SMTP reply');
    // RFC 5321 §4.2.1: the code is the same on every line.
    if (this.#lines.some(({ code }) => code !== line.code)) throw new ReplyViolation('a reply with different codes on its lines');
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES || this.#size > LONGEST_REPLY) throw new ReplyViolation('a reply without end');
    return line.isLast ? this.#complete() : undefined;
  }

  #complete(): Reply | undefined {
    const [first, ...others] = this.#lines;
    this.#lines = [];
    this.#size = 0;
    return first === undefined ? undefined : joinReplyLines([first, ...others]);
  }
}

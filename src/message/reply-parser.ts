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
const CR = 0x0d;
const LF = 0x0a;
const NOTHING = Buffer.alloc(0);

/** The octets are not SMTP replies, or too many for one. */
export class ReplyViolation extends Error {
  override readonly name = 'ReplyViolation';
}

/** One parser reads one stream from its beginning. */
export class ReplyParser {
  /** What came, of which the octets before {@link #at} have been read. */
  #octets: Buffer = NOTHING;
  #at = 0;
  #lines: ReplyLine[] = [];
  #size = 0;

  /** True where a reply has begun and not ended. */
  get isMidReply(): boolean {
    return this.#at < this.#octets.length || this.#lines.length > 0;
  }

  /** The next octets. @param octets - Not changed afterwards. */
  push(octets: Buffer): void {
    this.#octets = this.#at === this.#octets.length ? octets : Buffer.concat([this.#octets.subarray(this.#at), octets]);
    this.#at = 0;
  }

  /**
   * The next reply, as soon as it is complete; what follows it has not been looked at yet.
   *
   * @returns Undefined where more octets are needed.
   * @throws ReplyViolation. The parser is of no use afterwards.
   */
  next(): Reply | undefined {
    for (let end = this.#octets.indexOf(LF, this.#at); end !== -1; end = this.#octets.indexOf(LF, this.#at)) {
      const start = this.#at;
      this.#at = end + 1;
      const reply = this.#addLine(start, end);
      if (reply !== undefined) return reply;
    }
    if (this.#octets.length - this.#at > LONGEST_LINE) throw new ReplyViolation(`a reply line of more than ${LONGEST_LINE} octets`);
    return undefined;
  }

  /** @param end - Of its LF. */
  #addLine(start: number, end: number): Reply | undefined {
    const length = end + 1 - start;
    if (length > LONGEST_LINE) throw new ReplyViolation(`a reply line of ${length} octets`);
    this.#size += length;
    // Octets that are no UTF-8 become U+FFFD; control characters are taken out when the lines are joined.
    const line = parseReplyLine(this.#octets.toString('utf8', start, end > start && this.#octets[end - 1] === CR ? end - 1 : end));
    if (line === undefined) throw new ReplyViolation('a line that is no SMTP reply');
    // RFC 5321 §4.2.1: the code is the same on every line.
    if (this.#lines[0] !== undefined && this.#lines[0].code !== line.code)
      throw new ReplyViolation('a reply with different codes on its lines');
    this.#lines.push(line);
    if (this.#lines.length > MOST_LINES || this.#size > LONGEST_REPLY) throw new ReplyViolation('a reply without end');
    return line.isLast ? this.#complete() : undefined;
  }

  #complete(): Reply | undefined {
    const lines = this.#lines;
    this.#lines = [];
    this.#size = 0;
    return hasFirst(lines) ? joinReplyLines(lines) : undefined;
  }
}

const hasFirst = (lines: readonly ReplyLine[]): lines is readonly [ReplyLine, ...ReplyLine[]] => lines.length > 0;

/**
 * An SMTP reply as a value, whether it came from the upstream or is ours (RFC 5321 §4.2, enhanced codes RFC 3463, RFC 2034).
 *
 * Pure. Text in a reply is always one clean line per entry: {@link cleanText} keeps control characters, and so a second reply, out.
 *
 * @packageDocumentation
 */

/** The first digit of a reply code. */
export type ReplyClass = 2 | 3 | 4 | 5;

/** An SMTP reply. */
export interface Reply {
  /** 200–599. */
  readonly code: number;
  /** `class.subject.detail`, where one was given; its class agrees with `code` in what we send ourselves. */
  readonly enhancedCode?: string;
  /** The lines' text with neither the code nor the enhanced code; at least one entry, no control character. */
  readonly text: readonly string[];
}

/** Build a reply of ours. `enhancedCode` is required for 2yz, 4yz and 5yz except greetings and 334/354 (RFC 2034 §4). */
export function reply(code: number, enhancedCode: string | undefined, ...text: string[]): Reply {
  const lines = text.length === 0 ? [''] : text.map(cleanText);
  return enhancedCode === undefined ? { code, text: lines } : { code, enhancedCode, text: lines };
}

/** The same reply with another text. Written out: a copy by spreading costs several times as much, and each reply of an upstream takes one. */
export function withText({ code, enhancedCode }: Reply, text: readonly string[]): Reply {
  return enhancedCode === undefined ? { code, text } : { code, enhancedCode, text };
}

/** 2, 3, 4 or 5; a code outside 200–599 counts as 4, since an unknown outcome is transient. */
export function replyClass({ code }: Pick<Reply, 'code'>): ReplyClass {
  if (code >= 200 && code < 300) return 2;
  if (code >= 300 && code < 400) return 3;
  if (code >= 500 && code < 600) return 5;
  return 4;
}

export const isAccepted = (answer: Pick<Reply, 'code'>): boolean => replyClass(answer) === 2;
export const isPermanent = (answer: Pick<Reply, 'code'>): boolean => replyClass(answer) === 5;

/** One printable line: control characters (C0, DEL, C1, U+2028/9) become spaces, and the whole is cut at 450 characters. */
export function cleanText(text: string): string {
  // RFC 5321 §4.5.3.1.5 allows 512 octets a reply line; 450 leaves room for the codes.
  // Nearly all text is clean already, and to look costs less than to replace.
  const oneLine = UNCLEAN.test(text) ? text.replace(UNCLEAN_RUNS, ' ') : text;
  return oneLine.trim().slice(0, 450);
}

const UNCLEAN = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/;
const UNCLEAN_RUNS = new RegExp(`${UNCLEAN.source}+`, 'g');

const ENHANCED = /^([245])\.(\d{1,3})\.(\d{1,3})(?: |$)/;

/** One line of a reply as read from the wire, without its line end. `isLast` is false for `250-…`. */
export interface ReplyLine {
  readonly code: number;
  readonly isLast: boolean;
  readonly text: string;
}

/** Parse one reply line. Undefined where it is not one (RFC 5321 §4.2: three digits, then space, hyphen or nothing). */
export function parseReplyLine(line: string): ReplyLine | undefined {
  const hundreds = digitAt(line, 0);
  const tens = digitAt(line, 1);
  const ones = digitAt(line, 2);
  const separator = line.charAt(3);
  if (!(hundreds >= 2 && hundreds <= 5 && tens >= 0 && ones >= 0) || !(separator === '' || separator === ' ' || separator === '-')) {
    return undefined;
  }
  return { code: hundreds * 100 + tens * 10 + ones, isLast: separator !== '-', text: line.slice(4) };
}

/** -1 where it is none. */
function digitAt(text: string, index: number): number {
  const digit = text.charCodeAt(index) - 0x30;
  return digit >= 0 && digit <= 9 ? digit : -1;
}

/**
 * Join the lines of one reply. The enhanced code is taken from the front of the first line and removed from each line that repeats it.
 *
 * @param lines - In order; the last one is the one with `isLast`. A code that differs between lines makes the last one win.
 */
export function joinReplyLines(lines: readonly [ReplyLine, ...ReplyLine[]]): Reply {
  const last = lines.at(-1) ?? lines[0];
  const enhanced = ENHANCED.exec(lines[0].text)?.[0].trim();
  const text = lines.map((line) =>
    cleanText(enhanced !== undefined && line.text.startsWith(enhanced) ? line.text.slice(enhanced.length) : line.text),
  );
  return enhanced === undefined ? { code: last.code, text } : { code: last.code, enhancedCode: enhanced, text };
}

/** The lines to put on the wire, without line ends; the enhanced code stands on each line (RFC 2034 §4). */
export function formatReply(answer: Reply): string[] {
  return answer.text.map((line, index) => formatLine(answer, line, index === answer.text.length - 1));
}

function formatLine({ code, enhancedCode }: Reply, line: string, isLast: boolean): string {
  return `${code}${isLast ? ' ' : '-'}${enhancedCode === undefined ? '' : `${enhancedCode} `}${line}`;
}

/**
 * The reply as octets of the wire (RFC 5321 §4.2: printable ASCII), line ends included. What we say ourselves is clean already; a defect must not become a second reply.
 */
export function wireText(answer: Reply): string {
  const last = Math.max(0, answer.text.length - 1);
  let wire = '';
  for (let index = 0; index <= last; index += 1) {
    const line = answer.text[index] ?? '';
    wire += `${formatLine(answer, PRINTABLE.test(line) ? line : printable(line), index === last)}\r\n`;
  }
  return wire;
}

const PRINTABLE = /^[ -~]{0,450}$/;

const printable = (line: string): string => cleanText(line).replace(/[^ -~]/g, '?');

/** The reply as one line for a log or a person: `550 5.1.1 No such user`. */
export function describeReply(answer: Reply): string {
  const { code, enhancedCode = '', text } = answer;
  const words = text.join(' / ');
  return `${code}${enhancedCode === '' ? '' : ` ${enhancedCode}`}${words === '' ? '' : ` ${words}`}`;
}

/** A server's line as it may be shown: one line, and nothing that might be a token quoted back. */
export function showLine(line: string): string {
  return cleanText(line)
    .replace(/[A-Za-z0-9+/=._~-]{64,}/g, '[removed]')
    .slice(0, 200);
}

/** A name that came from the wire, fit for a sentence. */
export function quoted(name: string): string {
  const clean = cleanText(name);
  return `"${clean.length > 64 ? `${clean.slice(0, 64)}…` : clean}"`;
}

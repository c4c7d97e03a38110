/**
 * Where a line of content ends, the same for everything in this folder.
 *
 * Applications send CRLF, bare LF, bare CR and mixtures. Each of the three ends a line, everywhere and in the same way: a reader that saw a
 * header field where another one sees text would let one message pass for two. `\r\r\n` is therefore a bare CR followed by CRLF: two line
 * ends, with an empty line between them.
 *
 * Pure.
 *
 * Source: RFC 5321 §2.3.8 (a line ends in CRLF; bare CR and LF MUST NOT be sent), RFC 5322 §2.1.
 *
 * @packageDocumentation
 */

export const NUL = 0x00;
export const TAB = 0x09;
export const LINE_FEED = 0x0a;
export const CARRIAGE_RETURN = 0x0d;
export const SPACE = 0x20;
export const DOT = 0x2e;
export const COLON = 0x3a;

/** Space or tab (WSP, RFC 5234). */
export const isWhiteSpace = (octet: number | undefined): boolean => octet === SPACE || octet === TAB;

/**
 * Index of the first CR or LF.
 *
 * @param to - Where to stop; the answer where there is none.
 */
export function findLineEnd(octets: Uint8Array, from: number, to: number): number {
  // Octet by octet on purpose: two native searches would each run to the end of the text for every line, if it only holds the other kind.
  let at = from;
  while (at < to && octets[at] !== LINE_FEED && octets[at] !== CARRIAGE_RETURN) at += 1;
  return at;
}

/**
 * Index of the octet that follows a line end.
 *
 * @param at - Index of a CR or LF.
 * @param to - Number of octets that are there.
 * @param isComplete - False where more octets may follow `to`.
 * @returns Undefined where a CR is the last octet and an LF may still come.
 */
export function skipLineEnd(octets: Uint8Array, at: number, to: number, isComplete: boolean): number | undefined {
  if (octets[at] === LINE_FEED) return at + 1;
  if (at + 1 < to) return octets[at + 1] === LINE_FEED ? at + 2 : at + 1;
  return isComplete ? at + 1 : undefined;
}

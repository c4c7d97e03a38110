/**
 * Removes known secrets from a text by their value, whatever field, error or string they got into.
 *
 * Redaction by path misses secrets in error texts, URLs and SASL payloads (seven of nine leak shapes when measured on pino's own), so
 * this looks for the values themselves in the encodings they travel in. Of a long secret its first {@link PREFIX} characters are enough
 * to recognise it; what follows in the same run of token characters goes too, so a cut-off token does not slip through.
 *
 * @packageDocumentation
 */
import type { Redactor } from '../core/ports/log.ts';
import { SHORTEST_SECRET, secretTraces } from '../core/secret-traces.ts';

const PREFIX = 24;
const ROTATING_KEPT = 512;
const REPLACEMENT = '[secret]';
const TOKEN_CHARACTER = /[A-Za-z0-9+/=_.~%-]/;

export class Scrubber implements Redactor {
  readonly #lasting = new Map<string, readonly string[]>();
  readonly #rotating = new Map<string, readonly string[]>();

  add(secret: string, lifetime?: 'rotating'): void {
    if (secret.length < SHORTEST_SECRET) return;
    const known = lifetime === 'rotating' ? this.#rotating : this.#lasting;
    known.delete(secret);
    known.set(secret, needles(secret));
    if (known === this.#rotating && known.size > ROTATING_KEPT) {
      const oldest = known.keys().next();
      if (oldest.done !== true) known.delete(oldest.value);
    }
  }

  /** The text without any known secret. */
  scrub(text: string): string {
    let clean = text;
    for (const known of [this.#lasting, this.#rotating]) {
      for (const forms of known.values()) {
        for (const needle of forms) {
          if (needle.length <= clean.length && clean.includes(needle)) clean = cutOut(clean, needle);
        }
      }
    }
    return clean;
  }
}

/** The texts by which a secret is recognised, one per encoding. */
function needles(secret: string): readonly string[] {
  return [...new Set(secretTraces(secret).map((trace) => trace.slice(0, PREFIX)))];
}

/** Replace each occurrence, and what follows it as part of the same token when only the start of a long secret is known. */
function cutOut(text: string, needle: string): string {
  let clean = '';
  let from = 0;
  for (let at = text.indexOf(needle); at !== -1; at = text.indexOf(needle, from)) {
    let end = at + needle.length;
    if (needle.length >= PREFIX) while (TOKEN_CHARACTER.test(text.charAt(end))) end += 1;
    clean += text.slice(from, Math.max(from, escapeAround(text, at)?.start ?? at)) + REPLACEMENT;
    from = escapeAround(text, end)?.end ?? end;
  }
  return clean + text.slice(from);
}

/**
 * The JSON escape sequence that the place between two characters would cut in two. The text is a line of JSON; half an escape would leave it none.
 */
function escapeAround(text: string, at: number): { start: number; end: number } | undefined {
  for (let start = at - 1; start >= Math.max(0, at - 5); start -= 1) {
    if (text.charAt(start) !== '\\' || backslashesBefore(text, start) % 2 === 1) continue;
    const end = start + (text.charAt(start + 1) === 'u' ? 6 : 2);
    if (end > at) return { start, end };
  }
  return undefined;
}

function backslashesBefore(text: string, at: number): number {
  let count = 0;
  while (text.charAt(at - 1 - count) === '\\') count += 1;
  return count;
}

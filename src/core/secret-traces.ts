/**
 * The texts in which a secret may come back: what servers quote of a request, and what gets into an error.
 *
 * Pure.
 *
 * Sources: RFC 4648 §4, §5 and §8 (base64, base64url, hex), RFC 3986 §2.1 and the form encoding of the URL standard, RFC 8259 §7 (JSON).
 *
 * @packageDocumentation
 */

/** Shorter values would blot out ordinary words. */
export const SHORTEST_SECRET = 6;

/** So many characters in a row that also stand in a long secret are a piece of it. */
const PIECE = 16;
const REPLACEMENT = '[secret]';
const RUN = /[A-Za-z0-9+/=_.~%-]{16,}/g;

/** Every encoding of the whole secret, longest first; none below {@link SHORTEST_SECRET} characters, and none at all of a shorter secret. */
export function secretTraces(secret: string): readonly string[] {
  if (secret.length < SHORTEST_SECRET) return [];
  const octets = Buffer.from(secret, 'utf8');
  const hex = octets.toString('hex');
  const percent = encodeURIComponent(secret);
  const traces = [
    secret,
    JSON.stringify(secret).slice(1, -1),
    percent,
    percent.replace(/%[0-9A-F]{2}/g, (escape) => escape.toLowerCase()),
    new URLSearchParams({ s: secret }).toString().slice(2),
    hex,
    hex.toUpperCase(),
    ...base64Traces(octets),
  ];
  return [...new Set(traces)].filter(({ length }) => length >= SHORTEST_SECRET).sort((one, other) => other.length - one.length);
}

/**
 * Base64 of a secret inside something longer (`user=…^Aauth=Bearer SECRET`) depends on its offset modulo 3. For each: the characters whose bits are
 * the secret's alone, in both alphabets.
 */
function base64Traces(octets: Buffer): string[] {
  return [0, 1, 2].flatMap((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), octets]).toString('base64');
    const own = encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + octets.length) * 8) / 6));
    return [own, own.replaceAll('+', '-').replaceAll('/', '_')];
  });
}

/** Takes secrets out of texts that came from outside. Made for one exchange, with the few secrets that were sent in it. */
export class SecretTraces {
  readonly #traces: readonly string[];

  constructor(secrets: readonly string[]) {
    this.#traces = secrets.flatMap(secretTraces);
  }

  /** The text without the secrets: whole in any encoding, and in pieces of 16 characters or more, since servers cut and fold what they quote. */
  conceal(text: string): string {
    if (this.#traces.length === 0) return text;
    let clean = text;
    for (const trace of this.#traces)
      if (trace.length <= clean.length && clean.includes(trace)) clean = clean.replaceAll(trace, REPLACEMENT);
    return clean.length < PIECE ? clean : clean.replace(RUN, (run) => (this.#holdsPiece(run) ? REPLACEMENT : run));
  }

  #holdsPiece(run: string): boolean {
    for (let at = 0; at + PIECE <= run.length; at += 1) {
      const piece = run.slice(at, at + PIECE);
      if (this.#traces.some((trace) => trace.includes(piece))) return true;
    }
    return false;
  }
}

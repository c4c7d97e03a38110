/**
 * Looks for secrets in what a program has written.
 *
 * @packageDocumentation
 */

/** How a secret may look in a log: as it is, in a URL, in hex, and in base64 wherever it begins in the encoded text (RFC 4648 §4). */
function formsOf(secret: string): string[] {
  const octets = Buffer.from(secret);
  const base64 = [0, 1, 2].map((offset) => {
    const encoded = Buffer.concat([Buffer.alloc(offset), octets]).toString('base64');
    // Characters at the edges also hold bits of the neighbours.
    return encoded.slice(Math.ceil((offset * 8) / 6), Math.floor(((offset + octets.length) * 8) / 6));
  });
  return [secret, encodeURIComponent(secret), octets.toString('hex'), ...base64];
}

/** The secrets that occur in the text, shortened. */
export function secretsIn(text: string, secrets: readonly string[]): string[] {
  return secrets.filter((secret) => formsOf(secret).some((form) => text.includes(form))).map((secret) => `${secret.slice(0, 6)}…`);
}

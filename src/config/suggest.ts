/**
 * "Did you mean …": the known word nearest to an unknown one, and hints for keys that other programs have.
 *
 * Pure.
 *
 * @packageDocumentation
 */

/** Case, hyphens and underscores do not count: `client_id` is `clientId`. */
const plain = (word: string): string => word.toLowerCase().replaceAll(/[-_ ]/g, '');

/** Edits (insert, delete, replace, swap neighbours) that turn one word into the other: optimal string alignment. */
export function editDistance(one: string, other: string): number {
  let before: number[] = [];
  let last = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let row = 1; row <= one.length; row += 1) {
    const next = [row];
    for (let column = 1; column <= other.length; column += 1) {
      const isSame = one[row - 1] === other[column - 1];
      const isSwapped = row > 1 && column > 1 && one[row - 1] === other[column - 2] && one[row - 2] === other[column - 1];
      next[column] = Math.min(
        (last[column] ?? 0) + 1,
        (next[column - 1] ?? 0) + 1,
        (last[column - 1] ?? 0) + (isSame ? 0 : 1),
        isSwapped ? (before[column - 2] ?? 0) + 1 : Number.POSITIVE_INFINITY,
      );
    }
    before = last;
    last = next;
  }
  return last[other.length] ?? 0;
}

/** The candidate that differs by at most a third of its letters, or undefined. */
export function nearest(word: string, candidates: Iterable<string>): string | undefined {
  if (word.length > 80) return undefined; // The distance takes quadratic time; no known word is that long.
  let best: { readonly word: string; readonly distance: number } | undefined;
  for (const candidate of candidates) {
    const distance = editDistance(plain(word), plain(candidate));
    const most = Math.max(1, Math.floor(plain(candidate).length / 3));
    if (distance <= most && (best === undefined || distance < best.distance)) best = { word: candidate, distance };
  }
  return best?.word;
}

/** Keys of other programs and wishes that Postern does not grant, by their plain form. */
const FOREIGN_KEYS: Readonly<Record<string, string>> = {
  rejectunauthorized: 'certificates are always verified; name a private CA in providers.NAME.caFile',
  insecure: 'certificates are always verified; name a private CA in providers.NAME.caFile',
  tlsverify: 'certificates are always verified; name a private CA in providers.NAME.caFile',
  ignoretls: 'upstream connections are always encrypted',
  secure: 'say tls: implicit, or tls: starttls',
  starttls: 'say tls: starttls',
  accesstoken: 'access tokens are obtained by Postern; give a refreshToken or a clientSecret',
  redirecturi: 'not needed here: postern login chooses it',
};

/** What to say about a key that is known from elsewhere. */
export function foreignKeyHint(key: string): string | undefined {
  const known = plain(key);
  return Object.hasOwn(FOREIGN_KEYS, known) ? FOREIGN_KEYS[known] : undefined;
}

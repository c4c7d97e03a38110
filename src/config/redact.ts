/**
 * The text of a configuration as it may be shown: what stands in place of a secret is hidden, references to secrets elsewhere are not.
 *
 * Pure. Works by the names of keys, so that a file that is not valid can be shown as well; a name that only looks like a secret's counts as one, since it may be a
 * slip of somebody who meant it. Comments are looked at by the same names.
 *
 * @packageDocumentation
 */
import { isScalar, parseDocument, visit } from 'yaml';
import { SECRET_KEYS } from './schema.ts';

const HIDDEN = '"[secret]"';
const LOOKS_SECRET = /(secret|password|passwordhash|passphrase|token|privatekey|webhook)$/i;
const REFERENCE = /^\$\{(env|file):[^}]*\}$/;
const IN_COMMENT =
  /(#.*?\b(?:\w*(?:secret|password|passwordHash|passphrase|token|privateKey|webhook))\s*:\s*)(?!["']?\$\{(?:env|file):)\S.*$/gim;

/** Undefined where the text is not YAML, so that nobody can say what in it is a secret. */
export function redactConfig(text: string): string | undefined {
  const document = parseDocument(text, { logLevel: 'error' });
  if (document.errors.length > 0) return undefined;
  const ranges: [number, number][] = [];
  visit(document, {
    Pair: (_, { key, value }) => {
      if (!isScalar(key) || typeof key.value !== 'string' || !isSecret(key.value)) return undefined;
      if (isScalar(value) && (value.value === null || (typeof value.value === 'string' && REFERENCE.test(value.value)))) return undefined;
      const range =
        typeof value === 'object' && value !== null && 'range' in value ? (value.range as readonly number[] | undefined) : undefined;
      if (range?.[0] !== undefined && range[1] !== undefined) ranges.push([range[0], range[1]]);
      return visit.SKIP;
    },
  });
  let shown = text;
  for (const [from, to] of ranges.sort((one, other) => other[0] - one[0])) {
    const lineEnd = text.slice(from, to).endsWith('\n') ? '\n' : '';
    shown = `${shown.slice(0, from)}${HIDDEN}${lineEnd}${shown.slice(to)}`;
  }
  return shown.replaceAll(IN_COMMENT, `$1${HIDDEN}`);
}

const isSecret = (key: string): boolean => SECRET_KEYS.has(key) || LOOKS_SECRET.test(key);

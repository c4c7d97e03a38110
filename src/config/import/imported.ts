/**
 * What an import yields, whatever it comes from.
 *
 * Pure values.
 *
 * @packageDocumentation
 */

/** A value, and the comment that stands above it: where it came from. */
export interface Commented<Value> {
  readonly value: Value;
  readonly comment: string;
}

/** An entry of `accounts` or `clients`. */
export interface NamedEntry {
  readonly name: string;
  readonly [key: string]: unknown;
}

/** Sections of a postern.yaml. */
export interface ImportedConfig {
  /** Name of the program that the file is of. */
  readonly origin: 'email-oauth2-proxy' | 'SMTP2Graph';
  readonly smtp: readonly Commented<object>[];
  readonly imap: readonly Commented<object>[];
  readonly pop3: readonly Commented<object>[];
  readonly providers: ReadonlyMap<string, Commented<object>>;
  readonly accounts: readonly Commented<NamedEntry>[];
  readonly clients: readonly Commented<NamedEntry>[];
  readonly leftovers: readonly Leftover[];
}

/** Something of the old file that is not in the new one, or not as it was. Holds no secret. */
export interface Leftover {
  /** Section and key: `[billing@contoso.com] client_secret_encrypted`. */
  readonly where: string;
  /** Counted from 1. */
  readonly line?: number;
  /** Why. */
  readonly reason: string;
  /** What to do now. */
  readonly remedy: string;
}

/** Gives out names that fit `name` of accounts and clients, each once whatever its case. */
export class Names {
  readonly #taken = new Set<string>();

  of(address: string): string {
    const [local = '', ...rest] = address.split('@');
    const base = clean(local);
    const long = clean(`${local}-${rest.join('-')}`);
    for (let count = 0; ; count += 1) {
      const name = count === 0 ? base : count === 1 ? long : `${long.slice(0, 58)}-${count}`;
      if (this.#taken.has(name.toLowerCase())) continue;
      this.#taken.add(name.toLowerCase());
      return name;
    }
  }
}

const clean = (text: string): string =>
  text
    .replaceAll(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^[^A-Za-z0-9]+/, '')
    .slice(0, 64) || 'mailbox';

/** `$${` in a configuration stands for `${`. A function, since `$$` in a replacement text means `$`. */
export const literal = (text: string): string => text.replaceAll('${', () => '$${');

/**
 * What an upstream offers, and under which name we greet it.
 *
 * Pure.
 *
 * Sources: RFC 5321 §4.1.1.1 (EHLO), RFC 4954 §3 (AUTH), RFC 1870 (SIZE), RFC 2920 (PIPELINING), RFC 6152 (8BITMIME), RFC 6531
 * (SMTPUTF8), RFC 3461 (DSN), RFC 8689 (REQUIRETLS).
 *
 * @packageDocumentation
 */
import type { Reply } from '../core/reply.ts';

/** The service extensions that we use. */
export interface Extensions {
  readonly isStarttls: boolean;
  readonly isPipelining: boolean;
  readonly isEightBitMime: boolean;
  readonly isSmtpUtf8: boolean;
  readonly isDsn: boolean;
  readonly isSize: boolean;
  readonly isRequireTls: boolean;
  /** SASL mechanisms, upper-case. */
  readonly mechanisms: ReadonlySet<string>;
}

/** Before EHLO nothing is offered. */
export const NO_EXTENSIONS: Extensions = parseExtensions({ code: 250, text: [''] });

/** Read the reply to EHLO. Its first line is a greeting; each other one names an extension, in any case. */
export function parseExtensions({ text }: Reply): Extensions {
  const offered = new Map<string, string[]>();
  for (const line of text.slice(1)) {
    // `AUTH=LOGIN` is how servers said it before RFC 2554.
    const [keyword = '', ...parameters] = line
      .toUpperCase()
      .replace(/^AUTH=/, 'AUTH ')
      .split(' ');
    offered.set(keyword, [...(offered.get(keyword) ?? []), ...parameters]);
  }
  return {
    isStarttls: offered.has('STARTTLS'),
    isPipelining: offered.has('PIPELINING'),
    isEightBitMime: offered.has('8BITMIME'),
    isSmtpUtf8: offered.has('SMTPUTF8'),
    isDsn: offered.has('DSN'),
    isSize: offered.has('SIZE'),
    isRequireTls: offered.has('REQUIRETLS'),
    mechanisms: new Set(offered.get('AUTH')),
  };
}

/**
 * The argument of EHLO for a machine. It becomes part of a command, and a host name is input like any other.
 *
 * @returns `hostname` where it is a domain by RFC 5321 §4.1.2, else `localhost`.
 */
export function ehloName(hostname: string): string {
  const label = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
  const name = hostname.toLowerCase();
  return name.length <= 253 && new RegExp(`^${label}(?:\\.${label})*$`).test(name) ? name : 'localhost';
}

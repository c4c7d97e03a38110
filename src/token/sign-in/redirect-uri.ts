/**
 * Where the browser goes after a sign-in, and whether this machine can listen there.
 *
 * Pure. A redirect URI on loopback without a port takes any free one, which providers allow for programs (RFC 8252 §7.3); Entra knows only
 * `localhost` that way, Google also `127.0.0.1`. Anything else can only be pasted back by a person.
 *
 * @packageDocumentation
 */

/** A loopback address to listen on. */
export interface LoopbackRedirect {
  readonly kind: 'loopback';
  /** As the URI has it. */
  readonly host: 'localhost' | '127.0.0.1' | '[::1]';
  /** 0: any free one. */
  readonly port: number;
  /** As the URI has it; `''` and `/` are not the same to a provider. */
  readonly path: string;
}

/** An address that we cannot listen on. */
export interface OtherRedirect {
  readonly kind: 'elsewhere';
  readonly uri: string;
}

/** Registered most often for programs; Entra accepts it with every port. */
export const DEFAULT_REDIRECT_URI = 'http://localhost/oauth/callback';

const LOOPBACK = /^http:\/\/(localhost|127\.0\.0\.1|\[::1\])(?::(\d{1,5}))?(\/[^?#]*)?$/i;

/** Undefined for what no redirect URI can be: RFC 6749 §3.1.2 wants an absolute URI without a fragment. */
export function parseRedirectUri(text: string): LoopbackRedirect | OtherRedirect | undefined {
  if (!URL.canParse(text) || text.includes('#') || /\s/.test(text)) return undefined;
  const [, host, port = '0', path = ''] = LOOPBACK.exec(text) ?? [];
  if (host === undefined) return { kind: 'elsewhere', uri: text };
  return { kind: 'loopback', host: host.toLowerCase() as LoopbackRedirect['host'], port: Number(port), path };
}

/** The URI to send to the provider once the port is known. */
export function redirectUriAt({ host, path }: LoopbackRedirect, port: number): string {
  return `http://${host}:${port}${path}`;
}

/** Literal addresses: `localhost` could be given another meaning by a resolver (RFC 8252 §8.3). */
export function bindAddress({ host }: LoopbackRedirect): '127.0.0.1' | '::1' {
  return host === '[::1]' ? '::1' : '127.0.0.1';
}

/**
 * The admin page: a few files that hold nothing but the page. All that it shows comes from the API, so whoever may not use that sees an empty page.
 *
 * Its policy lets it run its own script and ask its own server, and nothing else: no inline script or style, no frame, no other host, and no way to turn a
 * text into markup (Trusted Types).
 *
 * Sources: W3C Content Security Policy Level 3, W3C Trusted Types.
 *
 * @packageDocumentation
 */
import type { Route } from './api.ts';

/** One file of the page. */
export interface PageFile {
  /** Path on the server. */
  readonly path: `/${string}`;
  readonly type: string;
  readonly text: string;
}

const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self'",
  "connect-src 'self'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "base-uri 'none'",
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

/** A route for each file. */
export function pageRoutes(files: readonly PageFile[]): readonly Route[] {
  const headers = { 'content-security-policy': POLICY, 'cross-origin-opener-policy': 'same-origin' };
  return files.map(({ path, type, text }) => ({
    method: 'GET',
    path,
    access: 'page',
    run: () => Promise.resolve({ status: 200, type, text, headers }),
  }));
}

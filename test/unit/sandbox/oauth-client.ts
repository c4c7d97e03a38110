/**
 * Requests to the sandbox's OAuth server, as a client would send them.
 *
 * @packageDocumentation
 */
import type { Sandbox } from '../../../src/sandbox/sandbox.ts';

/** An answer of the token endpoint. */
export interface TokenAnswer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  /** `{}` where the body is not JSON. */
  readonly json: Record<string, unknown>;
}

export async function post(
  url: string,
  fields: Readonly<Record<string, string>>,
  headers: Record<string, string> = {},
): Promise<TokenAnswer> {
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields), headers, redirect: 'manual' });
  const text = await response.text();
  return { status: response.status, headers: response.headers, text, json: parse(text) };
}

function parse(text: string): Record<string, unknown> {
  try {
    return JSON.parse(text) as Record<string, unknown>;
  } catch {
    return {};
  }
}

export const secretOf = ({ clientId, clientSecret }: Sandbox): Record<string, string> => ({
  client_id: clientId,
  client_secret: clientSecret,
});

/** Refresh with the confidential application. */
export function refresh(sandbox: Sandbox, refreshToken: string, more: Readonly<Record<string, string>> = {}): Promise<TokenAnswer> {
  return post(sandbox.tokenUrl, { grant_type: 'refresh_token', refresh_token: refreshToken, ...secretOf(sandbox), ...more });
}

export function claimsOf(accessToken: unknown): Record<string, unknown> {
  const payload = String(accessToken).split('.')[1] ?? '';
  return JSON.parse(Buffer.from(payload, 'base64url').toString()) as Record<string, unknown>;
}

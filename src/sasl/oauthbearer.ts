/**
 * OAUTHBEARER, client side: the standard mechanism for OAuth 2.0 access tokens.
 *
 * Pure.
 *
 * Sources: RFC 7628 §3.1 (string) and §3.2.3 (end of a failed exchange), RFC 5801 §4 (GS2 header and the escapes in its name).
 *
 * @packageDocumentation
 */
import { checkToken, checkUser } from './bearer.ts';

/** After a failure challenge the client MUST send a lone %x01 (RFC 7628 §3.2.3), in base64; the refusal follows. */
export const OAUTHBEARER_FAILURE_ANSWER = 'AQ==';

/**
 * The string for a user and an access token, in base64.
 *
 * @param host - As connected to; with `port` it guards against a token being used elsewhere.
 * @throws SaslStringError where user or token cannot be part of it.
 */
export function encodeOauthbearer(user: string, accessToken: string, host: string, port: number): string {
  checkUser(user);
  checkToken(accessToken);
  const name = user.replaceAll('=', '=3D').replaceAll(',', '=2C');
  return Buffer.from(`n,a=${name},\x01host=${host}\x01port=${port}\x01auth=Bearer ${accessToken}\x01\x01`).toString('base64');
}

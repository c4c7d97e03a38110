/**
 * XOAUTH2, client side: Google's mechanism, the only one for OAuth 2.0 that Exchange Online offers.
 *
 * Pure.
 *
 * Source: Google, "OAuth 2.0 Mechanism" for IMAP, POP and SMTP; Microsoft documents the same string. There is no RFC.
 *
 * @packageDocumentation
 */
import { checkToken, checkUser } from './bearer.ts';

/** After a failure challenge the client sends an empty line; the refusal follows. */
export const XOAUTH2_FAILURE_ANSWER = '';

/**
 * The string for a user and an access token, in base64.
 *
 * @throws SaslStringError where one of them cannot be part of it.
 */
export function encodeXoauth2(user: string, accessToken: string): string {
  checkUser(user);
  checkToken(accessToken);
  return Buffer.from(`user=${user}\x01auth=Bearer ${accessToken}\x01\x01`).toString('base64');
}

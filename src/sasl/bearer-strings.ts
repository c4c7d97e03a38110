/**
 * The strings of a sign-in with an access token, by mechanism, for those who speak IMAP and POP3.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { ProblemError, problem } from '../core/problem.ts';
import { SaslStringError } from './bearer.ts';
import { encodeOauthbearer, OAUTHBEARER_FAILURE_ANSWER } from './oauthbearer.ts';
import { encodeXoauth2, XOAUTH2_FAILURE_ANSWER } from './xoauth2.ts';

/** Whom to sign in as, and where. */
export interface BearerIdentity {
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER';
  readonly user: string;
  readonly endpoint: { readonly host: string; readonly port: number };
}

/** What to send in which place. */
export interface BearerStrings {
  /** In base64. */
  readonly response: string;
  /** To a challenge that comes after it, which explains a failure; the refusal follows. */
  readonly failureAnswer: string;
}

/** @throws ProblemError where user or token must not be sent: `TOKEN_ENDPOINT_NONSENSE`, `CONFIG_INVALID`. */
export function bearerStrings({ mechanism, user, endpoint }: BearerIdentity, accessToken: string): BearerStrings {
  try {
    return mechanism === 'XOAUTH2'
      ? { response: encodeXoauth2(user, accessToken), failureAnswer: XOAUTH2_FAILURE_ANSWER }
      : { response: encodeOauthbearer(user, accessToken, endpoint.host, endpoint.port), failureAnswer: OAUTHBEARER_FAILURE_ANSWER };
  } catch (error) {
    if (!(error instanceof SaslStringError)) throw error;
    const code = error.part === 'token' ? 'TOKEN_ENDPOINT_NONSENSE' : 'CONFIG_INVALID';
    throw new ProblemError(problem(code, `${error.message}; it was not sent`), { cause: error });
  }
}

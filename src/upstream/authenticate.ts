/**
 * One AUTH exchange with an access token.
 *
 * Always in two steps, `AUTH XOAUTH2` first and the string after the 334: with the token inside, the command would be far longer than the
 * 512 octets of RFC 4954 §4. Both ways of refusing are understood: a direct 5yz, as Exchange does it, and a second 334 with an
 * explanation, as Google does it, which has to be answered before the 5yz comes.
 *
 * Sources: RFC 4954 §4, RFC 7628 §3.2.3, Google's XOAUTH2 description.
 *
 * @packageDocumentation
 */
import type { DurationMs } from '../core/clock.ts';
import { isAccepted, type Reply } from '../core/reply.ts';
import { type BearerFailure, decodeBearerFailure } from '../sasl/bearer.ts';
import { encodeOauthbearer, OAUTHBEARER_FAILURE_ANSWER } from '../sasl/oauthbearer.ts';
import { encodeXoauth2, XOAUTH2_FAILURE_ANSWER } from '../sasl/xoauth2.ts';
import type { Dialogue } from './dialogue.ts';
import { violated } from './failures.ts';

/** Whom to sign in as. */
export interface Credentials {
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER';
  readonly user: string;
  readonly accessToken: string;
  readonly host: string;
  readonly port: number;
}

/** A refusal is a value: another token may help. */
export type AuthOutcome =
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly failure?: BearerFailure | undefined };

/**
 * Sign in.
 *
 * @throws SaslStringError before anything is sent, where user or token cannot be part of the string. UpstreamError where the session fails.
 */
export async function authenticate(dialogue: Dialogue, credentials: Credentials, deadline: DurationMs): Promise<AuthOutcome> {
  const { initialResponse, failureAnswer } = prepare(credentials);
  const say = (line: string, shownAs?: string): Promise<Reply> => {
    const command = { line, stage: 'auth', deadline, endsGroup: true } as const;
    return dialogue.send(shownAs === undefined ? command : { ...command, shownAs });
  };
  const challenge = await say(`AUTH ${credentials.mechanism}`);
  if (isAccepted(challenge)) return breach(dialogue, 'AUTH accepted without a token');
  if (challenge.code !== 334) return { kind: 'refused', reply: challenge };

  const answer = await say(initialResponse, '[credentials]');
  if (isAccepted(answer)) return { kind: 'signed-in' };
  if (answer.code !== 334) return { kind: 'refused', reply: answer };

  const reply = await say(failureAnswer);
  if (reply.code < 400) return breach(dialogue, 'AUTH goes on after its failure');
  return { kind: 'refused', reply, failure: decodeBearerFailure(answer.text.join('').trim()) };
}

function prepare({ mechanism, user, accessToken, host, port }: Credentials): { initialResponse: string; failureAnswer: string } {
  return mechanism === 'XOAUTH2'
    ? { initialResponse: encodeXoauth2(user, accessToken), failureAnswer: XOAUTH2_FAILURE_ANSWER }
    : { initialResponse: encodeOauthbearer(user, accessToken, host, port), failureAnswer: OAUTHBEARER_FAILURE_ANSWER };
}

function breach(dialogue: Dialogue, what: string): never {
  dialogue.fail(violated(dialogue.upstream, what));
  throw dialogue.failure('auth');
}

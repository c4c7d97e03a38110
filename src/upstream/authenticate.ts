/**
 * One AUTH exchange, with an access token or with a password.
 *
 * Always in steps, `AUTH XOAUTH2` first and the string after the 334: with the token inside, the command would be far longer than the
 * 512 octets of RFC 4954 §4. Of a token, both ways of refusing are understood: a direct 5yz, as Exchange does it, and a second 334 with an
 * explanation, as Google does it, which has to be answered before the 5yz comes.
 *
 * Sources: RFC 4954 §4, RFC 7628 §3.2.3, RFC 4616 (PLAIN), Google's XOAUTH2 description.
 *
 * @packageDocumentation
 */
import type { Endpoint } from '../core/account.ts';
import type { DurationMs } from '../core/clock.ts';
import { isAccepted, type Reply } from '../core/reply.ts';
import { type BearerFailure, decodeBearerFailure } from '../sasl/bearer.ts';
import { encodeOauthbearer, OAUTHBEARER_FAILURE_ANSWER } from '../sasl/oauthbearer.ts';
import { encodeLogin, encodePlain } from '../sasl/password.ts';
import { encodeXoauth2, XOAUTH2_FAILURE_ANSWER } from '../sasl/xoauth2.ts';
import type { Dialogue } from './dialogue.ts';
import { violated } from './failures.ts';

/** With an access token. */
interface BearerCredentials {
  readonly mechanism: 'XOAUTH2' | 'OAUTHBEARER';
  readonly user: string;
  readonly accessToken: string;
}

/** With a password. */
interface PasswordCredentials {
  readonly mechanism: 'PLAIN' | 'LOGIN';
  readonly user: string;
  readonly password: string;
}

/** Whom to sign in as. */
export type Credentials = BearerCredentials | PasswordCredentials;

/** A refusal is a value: another token may help. */
export type AuthOutcome =
  | { readonly kind: 'signed-in' }
  | { readonly kind: 'refused'; readonly reply: Reply; readonly failure?: BearerFailure | undefined };

/**
 * Sign in.
 *
 * @param server - As connected to.
 * @throws SaslStringError before anything is sent, where a part of the credentials cannot be. UpstreamError where the session fails.
 */
export async function authenticate(
  dialogue: Dialogue,
  credentials: Credentials,
  server: Pick<Endpoint, 'host' | 'port'>,
  deadline: DurationMs,
): Promise<AuthOutcome> {
  const { responses, failureAnswer } = prepare(credentials, server);
  dialogue.conceal('password' in credentials ? credentials.password : credentials.accessToken);
  const say = (line: string, shownAs?: string): Promise<Reply> => {
    const command = { line, stage: 'auth', deadline, endsGroup: true } as const;
    return dialogue.send(shownAs === undefined ? command : { ...command, shownAs });
  };
  let answer = await say(`AUTH ${credentials.mechanism}`);
  for (const response of responses) {
    if (isAccepted(answer)) return breach(dialogue, 'AUTH accepted without credentials');
    if (answer.code !== 334) return { kind: 'refused', reply: answer };
    answer = await say(response, '[credentials]');
  }
  if (isAccepted(answer)) return { kind: 'signed-in' };
  if (answer.code !== 334) return { kind: 'refused', reply: answer };
  if (failureAnswer === undefined) return breach(dialogue, 'AUTH asks for more than user name and password');

  const reply = await say(failureAnswer);
  if (reply.code < 400) return breach(dialogue, 'AUTH goes on after its failure');
  return { kind: 'refused', reply, failure: decodeBearerFailure(answer.text.join('').trim()) };
}

/** What follows each 334. */
interface Conversation {
  readonly responses: readonly string[];
  /** The answer to an explanation of a failure; absent for mechanisms that have none. */
  readonly failureAnswer?: string;
}

function prepare(credentials: Credentials, { host, port }: Pick<Endpoint, 'host' | 'port'>): Conversation {
  const { user } = credentials;
  switch (credentials.mechanism) {
    case 'XOAUTH2':
      return { responses: [encodeXoauth2(user, credentials.accessToken)], failureAnswer: XOAUTH2_FAILURE_ANSWER };
    case 'OAUTHBEARER':
      return { responses: [encodeOauthbearer(user, credentials.accessToken, host, port)], failureAnswer: OAUTHBEARER_FAILURE_ANSWER };
    case 'PLAIN':
      return { responses: [encodePlain(user, credentials.password)] };
    default:
      return { responses: encodeLogin(user, credentials.password) };
  }
}

function breach(dialogue: Dialogue, what: string): never {
  dialogue.fail(violated(dialogue.upstream, what));
  throw dialogue.failure('auth');
}

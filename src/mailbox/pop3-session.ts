/**
 * Signing in at a POP3 server: greeting, STLS where it is wanted, CAPA, AUTH.
 *
 * AUTH always in steps: Exchange takes no other form, and a token is longer than a command may be.
 *
 * Sources: RFC 1939, RFC 2449 (CAPA; 255 octets a command), RFC 2595 (STLS), RFC 5034 (AUTH).
 *
 * @packageDocumentation
 */
import type { Endpoint } from '../core/account.ts';
import type { LineConnection } from '../platform/line-connection.ts';
import { classifyRefusal } from '../policy/mailbox-answers.ts';
import { bearerStrings } from '../sasl/bearer-strings.ts';
import { encodeLogin, encodePlain } from '../sasl/password.ts';
import { type MailboxCredentials, notOffered, notSecured, type SignInOutcome, strange, targetOf, turnedAway } from './server-session.ts';

/** @throws ProblemError, MailboxError where it did not come to an answer about the credentials. The connection is the caller's to close. */
export async function signInToPop3(
  connection: LineConnection,
  endpoint: Endpoint,
  credentials: MailboxCredentials,
): Promise<SignInOutcome> {
  const target = targetOf(endpoint);
  const greeting = await connection.readLine();
  if (!isOk(greeting)) throw isError(greeting) ? turnedAway(target, greeting) : strange(target, 'POP3', greeting);
  if (endpoint.tls === 'starttls') {
    const answer = await command(connection, target, 'STLS');
    if (!isOk(answer)) throw notSecured(target, 'STLS', answer);
    await connection.startTls();
  }
  const capabilities = await listCapabilities(connection, target);
  const { mechanism, responses, failureAnswer } = chooseWords(credentials, capabilities, endpoint);
  const answer = await exchange(connection, target, mechanism, responses, failureAnswer);
  if (isOk(answer)) return { kind: 'signed-in', session: { ...connection.detach(), capabilities } };
  return { kind: 'refused', meaning: classifyRefusal('auth', target, answer) };
}

interface Words {
  readonly mechanism: string;
  /** In base64. */
  readonly responses: readonly string[];
  readonly failureAnswer: string | undefined;
}

function chooseWords(credentials: MailboxCredentials, capabilities: readonly string[], endpoint: Endpoint): Words {
  const offered = capabilities.flatMap((line) => {
    const [capability, ...words] = line.toUpperCase().split(' ');
    return capability === 'SASL' ? words : [];
  });
  if (credentials.mechanism === 'password') {
    const { user, password } = credentials;
    const mechanism = (['PLAIN', 'LOGIN'] as const).find((candidate) => offered.includes(candidate));
    if (mechanism === undefined) throw notOffered(targetOf(endpoint), 'SASL PLAIN or LOGIN', offered, true);
    const responses = mechanism === 'PLAIN' ? [encodePlain(user, password)] : encodeLogin(user, password);
    return { mechanism, responses, failureAnswer: undefined };
  }
  const { mechanism } = credentials;
  if (!offered.includes(mechanism)) throw notOffered(targetOf(endpoint), `SASL ${mechanism}`, offered, false);
  const { response, failureAnswer } = bearerStrings({ ...credentials, endpoint }, credentials.accessToken);
  return { mechanism, responses: [response], failureAnswer };
}

/** @returns The `+OK` or `-ERR` that ends the exchange. */
async function exchange(
  connection: LineConnection,
  target: string,
  mechanism: string,
  responses: readonly string[],
  failureAnswer: string | undefined,
): Promise<string> {
  let answer = await command(connection, target, `AUTH ${mechanism}`);
  for (const response of responses) {
    if (isOk(answer)) throw strange(target, 'POP3', answer); // Accepted without credentials.
    if (isError(answer)) return answer;
    answer = await command(connection, target, response);
  }
  if (!isChallenge(answer)) return answer;
  // A challenge that explains the failure (RFC 7628 §3.2.3); of a password's exchange `*` is the end (RFC 5034 §4).
  answer = await command(connection, target, failureAnswer ?? '*');
  if (!isError(answer)) throw strange(target, 'POP3', answer);
  return answer;
}

async function command(connection: LineConnection, target: string, line: string): Promise<string> {
  connection.send(line);
  const answer = await connection.readLine();
  if (!isOk(answer) && !isError(answer) && !isChallenge(answer)) throw strange(target, 'POP3', answer);
  return answer;
}

async function listCapabilities(connection: LineConnection, target: string): Promise<string[]> {
  if (!isOk(await command(connection, target, 'CAPA'))) return [];
  const lines: string[] = [];
  for (let line = await connection.readLine(); line !== '.'; line = await connection.readLine()) lines.push(line);
  return lines;
}

const isOk = (line: string): boolean => /^\+OK\b/i.test(line);
const isError = (line: string): boolean => /^-ERR\b/i.test(line);
const isChallenge = (line: string): boolean => line === '+' || line.startsWith('+ ');

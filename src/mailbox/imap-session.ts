/**
 * Signing in at an IMAP server: greeting, STARTTLS where it is wanted, CAPABILITY, AUTHENTICATE, and CAPABILITY once more.
 *
 * The token goes with the command where the server has SASL-IR and the line stays within what servers read, else in a step of its own.
 *
 * Sources: RFC 9051 §6.1.1, §6.2.1, §6.2.2; RFC 4959 (SASL-IR); RFC 7628 §3.2.3 (end of a failed exchange); RFC 2683 §3.2.1.5 (8,000 octets a line).
 *
 * @packageDocumentation
 */
import type { Endpoint } from '../core/account.ts';
import { ProblemError } from '../core/problem.ts';
import { showLine } from '../core/reply.ts';
import type { LineConnection } from '../platform/line-connection.ts';
import { classifyRefusal } from '../policy/mailbox-answers.ts';
import { bearerStrings } from '../sasl/bearer-strings.ts';
import { encodeLogin, encodePlain } from '../sasl/password.ts';
import { type MailboxCredentials, notOffered, notSecured, type SignInOutcome, strange, targetOf, turnedAway } from './server-session.ts';

const LONGEST_COMMAND = 8_000;

/** The last line of an answer, and what came before it. */
interface Answer {
  /** `OK`, `NO` or `BAD` and text; `+` and a challenge; or `BYE` and text where the server says goodbye in place of an answer. */
  readonly line: string;
  readonly untagged: readonly string[];
}

/** @throws ProblemError, MailboxError where it did not come to an answer about the credentials. The connection is the caller's to close. */
export async function signInToImap(
  connection: LineConnection,
  endpoint: Endpoint,
  credentials: MailboxCredentials,
): Promise<SignInOutcome> {
  const target = targetOf(endpoint);
  const dialogue = new ImapDialogue(connection, target);
  let capabilities = await dialogue.greeting();
  if (endpoint.tls === 'starttls') {
    const { line } = await dialogue.command('STARTTLS');
    if (!isOk(line)) throw isBye(line) ? turnedAway(target, line) : notSecured(target, 'STARTTLS', line);
    await connection.startTls();
    capabilities = undefined; // RFC 9051 §6.2.1: what was said in clear text is void.
  }
  const { words, failureAnswer, mechanism } = chooseWords(credentials, capabilities ?? (await dialogue.capabilities()), endpoint);
  const answer = await dialogue.exchange(mechanism, words, failureAnswer);
  if (!isOk(answer.line)) {
    const said = [answer.line, ...answer.untagged.filter(isBye)].join(' / ');
    return { kind: 'refused', meaning: classifyRefusal('auth', target, said) };
  }
  const after = listed(answer) ?? (await dialogue.capabilities());
  return { kind: 'signed-in', session: { ...connection.detach(), capabilities: after } };
}

/** What to say in AUTHENTICATE. */
interface Words {
  readonly mechanism: string;
  /** In base64; the first one goes with the command where `hasInitialResponse`. */
  readonly words: { readonly responses: readonly string[]; readonly hasInitialResponse: boolean };
  readonly failureAnswer: string | undefined;
}

function chooseWords(credentials: MailboxCredentials, capabilities: readonly string[], endpoint: Endpoint): Words {
  const upper = capabilities.map((word) => word.toUpperCase());
  const offered = upper.filter((word) => word.startsWith('AUTH=')).map((word) => word.slice('AUTH='.length));
  const initial = (mechanism: string, responses: readonly string[]) => ({
    responses,
    hasInitialResponse:
      upper.includes('SASL-IR') && mechanism.length + (responses[0]?.length ?? 0) + 'p99 AUTHENTICATE  '.length <= LONGEST_COMMAND,
  });
  if (credentials.mechanism === 'password') {
    const { user, password } = credentials;
    const mechanism = (['PLAIN', 'LOGIN'] as const).find((candidate) => offered.includes(candidate));
    if (mechanism === undefined) throw notOffered(targetOf(endpoint), 'AUTH=PLAIN or AUTH=LOGIN', offered, true);
    // Exchange takes LOGIN only in steps; there is nothing to gain for it anyway.
    if (mechanism === 'LOGIN') {
      return { mechanism, words: { responses: encodeLogin(user, password), hasInitialResponse: false }, failureAnswer: undefined };
    }
    return { mechanism, words: initial(mechanism, [encodePlain(user, password)]), failureAnswer: undefined };
  }
  const { mechanism } = credentials;
  if (!offered.includes(mechanism)) throw notOffered(targetOf(endpoint), `AUTH=${mechanism}`, offered, false);
  const { response, failureAnswer } = bearerStrings({ ...credentials, endpoint }, credentials.accessToken);
  return { mechanism, words: initial(mechanism, [response]), failureAnswer };
}

class ImapDialogue {
  readonly #connection: LineConnection;
  readonly #target: string;
  #count = 0;

  constructor(connection: LineConnection, target: string) {
    this.#connection = connection;
    this.#target = target;
  }

  /** @returns The capabilities, if the greeting has them (Exchange's has not). */
  async greeting(): Promise<string[] | undefined> {
    const line = await this.#connection.readLine();
    if (/^\* OK\b/i.test(line)) return listed({ line: line.slice(2), untagged: [] });
    throw /^\* BYE\b/i.test(line) ? turnedAway(this.#target, line.slice(2)) : strange(this.#target, 'IMAP', line);
  }

  async capabilities(): Promise<string[]> {
    const answer = await this.command('CAPABILITY');
    if (!isOk(answer.line)) throw turnedAway(this.#target, answer.line);
    return listed(answer) ?? [];
  }

  async command(text: string): Promise<Answer> {
    this.#count += 1;
    this.#connection.send(`p${this.#count} ${text}`);
    return this.#answer();
  }

  /** @returns The tagged answer, or a BYE in its place. */
  async exchange(mechanism: string, { responses, hasInitialResponse }: Words['words'], failureAnswer: string | undefined): Promise<Answer> {
    const [first = ''] = responses;
    let answer = await this.command(hasInitialResponse ? `AUTHENTICATE ${mechanism} ${first}` : `AUTHENTICATE ${mechanism}`);
    for (const response of hasInitialResponse ? responses.slice(1) : responses) {
      if (isOk(answer.line)) throw strange(this.#target, 'IMAP', answer.line); // Accepted without credentials.
      if (!answer.line.startsWith('+')) return answer;
      this.#connection.send(response);
      answer = await this.#answer();
    }
    if (!answer.line.startsWith('+')) return answer;
    // A challenge that explains the failure (RFC 7628 §3.2.3); of a password's exchange `*` is the end (RFC 9051 §6.2.2).
    this.#connection.send(failureAnswer ?? '*');
    answer = await this.#answer();
    if (isOk(answer.line) || answer.line.startsWith('+')) throw strange(this.#target, 'IMAP', answer.line);
    return answer;
  }

  async #answer(): Promise<Answer> {
    const untagged: string[] = [];
    const tag = `p${this.#count} `;
    for (;;) {
      const line = await this.#readLine(untagged);
      if (line === undefined) return { line: untagged.find(isBye) ?? '', untagged: [] };
      if (line.startsWith('* ')) untagged.push(line.slice(2));
      else if (line.startsWith('+')) return { line, untagged };
      else if (line.startsWith(tag)) return { line: line.slice(tag.length), untagged };
      else throw strange(this.#target, 'IMAP', line);
    }
  }

  /** @returns Undefined where the connection has ended behind a BYE. */
  async #readLine(untagged: readonly string[]): Promise<string | undefined> {
    try {
      return await this.#connection.readLine();
    } catch (error) {
      if (error instanceof ProblemError && untagged.some(isBye)) return undefined;
      throw error;
    }
  }
}

/** CAPABILITY in an untagged line or in a response code. */
function listed({ line, untagged }: Answer): string[] | undefined {
  const code = /^\S+ \[CAPABILITY ([^\]]*)\]/i.exec(line)?.[1];
  const response = untagged.findLast((other) => /^CAPABILITY /i.test(other))?.slice('CAPABILITY '.length);
  const words = (code ?? response)?.split(' ').filter((word) => /^[\x21-\x7e]+$/.test(word));
  return words === undefined ? undefined : words.map((word) => showLine(word));
}

const isOk = (line: string): boolean => /^OK\b/i.test(line);
const isBye = (line: string): boolean => /^BYE\b/i.test(line);

/**
 * One trial sign-in at an IMAP server, then a look at INBOX that changes nothing (STATUS), then LOGOUT.
 *
 * Always in two steps: not every server has SASL-IR. STATUS is needed since Exchange accepts a token first and says only at the next command that the
 * mailbox does not open ("User is authenticated but not connected").
 *
 * Sources: RFC 9051 §6.1.1, §6.2.1, §6.2.2, §6.3.11; RFC 7628 §3.2.3 (end of a failed exchange).
 *
 * @packageDocumentation
 */
import type { ProbeReport } from '../core/ports/mail-probe.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { showLine } from '../core/reply.ts';
import type { LineConnection } from '../platform/line-connection.ts';
import { explainRefusal } from '../policy/mailbox-answers.ts';
import { bearerStrings } from '../sasl/bearer-strings.ts';
import { type LineProbe, type ProbeWalk, walkProbe, withoutMechanism } from './probe-walk.ts';

/** Never throws for what a network or server can do. */
export function probeImap(probe: LineProbe): Promise<ProbeReport> {
  return walkProbe(probe, async (connection, record) => {
    const dialogue = new ImapDialogue(connection);
    const greeting = await connection.readLine();
    if (!/^\* (?:OK|PREAUTH)\b/i.test(greeting)) throw strange(connection, greeting, 'greets with');
    record.pass('connect', `${connection.target} greets with ${showLine(greeting.slice(2))}`, 'tls');
    if (probe.endpoint.tls === 'starttls') await startTls(dialogue, connection);
    record.pass('tls', `${probe.endpoint.tls === 'implicit' ? 'implicit TLS' : 'STARTTLS'}, certificate verified`, 'mechanism');
    const offered = await mechanisms(dialogue);
    if (!offered.includes(probe.mechanism)) throw withoutMechanism(connection.target, `AUTH=${probe.mechanism}`, offered);
    record.pass('mechanism', `offers ${offered.join(' ')}`, 'auth');
    if (probe.accessToken === undefined) return;
    await signIn(dialogue, connection, probe, probe.accessToken);
    record.pass('auth', `signed in as ${probe.user}`, 'access');
    await openInbox(dialogue, connection, record);
    connection.send('z LOGOUT');
  });
}

/** The answer to one command. */
interface Answer {
  /** `OK`, `NO` or `BAD` and text; or `+` and a challenge. */
  readonly line: string;
  readonly untagged: readonly string[];
}

class ImapDialogue {
  readonly #connection: LineConnection;
  #count = 0;

  constructor(connection: LineConnection) {
    this.#connection = connection;
  }

  async command(text: string): Promise<Answer> {
    this.#count += 1;
    this.#connection.send(`p${this.#count} ${text}`);
    return this.answer();
  }

  /** The next continuation request, or the tagged answer to the last command. A BYE is the answer where nothing follows it. */
  async answer(): Promise<Answer> {
    const untagged: string[] = [];
    for (;;) {
      const line = await this.#readLine(untagged);
      if (line.startsWith('* ')) untagged.push(line.slice(2));
      else if (line.startsWith('+')) return { line, untagged };
      else if (line.startsWith(`p${this.#count} `)) return { line: line.slice(`p${this.#count} `.length), untagged };
      else throw strange(this.#connection, line, 'answers with');
    }
  }

  async #readLine(untagged: readonly string[]): Promise<string> {
    try {
      return await this.#connection.readLine();
    } catch (error) {
      const bye = untagged.find((line) => /^BYE\b/i.test(line));
      if (bye === undefined) throw error;
      throw new ProblemError(explainRefusal('auth', this.#connection.target, bye), { cause: error });
    }
  }
}

async function startTls(dialogue: ImapDialogue, connection: LineConnection): Promise<void> {
  const { line } = await dialogue.command('STARTTLS');
  if (!isOk(line)) {
    const cause = `${connection.target} answers STARTTLS with ${showLine(line)}; nothing was sent`;
    throw new ProblemError(problem('UPSTREAM_TLS_FAILED', cause));
  }
  await connection.startTls();
}

async function mechanisms(dialogue: ImapDialogue): Promise<string[]> {
  const { untagged } = await dialogue.command('CAPABILITY');
  const words = untagged.filter((line) => /^CAPABILITY /i.test(line)).flatMap((line) => line.toUpperCase().split(' '));
  return words.filter((word) => word.startsWith('AUTH=')).map((word) => word.slice('AUTH='.length));
}

async function signIn(dialogue: ImapDialogue, connection: LineConnection, probe: LineProbe, accessToken: string): Promise<void> {
  const { response, failureAnswer } = bearerStrings(probe, accessToken);
  const challenge = await dialogue.command(`AUTHENTICATE ${probe.mechanism}`);
  if (!challenge.line.startsWith('+')) throw refusal('auth', connection, challenge);
  connection.send(response);
  let answer = await dialogue.answer();
  if (answer.line.startsWith('+')) {
    connection.send(failureAnswer);
    answer = await dialogue.answer();
    if (isOk(answer.line)) throw strange(connection, answer.line, 'ends a failed sign-in with');
  }
  if (!isOk(answer.line)) throw refusal('auth', connection, answer);
}

async function openInbox(dialogue: ImapDialogue, connection: LineConnection, record: ProbeWalk): Promise<void> {
  const answer = await dialogue.command('STATUS INBOX (MESSAGES)');
  if (!isOk(answer.line)) throw refusal('access', connection, answer);
  const count = /\(MESSAGES (\d{1,10})\)/i.exec(answer.untagged.join(' '))?.[1];
  record.pass('access', count === undefined ? 'INBOX opens' : `INBOX has ${count} messages`, 'access');
}

/** A BYE that came along says more than the tagged answer. */
function refusal(step: 'auth' | 'access', { target }: LineConnection, { line, untagged }: Answer): ProblemError {
  const bye = untagged.filter((other) => /^BYE\b/i.test(other));
  return new ProblemError(explainRefusal(step, target, [line, ...bye].join(' / ')));
}

const isOk = (line: string): boolean => /^OK\b/i.test(line);

function strange({ target }: LineConnection, line: string, what: string): ProblemError {
  if (/^\* BYE\b/i.test(line)) return new ProblemError(explainRefusal('access', target, line.slice(2)));
  return new ProblemError(problem('UPSTREAM_PROTOCOL', `${target} ${what} ${showLine(line)}, which is not IMAP`));
}

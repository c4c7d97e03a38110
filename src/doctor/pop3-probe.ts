/**
 * One trial sign-in at a POP3 server, then STAT, then QUIT; nothing is retrieved or deleted.
 *
 * AUTH always in two lines: Exchange takes no other form.
 *
 * Sources: RFC 1939, RFC 2449 (CAPA), RFC 2595 (STLS), RFC 5034 (AUTH).
 *
 * @packageDocumentation
 */
import type { ProbeReport } from '../core/ports/mail-probe.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { showLine } from '../core/reply.ts';
import type { LineConnection } from '../platform/line-connection.ts';
import { explainRefusal } from '../policy/mailbox-answers.ts';
import { bearerStrings } from '../sasl/bearer-strings.ts';
import { type LineProbe, walkProbe, withoutMechanism } from './probe-walk.ts';

/** Never throws for what a network or server can do. */
export function probePop3(probe: LineProbe): Promise<ProbeReport> {
  return walkProbe(probe, async (connection, record) => {
    const greeting = await connection.readLine();
    if (!isOk(greeting)) throw strange(connection, greeting, 'greets with');
    record.pass('connect', `${connection.target} greets with ${showLine(greeting)}`, 'tls');
    if (probe.endpoint.tls === 'starttls') await startTls(connection);
    record.pass('tls', `${probe.endpoint.tls === 'implicit' ? 'implicit TLS' : 'STLS'}, certificate verified`, 'mechanism');
    const offered = await mechanisms(connection);
    if (!offered.includes(probe.mechanism)) throw withoutMechanism(connection.target, `SASL ${probe.mechanism}`, offered);
    record.pass('mechanism', `offers ${offered.join(' ')}`, 'auth');
    if (probe.accessToken === undefined) return;
    await signIn(connection, probe, probe.accessToken);
    record.pass('auth', `signed in as ${probe.user}`, 'access');
    const status = await command(connection, 'STAT');
    if (!isOk(status)) throw new ProblemError(explainRefusal('access', connection.target, status));
    const count = /^\+OK (\d{1,10}) /i.exec(status)?.[1];
    record.pass('access', count === undefined ? 'the mailbox opens' : `the mailbox has ${count} messages`, 'access');
    connection.send('QUIT');
  });
}

async function command(connection: LineConnection, line: string): Promise<string> {
  connection.send(line);
  const answer = await connection.readLine();
  if (!/^(?:\+OK\b|-ERR\b|\+ |\+$)/i.test(answer)) throw strange(connection, answer, 'answers with');
  return answer;
}

async function startTls(connection: LineConnection): Promise<void> {
  const answer = await command(connection, 'STLS');
  if (!isOk(answer)) {
    throw new ProblemError(problem('UPSTREAM_TLS_FAILED', `${connection.target} answers STLS with ${showLine(answer)}; nothing was sent`));
  }
  await connection.startTls();
}

async function mechanisms(connection: LineConnection): Promise<string[]> {
  if (!isOk(await command(connection, 'CAPA'))) return [];
  const offered: string[] = [];
  for (let line = await connection.readLine(); line !== '.'; line = await connection.readLine()) {
    const [capability, ...words] = line.toUpperCase().split(' ');
    if (capability === 'SASL') offered.push(...words);
  }
  return offered;
}

async function signIn(connection: LineConnection, probe: LineProbe, accessToken: string): Promise<void> {
  const { response, failureAnswer } = bearerStrings(probe, accessToken);
  const challenge = await command(connection, `AUTH ${probe.mechanism}`);
  if (!isChallenge(challenge)) throw new ProblemError(explainRefusal('auth', connection.target, challenge));
  let answer = await command(connection, response);
  if (isChallenge(answer)) {
    answer = await command(connection, failureAnswer);
    if (isOk(answer)) throw strange(connection, answer, 'ends a failed sign-in with');
  }
  if (!isOk(answer)) throw new ProblemError(explainRefusal('auth', connection.target, answer));
}

const isOk = (line: string): boolean => /^\+OK\b/i.test(line);
const isChallenge = (line: string): boolean => line === '+' || line.startsWith('+ ');

function strange({ target }: LineConnection, line: string, what: string): ProblemError {
  if (/^-ERR\b/i.test(line)) return new ProblemError(explainRefusal('access', target, line));
  return new ProblemError(problem('UPSTREAM_PROTOCOL', `${target} ${what} ${showLine(line)}, which is not POP3`));
}

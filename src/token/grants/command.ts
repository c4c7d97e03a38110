/**
 * What the output of a program that prints tokens means, and what its exit says.
 *
 * Pure. Output is the token alone, or a JSON object as a token endpoint sends it (`access_token`, `expires_in`). Nothing of either output gets
 * into a cause but the last line of standard error, cleaned of whatever might be a secret.
 *
 * Source: sysexits.h for exit codes that say more than "failed".
 *
 * @packageDocumentation
 */
import { type EpochMs, minutes } from '../../core/clock.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { cleanText } from '../../core/reply.ts';
import { lastLines, type ProgramResult } from '../../platform/run-program.ts';
import type { TokenAnswer } from '../token-answer.ts';
import { readTokenResponse } from '../token-response.ts';

/** A bare token does not say how long it lives. Asking again soon costs little, and a token that ended sooner is replaced once it is refused. */
const BARE_TOKEN_LIFETIME = minutes(5);
const LONGEST_REASON = 200;

/** @param name - How causes call the program: its first word. */
export function readProgramResult(name: string, result: ProgramResult, now: EpochMs): TokenAnswer {
  switch (result.kind) {
    case 'not-started':
      return failed(notStarted(name, result.reason));
    case 'timeout':
      return failed(problem('TOKEN_COMMAND_FAILED', `${name} did not end within ${result.after / 1000} s and ${fateOf(result)}`));
    case 'called-off':
      return failed(problem('TOKEN_COMMAND_FAILED', `Postern is stopping, and ${name} ${fateOf(result)}`));
    case 'too-much-output':
      return failed(
        problem('TOKEN_COMMAND_FAILED', `${name} printed more than ${result.limit} octets, which no token has, and ${fateOf(result)}`),
      );
    default:
      return result.code === 0 ? readOutput(name, result.output, now) : failed(describeExit(name, result));
  }
}

function fateOf({ survivor }: Extract<ProgramResult, { kind: 'timeout' | 'called-off' | 'too-much-output' }>): string {
  if (survivor === undefined) return 'was killed';
  return `could not be killed (${survivor.reason}): process ${survivor.pid} may still run, perhaps as another user`;
}

function readOutput(name: string, output: string, now: EpochMs): TokenAnswer {
  const text = output.trim();
  if (text === '') return failed(problem('TOKEN_COMMAND_FAILED', `${name} printed nothing`));
  const isJson = text.startsWith('{');
  const body = isJson ? text : JSON.stringify({ access_token: text, expires_in: BARE_TOKEN_LIFETIME / 1000 });
  const answer = readTokenResponse({ status: 200, body, host: name }, now, [text]);
  // A program's refresh token is its own affair.
  if (answer.kind === 'granted') return { kind: 'granted', accessToken: answer.accessToken, expiresIn: answer.expiresIn };
  const what = isJson ? 'JSON without a usable access_token' : 'something that is no token: it must be one word of printable ASCII';
  return failed(problem('TOKEN_COMMAND_FAILED', `${name} printed ${what}`));
}

/** sysexits.h. */
const EX_USAGE = 64;
const EX_NOPERM = 77;
const EX_CONFIG = 78;

function describeExit(name: string, { code, signal, errors, output }: Extract<ProgramResult, { kind: 'exited' }>): Problem {
  const how = code === undefined ? `was ended by ${signal ?? 'a signal'}` : `ended with exit code ${code}`;
  const [lastErrorLine] = lastLines(errors, 1);
  const reason = lastErrorLine === undefined ? '' : `: ${withoutSecrets(lastErrorLine, output)}`;
  const cause = `${name} ${how}${reason}`;
  if (code === EX_NOPERM) {
    return problem('TOKEN_REAUTH_REQUIRED', cause, { remedy: 'Sign in with the program named in auth.command, then try again.' });
  }
  if (code === EX_USAGE || code === EX_CONFIG) return problem('TOKEN_MISCONFIGURED', cause, { remedy: CORRECT });
  return problem('TOKEN_COMMAND_FAILED', cause);
}

const CORRECT = 'Correct auth.command in postern.yaml, or the configuration of the program.';

/** A program that is not there does not come by itself. What else keeps it from starting (memory, processes) may pass. */
function notStarted(name: string, reason: string): Problem {
  const cause = `${name} could not be started (${reason})`;
  const isLasting = ['ENOENT', 'EACCES', 'EPERM', 'ENOEXEC', 'ENOTDIR', 'ELOOP'].includes(reason);
  return isLasting ? problem('TOKEN_MISCONFIGURED', cause, { remedy: CORRECT }) : problem('TOKEN_COMMAND_FAILED', cause);
}

/** Long runs without a blank are what tokens, keys and JWTs look like; and what was on standard output may be repeated. */
function withoutSecrets(line: string, output: string): string {
  const words = output.split(/\s+/).filter((word) => word.length >= 6);
  const clean = words.reduce((text, word) => text.replaceAll(word, '[secret]'), line);
  return cleanText(clean.replaceAll(/[\w+/=.~-]{32,}/g, '[secret]')).slice(0, LONGEST_REASON);
}

const failed = (what: Problem): TokenAnswer => ({ kind: 'problem', problem: what });

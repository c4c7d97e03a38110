/**
 * Proves with a token of the platform which application asks (workload identity federation): Kubernetes, GitHub and others vouch for their workloads.
 *
 * The platform renews the file every hour or so, so it is read for each request; nothing of it is kept.
 *
 * Sources: RFC 7523 §2.2 (the token is the assertion), RFC 7515 §7.1 (compact serialization).
 *
 * @packageDocumentation
 */
import { ProblemError, problem } from '../../core/problem.ts';
import type { FormContext } from './token-form.ts';

/** Real ones have one to three kilobytes. */

/** @throws ProblemError `TOKEN_CREDENTIAL_UNREADABLE`; the cause names the file and holds nothing of its content. */
export async function readFederatedToken(path: string, { readFile }: Pick<FormContext, 'readFile'>): Promise<string> {
  const token = (await readText(path, readFile)).trim();
  if (!/^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)) throw unreadable(path, token === '' ? 'it is empty' : 'it does not hold a JWT');
  return token;
}

async function readText(path: string, readFile: FormContext['readFile']): Promise<string> {
  try {
    return await readFile(path);
  } catch (error) {
    throw unreadable(path, error instanceof Error ? error.message : String(error), error);
  }
}

function unreadable(path: string, why: string, cause?: unknown): ProblemError {
  return new ProblemError(problem('TOKEN_CREDENTIAL_UNREADABLE', `${path}: ${why}; nothing was sent`), { cause });
}

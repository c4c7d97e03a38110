/**
 * Which URLs may be asked. Pure.
 *
 * @packageDocumentation
 */
import { isLoopbackHost } from './addresses.ts';
import type { Findings, Path } from './findings.ts';

/** A token or a person's password must not travel in clear text, but on loopback (labs, the sandbox). */
export function checkUrl(text: string, at: Path, findings: Findings): void {
  const filled = text.replaceAll('{tenant}', 'tenant');
  if (/[{}<>]/.test(filled)) return findings.problem(at, 'holds a placeholder; only {tenant} is filled in');
  if (!URL.canParse(filled)) return findings.problem(at, 'is not a URL');
  const url = new URL(filled);
  if (url.username !== '' || url.password !== '') return findings.problem(at, 'must not hold a user name or password');
  if (url.hash !== '') return findings.problem(at, 'must not hold a fragment (#)');
  if (url.protocol === 'https:') return undefined;
  if (url.protocol !== 'http:') return findings.problem(at, 'must start with https://');
  if (isLoopbackHost(url.hostname)) return undefined;
  return findings.problem(at, 'must start with https://: without TLS only a loopback address is accepted');
}

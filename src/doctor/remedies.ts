/**
 * What the catalogue advises, for somebody who already runs `postern doctor`: neither to run it, nor to look into a log that it does not write.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { PROBLEMS, type ProblemCode } from '../core/problem.ts';
import type { Finding } from './check.ts';

const HERE: Partial<Readonly<Record<ProblemCode, string>>> = {
  TOKEN_ENDPOINT_UNREACHABLE:
    'Nothing, if it passes. Else check DNS, proxy and firewall of this machine for the host in providers.NAME.tokenUrl.',
  TOKEN_CONTENT_WRONG: 'Correct scopes, tenant or permissions as the checks of the token say; then sign in again where they say so.',
  UPSTREAM_UNREACHABLE: 'Check that this machine may reach the host and port named. Many networks block port 25, some 587.',
  UPSTREAM_TIMEOUT: 'Run it again. If it goes on, a firewall or proxy that inspects mail may hold the answers back.',
  UPSTREAM_AUTH_REFUSED: 'Check mailbox and smtpUser, the scopes, and that SMTP AUTH is enabled for MAILBOX.',
  UPSTREAM_MISCONFIGURED: 'Correct the setting that the reply names.',
  TOKEN_STORE_LOCKED: 'Run it again. If it goes on, end the process named, or give it a state.dir of its own.',
};

/** `finding` as it is; where its advice is that of the catalogue, with that for here. */
export function inDoctor(finding: Finding): Finding {
  const { problem: code, remedy } = finding;
  const here = code === undefined ? undefined : HERE[code];
  return code === undefined || here === undefined || remedy !== PROBLEMS[code].remedy ? finding : { ...finding, remedy: here };
}

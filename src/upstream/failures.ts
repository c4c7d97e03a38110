/**
 * Our own failures on the way to the upstream: what the operator learns, and what the application reads.
 *
 * Pure. The replies are all 4yz: whatever keeps us from asking the upstream, the message itself is not at fault. They say in few words what
 * happened, for an application's log; hosts, accounts and causes are in the problem alone.
 *
 * Source: RFC 3463 §3.5 (X.4.1 no answer from host, X.4.2 bad connection), §3.4 (X.3.2 not accepting), §3.8 (X.7.x), RFC 4954 §6 (454
 * 4.7.0).
 *
 * @packageDocumentation
 */
import { UpstreamError, type UpstreamStage } from '../core/ports/upstream.ts';
import { type Problem, type ProblemCode, type ProblemError, problem } from '../core/problem.ts';
import { describeReply, type Reply, reply } from '../core/reply.ts';
import type { DialError } from '../platform/dial-error.ts';
import { dialRemedy } from '../platform/dial-remedy.ts';

const LOST = reply(451, '4.4.2', 'Connection to the mail provider lost, message not delivered; try again later');
const SILENT = reply(451, '4.4.2', 'The mail provider does not answer, message not delivered; try again later');
const NONSENSE = reply(451, '4.4.2', 'The mail provider gave no usable answer, message not delivered; try again later');
const AMBIGUOUS = reply(
  451,
  '4.4.2',
  'Connection to the mail provider lost before it confirmed the message, which may have been delivered',
);
const UNREACHABLE = reply(451, '4.4.1', 'The mail provider cannot be reached; try again later');
const INSECURE = reply(451, '4.7.5', 'No secure connection to the mail provider; try again later');
const BUSY = reply(451, '4.3.2', 'Too many messages at once for this mailbox; try again later');
const DEFERRED = reply(451, '4.3.2', 'The mail provider is busy; try again later');
const NO_TOKEN_NOW = reply(451, '4.7.0', 'The sign-in service of the mail provider does not answer; try again later');
const NO_TOKEN = reply(454, '4.7.0', 'Postern has no valid sign-in for this mailbox; its operator must act');
const SIGN_IN_REFUSED = reply(454, '4.7.0', 'The mail provider refused the sign-in of this mailbox; its operator must act');

/** Makes the error for the stage that a command had reached when the session failed. */
export type Failure = (stage: UpstreamStage) => UpstreamError;

/** The connection is gone. */
export function lost(upstream: string, why: string, cause?: unknown): Failure {
  return afterwards('UPSTREAM_LOST', LOST, (stage) => `${upstream}: connection lost at ${stage}: ${why}`, cause);
}

/** A reply did not come, or octets were not taken, in time. */
export function timedOut(upstream: string, waited: number): Failure {
  return afterwards('UPSTREAM_TIMEOUT', SILENT, (stage) => `${upstream}: no answer at ${stage} for ${waited / 1000} s`);
}

/** What came is not what the protocol allows at this point. */
export function violated(upstream: string, what: string, cause?: unknown): Failure {
  return afterwards('UPSTREAM_PROTOCOL', NONSENSE, (stage) => `${upstream}: ${what}, at ${stage}`, cause);
}

/** Once the dot is out nobody can say what became of the message, whatever went wrong. */
function afterwards(code: ProblemCode, answer: Reply, describe: (stage: UpstreamStage) => string, cause?: unknown): Failure {
  return (stage) =>
    stage === 'final-reply'
      ? new UpstreamError(stage, problem('UPSTREAM_AMBIGUOUS', describe(stage)), AMBIGUOUS, { cause })
      : new UpstreamError(stage, problem(code, describe(stage)), answer, { cause });
}

/** We cut the connection ourselves, since the application gave up or Postern stops. */
export function calledOff(upstream: string): Failure {
  return afterwards('SUBMISSION_ABORTED', LOST, (stage) =>
    stage === 'final-reply'
      ? `${upstream}: given up while waiting for the final reply`
      : `${upstream}: given up at ${stage}, nothing was delivered`,
  );
}

/** No connection, or none that is secure. */
export function notConnected(error: DialError, stage: 'connect' | 'starttls'): UpstreamError {
  // A certificate that is met while connecting is one of implicit TLS.
  const remedy = dialRemedy(error, { key: 'providers.NAME.smtp.host', starttls: stage === 'starttls' ? '-starttls smtp' : '' });
  switch (error.failure) {
    case 'certificate':
    case 'tls':
    case 'injection':
      return new UpstreamError(stage, problem('UPSTREAM_TLS_FAILED', error.message, { remedy }), INSECURE, { cause: error });
    default: {
      // During STARTTLS the server has been reached, and then the handshake stalled or broke.
      const answer = stage === 'connect' ? UNREACHABLE : INSECURE;
      const code = stage === 'connect' ? 'UPSTREAM_UNREACHABLE' : 'UPSTREAM_TLS_FAILED';
      return new UpstreamError(stage, problem(code, error.message, { heals: 'by-itself', remedy }), answer, { cause: error });
    }
  }
}

/** TLS is required and was not offered, or STARTTLS was refused. */
export function notSecured(what: Problem): UpstreamError {
  return new UpstreamError('starttls', what, INSECURE);
}

/** The upstream turned us away with greeting or EHLO, before anything about a message was said. */
export function turnedAway(stage: 'greeting' | 'ehlo', what: Problem, answer: Reply): UpstreamError {
  // A 5yz here is about this machine or the service, not about the message, which another attempt may well get through.
  return new UpstreamError(stage, what, reply(451, '4.4.1', `The mail provider turned the connection away: ${describeReply(answer)}`));
}

/** Every connection of the account is in use and stays so. */
export function noConnectionFree(cause: string): UpstreamError {
  return new UpstreamError('wait', problem('UPSTREAM_BUSY', cause), BUSY);
}

/** No access token. What heals by itself is worth the application's next try; the rest waits for the operator. */
export function noToken(error: ProblemError): UpstreamError {
  const answer = error.problem.heals === 'by-itself' ? NO_TOKEN_NOW : NO_TOKEN;
  return new UpstreamError('token', error.problem, answer, { cause: error });
}

/** AUTH refused for a reason that a token does not cure, or refused twice. */
export function signInRefused(what: Problem, cause?: unknown): UpstreamError {
  return new UpstreamError('auth', what, SIGN_IN_REFUSED, { cause });
}

/** AUTH put off by a busy or draining upstream, which says nothing about the token. */
export function signInDeferred(what: Problem): UpstreamError {
  return new UpstreamError('auth', what, DEFERRED);
}

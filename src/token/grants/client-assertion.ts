/**
 * Proves with a certificate which application asks: a JWT signed with the certificate's key, in place of a secret.
 *
 * Pure but for the salt of its signature. The key never leaves this machine, and what is sent is good for one endpoint and ten minutes.
 *
 * Sources: RFC 7523 §2.2 and §3, RFC 7515 §4.1.8 (x5t#S256); Microsoft's page on certificate credentials (PS256, `aud` is the token endpoint).
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import type { ClientCertificate } from '../../core/account.ts';
import { type EpochMs, minutes } from '../../core/clock.ts';
import { ProblemError, problem } from '../../core/problem.ts';
import { beginningOf, certificateOf, endOf, openSigningKey, SigningKeyError } from '../../platform/signing-key.ts';
import type { FormContext } from './token-form.ts';
import { signJwt } from './signed-jwt.ts';

/** To both sides of the present, so that a clock may be off by nearly as much in either direction; ten minutes in all. */
const VALIDITY = minutes(5);

/**
 * @param tokenUrl - The endpoint that it is for.
 * @throws ProblemError `TOKEN_CREDENTIAL_EXPIRED`, or `TOKEN_MISCONFIGURED` where certificate or key cannot be used.
 */
export function clientAssertion(
  clientId: string,
  tokenUrl: string,
  certificate: ClientCertificate,
  { now, random }: Pick<FormContext, 'now' | 'random'>,
): string {
  const { key, thumbprint } = open(certificate, now);
  const issuedAt = Math.floor(now / 1000);
  const claims = {
    aud: tokenUrl,
    iss: clientId,
    sub: clientId,
    // RFC 7519 §4.1.7: the endpoint may refuse an assertion that it has seen before.
    jti: Buffer.from(random.octets(16)).toString('hex'),
    iat: issuedAt,
    nbf: issuedAt - VALIDITY / 1000,
    exp: issuedAt + VALIDITY / 1000,
  };
  return signJwt({ alg: 'PS256', 'x5t#S256': thumbprint }, claims, key);
}

/** Opened anew for each assertion, about once an hour: a clear key does not stay in memory longer than it is needed. */
function open({ cert, key: keyPem, passphrase }: ClientCertificate, now: EpochMs) {
  try {
    const key = openSigningKey(keyPem, passphrase);
    const certificate = certificateOf(cert, key);
    const end = endOf(certificate);
    if (end <= now) {
      const cause = `the certificate in auth.certificate ended on ${new Date(end).toISOString()}; nothing was sent`;
      throw new ProblemError(problem('TOKEN_CREDENTIAL_EXPIRED', cause));
    }
    const beginning = beginningOf(certificate);
    if (beginning > now) throw unusable(`the certificate in auth.certificate begins on ${new Date(beginning).toISOString()}`);
    // RFC 7515 §4.1.8: over the DER form, in base64url.
    return { key, thumbprint: createHash('sha256').update(certificate.raw).digest('base64url') };
  } catch (error) {
    if (!(error instanceof SigningKeyError)) throw error;
    throw unusable(`certificate or key in auth.certificate cannot be used: it ${error.message}`, error);
  }
}

function unusable(cause: string, error?: Error): ProblemError {
  const remedy = 'Correct accounts[].auth.certificate in postern.yaml, or the clock of this machine: postern check names what is wrong.';
  return new ProblemError(problem('TOKEN_MISCONFIGURED', `${cause}; nothing was sent`, { remedy }), { cause: error });
}

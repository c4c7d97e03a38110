/**
 * Who is calling the token endpoint: a confidential client with its secret, certificate or federated token, or a public one without.
 *
 * Source: RFC 6749 §2.3.1 (secret, in the body or in HTTP Basic), RFC 7523 §2.2 and §3 (assertion).
 *
 * @packageDocumentation
 */
import type { IncomingHttpHeaders } from 'node:http';
import type { EpochMs } from '../../core/clock.ts';
import { systemClock } from '../../platform/system-clock.ts';
import type { Directory, SandboxClient } from '../directory.ts';
import type { TrustedCredentials } from '../trusted-credentials.ts';
import { type Assertion, isInTime, isSignedWith, parseAssertion } from './assertion.ts';
import { EntraRefusal } from './entra-errors.ts';

/** What a request is judged by. */
export interface ClientJudge {
  readonly directory: Directory;
  readonly trusted: TrustedCredentials;
  readonly now: EpochMs;
  /** The token endpoint under every name of the tenant. */
  readonly tokenUrls: readonly string[];
}

const JWT_BEARER = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer';

/** @throws EntraRefusal */
export function authenticateClient(form: URLSearchParams, headers: IncomingHttpHeaders, judge: ClientJudge): SandboxClient {
  const basic = basicCredentials(headers.authorization);
  const clientId = form.get('client_id') ?? basic?.clientId;
  if (clientId === undefined || clientId === '') throw new EntraRefusal(900144, 'client_id');
  const client = judge.directory.findClient(clientId);
  if (client === undefined) throw new EntraRefusal(700016);
  const secret = form.get('client_secret') ?? basic?.secret;
  const assertion = form.get('client_assertion');
  if (client.clientSecret === undefined) {
    if (secret !== undefined || assertion !== null) throw new EntraRefusal(700025);
    return client;
  }
  if (assertion !== null) {
    if (form.get('client_assertion_type') !== JWT_BEARER) throw new EntraRefusal(900144, 'client_assertion_type');
    checkAssertion(assertion, client, judge);
    return client;
  }
  if (secret === undefined || secret === '') throw new EntraRefusal(7000218);
  if (secret !== client.clientSecret) throw new EntraRefusal(7000215);
  return client;
}

/** The application's own is signed with a certificate, and names it; any other comes from a platform that vouches for the application. */
function checkAssertion(jwt: string, client: SandboxClient, judge: ClientJudge): void {
  const assertion = parseAssertion(jwt);
  if (assertion === undefined) throw new EntraRefusal(50027);
  if ('x5t#S256' in assertion.header) checkCertificateAssertion(assertion, client, judge);
  else checkFederatedAssertion(assertion, judge);
}

function checkCertificateAssertion(assertion: Assertion, { clientId }: SandboxClient, { trusted, now, tokenUrls }: ClientJudge): void {
  const { header, claims } = assertion;
  const certificate = trusted.certificate(String(header['x5t#S256']));
  if (certificate === undefined) throw new EntraRefusal(700027, 'the application has no certificate with this thumbprint');
  if (!isSignedWith(assertion, certificate.publicKey, ['PS256'])) throw new EntraRefusal(700027);
  // By the machine's time, as with TLS, whatever clock was injected.
  if (Date.parse(certificate.validTo) <= systemClock.now()) throw new EntraRefusal(1000502);
  if (!isInTime(assertion, now)) throw new EntraRefusal(700024);
  if (claims['iss'] !== clientId || claims['sub'] !== clientId) throw new EntraRefusal(700021);
  if (typeof claims['jti'] !== 'string' || !tokenUrls.includes(String(claims['aud']))) throw new EntraRefusal(50027, 'aud or jti');
}

function checkFederatedAssertion(assertion: Assertion, { trusted, now }: ClientJudge): void {
  const { iss, sub, aud } = assertion.claims;
  if (trusted.federated.length === 0) throw new EntraRefusal(70021);
  const byIssuer = trusted.federated.filter(({ issuer }) => issuer === iss);
  if (byIssuer.length === 0) throw new EntraRefusal(700211);
  const bySubject = byIssuer.filter(({ subject }) => subject === sub);
  if (bySubject.length === 0) throw new EntraRefusal(700213);
  const audiences = Array.isArray(aud) ? aud : [aud];
  const found = bySubject.filter(({ audience }) => audiences.includes(audience));
  if (found.length === 0) throw new EntraRefusal(700212);
  if (!found.some(({ key }) => isSignedWith(assertion, key, ['RS256', 'PS256']))) throw new EntraRefusal(50013, 'signature');
  if (!isInTime(assertion, now)) throw new EntraRefusal(700024);
}

function basicCredentials(authorization: string | undefined): { clientId: string; secret: string } | undefined {
  const encoded = /^basic ([A-Za-z0-9+/=]+)$/i.exec(authorization ?? '')?.[1];
  if (encoded === undefined) return undefined;
  const [clientId = '', ...secret] = Buffer.from(encoded, 'base64').toString().split(':').map(formDecode);
  return { clientId, secret: secret.join(':') };
}

/** Both halves are form-encoded before they are joined. */
function formDecode(text: string): string {
  return new URLSearchParams(`v=${text.replaceAll('&', '%26')}`).get('v') ?? '';
}

/**
 * What the tenant takes in place of a client secret: certificates, federated credentials, service accounts; and passwords of mailboxes.
 *
 * Registered by a test or over HTTP, as an administrator would do it in a portal, and forgotten at a restart.
 *
 * @packageDocumentation
 */
import { createHash, createPublicKey, type KeyObject, timingSafeEqual, X509Certificate } from 'node:crypto';

/** Whose tokens prove the application (workload identity federation). */
export interface FederatedCredential {
  readonly issuer: string;
  readonly subject: string;
  readonly audience: string;
  readonly key: KeyObject;
}

/** As Entra names the audience of its federated credentials. */
const DEFAULT_AUDIENCE = 'api://AzureADTokenExchange';

/** A service account of a Google Workspace that the tenant also is. */
export interface ServiceAccount {
  readonly clientEmail: string;
  readonly key: KeyObject;
  /** False: it exists, and nobody has given it domain-wide delegation. */
  readonly isDelegated: boolean;
}

export class TrustedCredentials {
  readonly #certificates = new Map<string, X509Certificate>();
  readonly #federated: FederatedCredential[] = [];
  readonly #serviceAccounts = new Map<string, ServiceAccount>();
  readonly #passwords = new Map<string, string>();
  /** Client ids of user-assigned identities; one of the machine is always there. */
  readonly #identities = new Set<string>();

  /** @param pem - Uploaded to the confidential application. @throws Error where it is none. */
  addCertificate(pem: string): void {
    const certificate = new X509Certificate(pem);
    this.#certificates.set(createHash('sha256').update(certificate.raw).digest('base64url'), certificate);
  }

  /** @param publicKey - PEM. @throws Error where it is none. */
  addFederatedCredential(issuer: string, subject: string, publicKey: string, audience = DEFAULT_AUDIENCE): void {
    this.#federated.push({ issuer, subject, audience, key: createPublicKey(publicKey) });
  }

  /** @param publicKey - PEM. @throws Error where it is none. */
  addServiceAccount(clientEmail: string, publicKey: string, isDelegated = true): void {
    this.#serviceAccounts.set(clientEmail, { clientEmail, key: createPublicKey(publicKey), isDelegated });
  }

  /** From now on the mailbox may sign in with AUTH LOGIN. Others are told that basic authentication is disabled. */
  setPassword(mailbox: string, password: string): void {
    this.#passwords.set(mailbox.toLowerCase(), password);
  }

  addIdentity(clientId: string): void {
    this.#identities.add(clientId);
  }

  /** @param thumbprint - `x5t#S256`. */
  certificate(thumbprint: string): X509Certificate | undefined {
    return this.#certificates.get(thumbprint);
  }

  get federated(): readonly FederatedCredential[] {
    return this.#federated;
  }

  serviceAccount(clientEmail: string): ServiceAccount | undefined {
    return this.#serviceAccounts.get(clientEmail);
  }

  hasIdentity(clientId: string): boolean {
    return this.#identities.has(clientId);
  }

  /** Undefined where the mailbox has no password. */
  isPassword(mailbox: string, password: string): boolean | undefined {
    const known = this.#passwords.get(mailbox.toLowerCase());
    if (known === undefined) return undefined;
    const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
    return timingSafeEqual(digest(known), digest(password));
  }
}

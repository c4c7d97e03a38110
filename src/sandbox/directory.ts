/**
 * The sandbox's tenant: its mailboxes and registered applications.
 *
 * @packageDocumentation
 */
import { domainOf, isSameMailbox } from '../core/address.ts';

/** A mailbox of the tenant. */
export interface SandboxMailbox {
  readonly address: string;
  /** Mailboxes it may also submit as (SendAs). */
  readonly sendAs?: readonly string[];
  /** False: an application's own token signs in but finds no mailbox permission (430 4.2.0). Default true. */
  readonly isOpenToApplications?: boolean;
}

/** A registered application. */
export interface SandboxClient {
  readonly clientId: string;
  /** Absent for a public client ("mobile and desktop"). */
  readonly clientSecret?: string;
  readonly redirectUris: readonly string[];
}

/** Which tenant a URL names. */
export type TenantMatch = 'ours' | 'shared' | 'unknown';

export class Directory {
  readonly tenantId: string;
  readonly domain: string;
  readonly clients: readonly SandboxClient[];
  readonly #mailboxes = new Map<string, SandboxMailbox>();

  constructor(tenantId: string, domain: string, clients: readonly SandboxClient[], mailboxes: readonly SandboxMailbox[]) {
    this.tenantId = tenantId;
    this.domain = domain;
    this.clients = clients;
    for (const mailbox of mailboxes) this.#mailboxes.set(mailbox.address.toLowerCase(), mailbox);
  }

  mailboxes(): readonly SandboxMailbox[] {
    return [...this.#mailboxes.values()];
  }

  findMailbox(address: string): SandboxMailbox | undefined {
    return this.#mailboxes.get(address.toLowerCase());
  }

  /** The mailbox of that address, created where it does not exist. */
  ensureMailbox(address: string): SandboxMailbox {
    const found = this.findMailbox(address);
    if (found !== undefined) return found;
    const mailbox = { address };
    this.#mailboxes.set(address.toLowerCase(), mailbox);
    return mailbox;
  }

  findClient(clientId: string): SandboxClient | undefined {
    return this.clients.find((client) => client.clientId === clientId);
  }

  /** Under which the tenant's own URLs are found. */
  get tenantNames(): readonly string[] {
    return [this.tenantId, this.domain, 'sandbox'];
  }

  /** `{tenant}` of a URL: GUID, domain, `sandbox` (which saves a configuration from knowing either), or a name all tenants share. */
  matchTenant(segment: string): TenantMatch {
    const name = segment.toLowerCase();
    if (name === this.tenantId.toLowerCase() || name === this.domain.toLowerCase() || name === 'sandbox') return 'ours';
    return name === 'common' || name === 'organizations' || name === 'consumers' ? 'shared' : 'unknown';
  }

  /** True where the tenant has a mailbox in that domain; other senders are foreign to it. */
  isOwnDomain(address: string): boolean {
    const domain = domainOf(address);
    return domain === this.domain.toLowerCase() || this.mailboxes().some((mailbox) => domainOf(mailbox.address) === domain);
  }

  /** May `mailbox` submit as `sender`? */
  maySendAs(mailbox: string, sender: string): boolean {
    if (isSameMailbox(mailbox, sender)) return true;
    return this.findMailbox(mailbox)?.sendAs?.some((address) => isSameMailbox(address, sender)) === true;
  }
}

/**
 * Who may submit and read: the configured clients, found by network or by user name, and how they have behaved lately.
 *
 * Pure: time comes with each call, passwords are checked elsewhere. One directory serves all listeners, so that a client's pace and its
 * failed logins are counted once however many ports it uses.
 *
 * @packageDocumentation
 */
import type { Client, ClientSecret } from '../core/client.ts';
import { contains, type IpAddress, type IpNetwork, parseIpNetwork } from '../core/ip-network.ts';
import { LoginThrottle } from './login-throttle.ts';
import { MessageRate } from './rate.ts';
import { SessionCount } from './session-count.ts';

interface Block {
  readonly network: IpNetwork;
  readonly client: Client;
}

export class ClientDirectory {
  /** Failed logins by peer and user name. */
  readonly logins = new LoginThrottle();
  /** Messages by client. */
  readonly rate = new MessageRate();
  /** IMAP and POP3 sessions by client. */
  readonly mailboxSessions = new SessionCount();
  #listed: Listed;

  /**
   * @param clients - From the configuration; of two with the same user name or network the first one wins.
   * @throws RangeError on a network that is not one: the configuration should have refused it.
   */
  constructor(clients: readonly Client[]) {
    this.#listed = list(clients);
  }

  /** True where a login may cost a key derivation, which an unknown user name must then cost as well. */
  get hasHashes(): boolean {
    return this.#listed.hasHashes;
  }

  /** Take over a changed configuration. What clients have done so far still counts. @throws RangeError as the constructor; then nothing changes. */
  update(clients: readonly Client[]): void {
    this.#listed = list(clients);
  }

  /** What a client that logged in earlier may do by now; undefined where it, its user name or its password is no longer what it was. */
  renewed({ name, login }: Client): Client | undefined {
    const now = login === undefined ? undefined : this.#listed.byUsername.get(login.username);
    return now?.name === name && now.login !== undefined && login !== undefined && isSameSecret(now.login.secret, login.secret)
      ? now
      : undefined;
  }

  /** The client whose network holds `peer`; the longest prefix wins. */
  findByNetwork(peer: IpAddress): Client | undefined {
    return this.#listed.blocks.find(({ network }) => contains(network, peer))?.client;
  }

  /** Exact: neither case nor blanks are overlooked. */
  findByUsername(username: string): Client | undefined {
    return this.#listed.byUsername.get(username);
  }
}

/** Clients, ready to be found. */
interface Listed {
  readonly byUsername: ReadonlyMap<string, Client>;
  /** Longest prefix first, so that the first match is the narrowest one. */
  readonly blocks: readonly Block[];
  readonly hasHashes: boolean;
}

function list(clients: readonly Client[]): Listed {
  const byUsername = new Map<string, Client>();
  for (const client of clients) {
    if (client.login !== undefined && !byUsername.has(client.login.username)) byUsername.set(client.login.username, client);
  }
  const blocks = clients.flatMap(blocksOf).sort((one, other) => other.network.prefixLength - one.network.prefixLength);
  return { byUsername, blocks, hasHashes: clients.some(({ login }) => login !== undefined && login.secret.kind !== 'password') };
}

function isSameSecret(one: ClientSecret, other: ClientSecret): boolean {
  if (one.kind === 'hash') return other.kind === 'hash' && one.hash === other.hash;
  if (one.kind === 'asked') return other.kind === 'asked' && one.id === other.id;
  return one.kind === 'password' && other.kind === 'password' && one.password === other.password;
}

function blocksOf(client: Client): Block[] {
  return client.networks.map((text) => {
    const network = parseIpNetwork(text);
    if (network === undefined) throw new RangeError(`client ${client.name}: not a network: ${text}`);
    return { network, client };
  });
}

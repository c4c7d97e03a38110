/**
 * Who may submit and read: the configured clients, found by network or by user name, and how they have behaved lately.
 *
 * Pure: time comes with each call, passwords are checked elsewhere. One directory serves all listeners, so that a client's pace and its
 * failed logins are counted once however many ports it uses.
 *
 * @packageDocumentation
 */
import type { Client } from '../core/client.ts';
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
  /** True where a login may cost a key derivation, which an unknown user name must then cost as well. */
  readonly hasHashes: boolean;
  readonly #byUsername = new Map<string, Client>();
  /** Longest prefix first, so that the first match is the narrowest one. */
  readonly #blocks: readonly Block[];

  /**
   * @param clients - From the configuration; of two with the same user name or network the first one wins.
   * @throws RangeError on a network that is not one: the configuration should have refused it.
   */
  constructor(clients: readonly Client[]) {
    for (const client of clients) {
      if (client.login !== undefined && !this.#byUsername.has(client.login.username)) this.#byUsername.set(client.login.username, client);
    }
    this.#blocks = clients.flatMap(blocksOf).sort((one, other) => other.network.prefixLength - one.network.prefixLength);
    this.hasHashes = clients.some((client) => client.login?.secret.kind === 'hash');
  }

  /** The client whose network holds `peer`; the longest prefix wins. */
  findByNetwork(peer: IpAddress): Client | undefined {
    return this.#blocks.find(({ network }) => contains(network, peer))?.client;
  }

  /** Exact: neither case nor blanks are overlooked. */
  findByUsername(username: string): Client | undefined {
    return this.#byUsername.get(username);
  }
}

function blocksOf(client: Client): Block[] {
  return client.networks.map((text) => {
    const network = parseIpNetwork(text);
    if (network === undefined) throw new RangeError(`client ${client.name}: not a network: ${text}`);
    return { network, client };
  });
}

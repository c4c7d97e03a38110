/**
 * Sends each request for a token the way of its grant: a form to the token URL, a question to the machine's identity service, a program.
 *
 * @packageDocumentation
 */
import type { AuthSettings } from '../core/account.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Random } from '../core/ports/random.ts';
import type { Dial } from '../platform/dial.ts';
import { CommandEndpoint } from './command-endpoint.ts';
import type { Environment } from './grants/managed-identity.ts';
import { ManagedIdentityEndpoint } from './managed-identity-endpoint.ts';
import type { TokenAnswer, TokenEndpoint, TokenRequest } from './token-answer.ts';
import { HttpTokenEndpoint } from './token-endpoint.ts';

/** What the ways need. */
export interface TokenRouterOptions {
  readonly clock: Clock;
  readonly random?: Random;
  readonly dial?: Dial;
  /** Of the process unless told. */
  readonly env?: Environment;
}

export class TokenRouter implements TokenEndpoint {
  readonly #forms: TokenEndpoint;
  readonly #identities: TokenEndpoint;
  readonly #commands: TokenEndpoint;

  constructor({ clock, random, dial, env = process.env }: TokenRouterOptions) {
    const network = { clock, ...(dial === undefined ? {} : { dial }) };
    this.#forms = new HttpTokenEndpoint({ ...network, ...(random === undefined ? {} : { random }) });
    this.#identities = new ManagedIdentityEndpoint({ ...network, env });
    this.#commands = new CommandEndpoint({ clock, env });
  }

  async request(request: TokenRequest): Promise<TokenAnswer> {
    return this.#endpointFor(request.account.auth).request(request);
  }

  async close(): Promise<void> {
    await Promise.all([this.#forms, this.#identities, this.#commands].map((endpoint) => endpoint.close()));
  }

  #endpointFor(auth: AuthSettings): TokenEndpoint {
    switch (auth.grant) {
      case 'command':
        return this.#commands;
      case 'client_credentials':
        return auth.managedIdentity === true ? this.#identities : this.#forms;
      case 'refresh_token':
      case 'service_account':
        return this.#forms;
      default:
        throw new Error('an account that signs in with a password has no token');
    }
  }
}

/** The part of oidc-provider 9 that the tests use; the package ships no types. */
declare module 'oidc-provider' {
  import type { IncomingMessage, ServerResponse } from 'node:http';

  export interface Client {
    readonly clientId: string;
  }

  export interface Token {
    readonly kind: string;
    readonly accountId?: string;
    readonly clientId?: string;
    save(): Promise<string>;
    destroy(): Promise<void>;
  }

  export interface Grant {
    addOIDCScope(scope: string): void;
    save(): Promise<string>;
  }

  export interface Context {
    status: number;
    body: unknown;
    readonly path: string;
    readonly oidc?: {
      readonly route: string;
      readonly params?: Record<string, unknown>;
      readonly client?: Client;
      readonly entities: { readonly AccessToken?: Token; readonly RefreshToken?: Token };
    };
  }

  interface TokenModel {
    new (properties: Record<string, unknown>): Token;
    find(value: string): Promise<Token | undefined>;
  }

  export default class Provider {
    constructor(issuer: string, configuration: Record<string, unknown>);
    readonly Client: { find(id: string): Promise<Client | undefined> };
    readonly Grant: new (properties: {
      accountId: string;
      clientId: string;
    }) => Grant;
    readonly AccessToken: TokenModel;
    readonly RefreshToken: TokenModel;
    use(middleware: (context: Context, next: () => Promise<void>) => Promise<void>): void;
    callback(): (request: IncomingMessage, response: ServerResponse) => void;
  }
}

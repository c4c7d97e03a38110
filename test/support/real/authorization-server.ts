/**
 * A real OAuth authorization server on loopback: oidc-provider, with its routes in Entra's layout, refresh tokens that rotate, and reuse of
 * an old one punished by revoking the whole grant.
 *
 * Access tokens are opaque and as long as Exchange's (about 2 kB). Mail servers ask the introspection endpoint about them.
 *
 * @packageDocumentation
 */
import { X509Certificate } from 'node:crypto';
import { createServer, type RequestListener, type Server } from 'node:http';
import type Provider from 'oidc-provider';
import type { Context, Token } from 'oidc-provider';
import { vi } from 'vitest';
import { lowPort } from './ports.ts';

const SCOPES = [
  'offline_access',
  'https://outlook.office.com/SMTP.Send',
  'https://outlook.office.com/IMAP.AccessAsUser.All',
  'https://outlook.office.com/POP.AccessAsUser.All',
];
const APPLICATION_SCOPE = 'https://outlook.office365.com/.default';
const TENANT = 'lab.postern.test';
/** Entra's access tokens for Exchange have 1.5 to 2.5 kB: longer than the command lines that mail servers accept by default. */
const ACCESS_TOKEN_LENGTH = 2048;

/** An application registered at the authorization server. */
export interface RegisteredApplication {
  readonly clientId: string;
  readonly clientSecret: string;
}

/** One request to the token endpoint, as answered. */
export interface TokenRequest {
  readonly grant: string;
  /** Whose token was asked for, as far as the server found out. */
  readonly mailbox: string | undefined;
  readonly status: number;
  readonly error: string | undefined;
}

export interface AuthorizationServer {
  readonly tenant: string;
  /** With `{tenant}` in it, as configuration files have it. */
  readonly tokenUrl: string;
  readonly authorizeUrl: string;
  readonly deviceUrl: string;
  /** With the mail server's own credentials in it. */
  readonly introspectionUrl: string;
  /** Acts for mailboxes whose owner has consented: refresh_token. */
  readonly delegated: RegisteredApplication;
  /** The same without a secret: a program on a desktop. Its refresh tokens are its own. */
  readonly publicClientId: string;
  /** Acts by itself, for {@link applicationMailbox} only: client_credentials. */
  readonly application: RegisteredApplication;
  readonly applicationMailbox: string;
  /** Proves itself by a certificate (private_key_jwt), where one was registered; for both grants. */
  readonly certifiedClientId: string;
  /** Every request to the token endpoint so far. */
  readonly tokenRequests: readonly TokenRequest[];
  /** Every access and refresh token ever handed out, for a search through logs. */
  readonly issuedTokens: readonly string[];
  /** A refresh token as if the owner of the mailbox had just signed in. */
  mintRefreshToken(mailbox: string, clientId?: string): Promise<string>;
  /** An access token as if the owner of the mailbox had just signed in; does not count as a token request. */
  mintAccessToken(mailbox: string): Promise<string>;
  /** For access tokens issued from now on. */
  setAccessTokenLifetime(seconds: number): void;
  /** Mail servers refuse every access token of the mailbox issued so far; refresh tokens go on. */
  revokeAccessTokens(mailbox: string): Promise<void>;
  /** Nobody listens any more, until {@link start}. Tokens are kept. */
  stop(): Promise<void>;
  /** Listen again, on the same port. */
  start(): Promise<void>;
}

const delegated = { clientId: '11111111-2222-3333-4444-555555555555', clientSecret: 'delegated~Secret.of-the-lab_8Q7x' };
const publicClientId = '22222222-3333-4444-5555-666666666666';
const application = { clientId: '66666666-7777-8888-9999-000000000000', clientSecret: 'application~Secret.of-the-lab_3Zk' };
const certifiedClientId = '77777777-8888-9999-0000-111111111111';
const mailServer = { clientId: 'mail-server', clientSecret: 'mail-server-secret-of-the-lab' };

/**
 * @param applicationMailbox - The one mailbox that the application without a user may open.
 * @param certificate - PEM, registered for {@link AuthorizationServer.certifiedClientId}.
 */
export async function startAuthorizationServer(applicationMailbox: string, certificate?: string): Promise<AuthorizationServer> {
  const requests: TokenRequest[] = [];
  const issued: string[] = [];
  const alive = new Map<string, Token[]>();
  const port = await lowPort();
  let lifetime = 3600;
  let handler: RequestListener = (_request, response) => void response.writeHead(503).end();
  let server = await listen((request, response) => handler(request, response), port);
  const origin = `http://127.0.0.1:${port}`;
  const provider = await createProvider(origin, () => lifetime, applicationMailbox, certificate);
  provider.use(async (context, next) => {
    await next();
    if (context.oidc?.route === 'token') record(context);
  });
  handler = provider.callback();

  function record(context: Context): void {
    const body = context.body as { error?: string; access_token?: string; refresh_token?: string } | undefined;
    const { params, entities } = context.oidc ?? { entities: {} };
    const grant = String(params?.['grant_type']);
    const mailbox = grant === 'client_credentials' ? applicationMailbox : (entities.RefreshToken ?? entities.AccessToken)?.accountId;
    requests.push({ grant, mailbox, status: context.status, error: body?.error });
    for (const token of [body?.access_token, body?.refresh_token]) if (token !== undefined) issued.push(token);
    if (entities.AccessToken !== undefined) remember(entities.AccessToken);
  }

  function remember(token: Token): void {
    const owner = token.accountId ?? '';
    alive.set(owner, [...(alive.get(owner) ?? []), token]);
  }

  async function consent(mailbox: string, clientId = delegated.clientId): Promise<Record<string, unknown>> {
    const grant = new provider.Grant({ accountId: mailbox, clientId });
    grant.addOIDCScope(SCOPES.join(' '));
    const client = await provider.Client.find(clientId);
    return { accountId: mailbox, client, grantId: await grant.save(), scope: SCOPES.join(' '), gty: 'authorization_code' };
  }

  return {
    tenant: TENANT,
    tokenUrl: `${origin}/{tenant}/oauth2/v2.0/token`,
    authorizeUrl: `${origin}/{tenant}/oauth2/v2.0/authorize`,
    deviceUrl: `${origin}/{tenant}/oauth2/v2.0/devicecode`,
    introspectionUrl: `http://${mailServer.clientId}:${mailServer.clientSecret}@127.0.0.1:${port}/${TENANT}/oauth2/v2.0/introspect`,
    delegated,
    publicClientId,
    application,
    applicationMailbox,
    certifiedClientId,
    tokenRequests: requests,
    issuedTokens: issued,
    async mintRefreshToken(mailbox, clientId) {
      const value = await new provider.RefreshToken(await consent(mailbox, clientId)).save();
      issued.push(value);
      return value;
    },
    async mintAccessToken(mailbox) {
      const token = new provider.AccessToken(await consent(mailbox));
      const value = await token.save();
      issued.push(value);
      remember(token);
      return value;
    },
    setAccessTokenLifetime(seconds) {
      lifetime = seconds;
    },
    async revokeAccessTokens(mailbox) {
      for (const token of alive.get(mailbox) ?? []) await token.destroy();
      alive.delete(mailbox);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
    async start() {
      server = await listen(handler, port);
    },
  };
}

async function createProvider(
  origin: string,
  lifetime: () => number,
  applicationMailbox: string,
  certificate: string | undefined,
): Promise<Provider> {
  const { default: OidcProvider } = await quietly(() => import('oidc-provider'));
  const base = `/${TENANT}/oauth2/v2.0`;
  const configuration = {
    findAccount: (_context: unknown, id: string) => ({ accountId: id, claims: () => ({ sub: id, preferred_username: id, email: id }) }),
    claims: { openid: ['sub'], profile: ['preferred_username'], email: ['email'] },
    // As Entra and Google do, who signed in stands in the id_token, and not only at a further endpoint.
    conformIdTokenClaims: false,
    clients: [
      {
        client_id: publicClientId,
        token_endpoint_auth_method: 'none',
        application_type: 'native',
        redirect_uris: ['http://localhost/oauth/callback'],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
      {
        client_id: delegated.clientId,
        client_secret: delegated.clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        application_type: 'native',
        redirect_uris: ['http://localhost/oauth/callback'],
        grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
      },
      {
        client_id: application.clientId,
        client_secret: application.clientSecret,
        token_endpoint_auth_method: 'client_secret_post',
        redirect_uris: [],
        response_types: [],
        grant_types: ['client_credentials'],
        scope: APPLICATION_SCOPE,
      },
      ...(certificate === undefined ? [] : [certified(certificate)]),
      {
        client_id: mailServer.clientId,
        client_secret: mailServer.clientSecret,
        redirect_uris: [],
        response_types: [],
        grant_types: [],
      },
    ],
    scopes: ['openid', 'profile', 'email', ...SCOPES, APPLICATION_SCOPE],
    features: {
      introspection: { enabled: true, allowedPolicy: () => true },
      deviceFlow: { enabled: true },
      clientCredentials: { enabled: true },
    },
    routes: {
      token: `${base}/token`,
      authorization: `${base}/authorize`,
      device_authorization: `${base}/devicecode`,
      introspection: `${base}/introspect`,
    },
    formats: {
      bitsOfOpaqueRandomness: (_context: unknown, { kind }: Token) => (/^(?:Access|ClientC)/.test(kind) ? ACCESS_TOKEN_LENGTH * 6 : 256),
    },
    // The mail servers look here for the owner: a token without a user speaks for one mailbox only.
    extraTokenClaims: (_context: unknown, token: Token) => ({ username: token.accountId ?? applicationMailbox }),
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    issueRefreshToken: () => true,
    ttl: {
      AccessToken: lifetime,
      ClientCredentials: lifetime,
      RefreshToken: 86_400,
      Grant: 86_400,
      Session: 3600,
      Interaction: 3600,
      IdToken: 3600,
      DeviceCode: 600,
    },
  };
  return quietly(() => Promise.resolve(new OidcProvider(origin, configuration)));
}

/** As Entra has it: PS256 and nothing else. */
function certified(certificate: string): object {
  const key = new X509Certificate(certificate).publicKey.export({ format: 'jwk' });
  return {
    client_id: certifiedClientId,
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'PS256',
    jwks: { keys: [{ ...key, use: 'sig', alg: 'PS256' }] },
    application_type: 'native',
    redirect_uris: ['http://localhost/oauth/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: `openid ${SCOPES.join(' ')} ${APPLICATION_SCOPE}`,
  };
}

/** oidc-provider warns on the console that this is not a production set-up; it is not. */
async function quietly<T>(action: () => Promise<T>): Promise<T> {
  const muted = (['info', 'warn'] as const).map((level) => vi.spyOn(console, level).mockReturnValue());
  try {
    return await action();
  } finally {
    for (const spy of muted) spy.mockRestore();
  }
}

function listen(handler: RequestListener, port: number): Promise<Server> {
  const server = createServer(handler);
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', () => resolve(server));
  });
}

/**
 * The sandbox: a Microsoft 365 on loopback, so that Postern can be tried and tested without an account anywhere.
 *
 * It is an OAuth server laid out like Entra ID and submission, IMAP and POP3 servers with the manners of Exchange Online. What is
 * submitted to one of its own mailboxes lies in the INBOX there. Every limit and refusal of the real service that Postern must live with is there, and
 * a switch for each fault (./faults.ts). Nothing it accepts goes any further. Described for users in docs/sandbox.md.
 *
 * @packageDocumentation
 */
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { Random } from '../core/ports/random.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { systemClock } from '../platform/system-clock.ts';
import { type Certificates, loadCertificates } from './certificates.ts';
import { Directory, type SandboxMailbox } from './directory.ts';
import { defaultFaults, type FaultSwitches } from './faults.ts';
import type { Route } from './http/answer.ts';
import { controlRoutes } from './http/control-routes.ts';
import { startHttpServer } from './http/http-server.ts';
import { Mint } from './mint.ts';
import { AccessTokens } from './oauth/access-tokens.ts';
import { AuthorizationCodes } from './oauth/authorization-codes.ts';
import { DeviceCodes } from './oauth/device-codes.ts';
import type { OAuthState } from './oauth/grants.ts';
import { identityToken } from './oauth/identity-endpoint.ts';
import { oauthRoutes } from './oauth/oauth-routes.ts';
import { RefreshTokens } from './oauth/refresh-tokens.ts';
import { serviceAccountToken } from './oauth/service-account-endpoint.ts';
import { SignInPages } from './oauth/sign-in-pages.ts';
import { TokenEndpoint } from './oauth/token-endpoint.ts';
import { runImapSession } from './mailbox/imap-session.ts';
import { MailService } from './mailbox/mail-service.ts';
import { MailStore } from './mailbox/mail-store.ts';
import { startMailboxServer } from './mailbox/mailbox-server.ts';
import { runPop3Session } from './mailbox/pop3-session.ts';
import { ReceivedMessages } from './received-messages.ts';
import { loadState, type SandboxState, StateWriter } from './sandbox-state.ts';
import { StateFiles } from './state-files.ts';
import { newStatistics, type SandboxStatistics } from './statistics.ts';
import { Exchange } from './submission/exchange.ts';
import { MailboxLimits } from './submission/mailbox-limits.ts';
import { startSubmissionServer } from './submission/submission-server.ts';
import { TlsContexts } from './tls-contexts.ts';
import { TrustedCredentials } from './trusted-credentials.ts';

/** Where the sandbox listens when nothing else is asked for. */
export const SANDBOX_PORTS = { http: 8026, smtp: 2587, imap: 2993, pop3: 2995 } as const;

/** How to start one. */
export interface SandboxOptions {
  readonly host?: '127.0.0.1';
  /** 0 takes any free port, as `imap` and `pop3` do where they are left out. Default: {@link SANDBOX_PORTS}. */
  readonly ports?: { readonly http: number; readonly smtp: number; readonly imap?: number; readonly pop3?: number };
  /** CA, keys, tenant and refresh tokens are kept in its folder `sandbox` and found again; without it they are new each time. */
  readonly stateDir?: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  /** Mailboxes of the tenant. Default: relay@, billing@ and noreply@sandbox.test; relay@ may send as noreply@. */
  readonly accounts?: readonly SandboxMailbox[];
  /** Registered for both applications. Default: loopback ones. */
  readonly redirectUris?: readonly string[];
}

/** A running sandbox. */
export interface Sandbox {
  /** `http://127.0.0.1:8026`: messages at `/`, switches at `/faults`, counters at `/stats`. */
  readonly httpUrl: string;
  readonly authorizeUrl: string;
  readonly tokenUrl: string;
  readonly deviceUrl: string;
  /** STARTTLS and XOAUTH2. */
  readonly smtp: { readonly host: string; readonly port: number };
  /** Implicit TLS and XOAUTH2. */
  readonly imap: { readonly host: string; readonly port: number };
  /** Implicit TLS and XOAUTH2 in two lines. */
  readonly pop3: { readonly host: string; readonly port: number };
  /** Trust this for `smtp`, `imap` and `pop3`. With a `stateDir` it is also in `sandbox/ca.pem` there. */
  readonly caPem: string;
  /** The domain; in URLs the GUID and `sandbox` do as well. */
  readonly tenant: string;
  readonly tenantId: string;
  /** A confidential application; may use client_credentials for every mailbox. */
  readonly clientId: string;
  readonly clientSecret: string;
  /** A public application, for code + PKCE and the device flow without a secret. */
  readonly publicClientId: string;
  /** Addresses of the mailboxes, the default one first. */
  readonly mailboxes: readonly [string, ...string[]];
  /** What counts in place of the client secret; register it here. */
  readonly trusted: TrustedCredentials;
  /** For `grant: service_account`: Google's token endpoint. */
  readonly googleTokenUrl: string;
  /** For `managedIdentity`: what IDENTITY_ENDPOINT is set to. */
  readonly identityUrl: string;
  /** Tokens without a sign-in, and revocation. */
  readonly mint: Mint;
  /** Change its fields at any time. */
  readonly faults: FaultSwitches;
  readonly messages: ReceivedMessages;
  /** Live counters. */
  readonly statistics: SandboxStatistics;
  /** Cut all connections, close the ports, finish writing state. */
  close(): Promise<void>;
}

const DOMAIN = 'sandbox.test';
const DEFAULT_MAILBOXES: readonly SandboxMailbox[] = [
  { address: `relay@${DOMAIN}`, sendAs: [`noreply@${DOMAIN}`] },
  { address: `billing@${DOMAIN}` },
  { address: `noreply@${DOMAIN}` },
];
const LOOPBACK_REDIRECTS = [
  'http://localhost',
  'http://localhost/callback',
  'http://localhost/oauth/callback',
  'http://127.0.0.1/callback',
];

/**
 * Start a sandbox.
 *
 * @throws ProblemError `SANDBOX_FAILED` where a port is taken or the state folder cannot be used.
 */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  try {
    return await open(options);
  } catch (error) {
    const cause = error instanceof Error ? error.message : String(error);
    throw new ProblemError(problem('SANDBOX_FAILED', `The sandbox could not be started: ${cause}`), { cause: error });
  }
}

async function open(options: SandboxOptions): Promise<Sandbox> {
  const { host = '127.0.0.1', ports = SANDBOX_PORTS, log, random } = options;
  const files = new StateFiles(options.stateDir);
  // TLS goes by the machine's time, so certificates do too, whatever clock was injected.
  const certificates = await loadCertificates(files, systemClock.now(), random);
  const core = createCore(options, await loadState(files, random, log), files);
  let routes: readonly Route[] = [];
  const opened: { close(): Promise<void> }[] = [];
  const opening = async <Server extends { close(): Promise<void> }>(server: Promise<Server>): Promise<Server> => {
    opened.push(await server);
    return server;
  };
  try {
    const http = await opening(startHttpServer(host, ports.http, () => routes, log));
    const contexts = new TlsContexts(certificates);
    const smtp = await opening(startSubmissionServer(host, ports.smtp, createExchange(options, core), contexts, certificates.server));
    const mail = createMailService(options, core);
    const imap = await opening(startMailboxServer('imap', runImapSession, { host, port: ports.imap ?? 0 }, mail, contexts));
    const pop3 = await opening(startMailboxServer('pop3', runPop3Session, { host, port: ports.pop3 ?? 0 }, mail, contexts));
    const at = ({ port }: { readonly port: number }): Place => ({ host, port });
    const places = { smtp: at(smtp), imap: at(imap), pop3: at(pop3) };
    const sandbox = present(core, certificates, `http://${host}:${http.port}`, places, async () => {
      await Promise.all(opened.map((server) => server.close()));
      await core.writer.flush();
    });
    routes = createRoutes(options, core, sandbox);
    core.writer.schedule();
    log.info({ event: 'sandbox-started', upstream: `${host}:${smtp.port}` }, `the sandbox is running; its page is ${sandbox.httpUrl}`);
    return sandbox;
  } catch (error) {
    await Promise.all(opened.map((server) => server.close()));
    throw error;
  }
}

/** Where a server listens. */
type Place = Sandbox['smtp'];

/** What the servers share. */
interface Core {
  readonly identity: SandboxState;
  readonly oauth: OAuthState;
  readonly mint: Mint;
  readonly trusted: TrustedCredentials;
  readonly messages: ReceivedMessages;
  readonly statistics: SandboxStatistics;
  readonly writer: StateWriter;
}

function createCore(options: SandboxOptions, identity: SandboxState, files: StateFiles): Core {
  const { clock, random, log, accounts = DEFAULT_MAILBOXES, redirectUris = LOOPBACK_REDIRECTS } = options;
  const faults = defaultFaults();
  const { tenantId, clientId, clientSecret, publicClientId } = identity;
  const clients = [
    { clientId, clientSecret, redirectUris },
    { clientId: publicClientId, redirectUris },
  ];
  const writer = new StateWriter(files, () => ({ ...identity, refreshTokens: refreshTokens.records() }), log);
  const refreshTokens = new RefreshTokens(identity.refreshTokens, clock, random, faults, () => writer.schedule());
  const directory = new Directory(tenantId, DOMAIN, clients, accounts.length === 0 ? DEFAULT_MAILBOXES : accounts);
  // Tokens kept from before may be of mailboxes that were made for them.
  for (const { mailbox } of identity.refreshTokens) directory.ensureMailbox(mailbox);
  const oauth = {
    directory,
    accessTokens: new AccessTokens(identity.signingKey, tenantId, clock, random, faults),
    refreshTokens,
    codes: new AuthorizationCodes(clock, random),
    devices: new DeviceCodes(clock, random, faults),
    faults,
  };
  const trusted = new TrustedCredentials();
  return {
    identity,
    oauth,
    mint: new Mint(oauth, clientId),
    trusted,
    messages: new ReceivedMessages(),
    statistics: newStatistics(),
    writer,
  };
}

function createExchange({ clock, random, log }: SandboxOptions, { oauth, trusted, messages, statistics }: Core): Exchange {
  const { directory, accessTokens, faults } = oauth;
  const limits = new MailboxLimits(faults.submission, clock);
  return new Exchange({
    directory,
    trusted,
    accessTokens,
    faults,
    limits,
    messages,
    statistics: statistics.submission,
    clock,
    random,
    log,
  });
}

/** With every message that arrives from now on in the mailboxes it is for. */
function createMailService({ clock, random, log }: SandboxOptions, { oauth, messages, statistics }: Core): MailService {
  const { directory, accessTokens, faults } = oauth;
  const store = new MailStore(clock.now());
  const service = new MailService({ directory, accessTokens, faults, store, statistics: statistics.mailbox, clock, random, log });
  messages.onMessage((message) => service.deliver(message, messages));
  return service;
}

function createRoutes({ clock, random, log }: SandboxOptions, core: Core, sandbox: Sandbox): readonly Route[] {
  const { oauth, mint, trusted, messages, statistics, identity } = core;
  const baseUrl = (): string => sandbox.httpUrl;
  const tokens = new TokenEndpoint({ state: oauth, trusted, statistics: statistics.token, clock, random, log, baseUrl });
  const control = controlRoutes({ messages, faults: oauth.faults, statistics, mint, trusted, about: () => about(sandbox) });
  const otherGrants: readonly Route[] = [
    {
      method: 'POST',
      path: /^\/google\/token$/,
      handle: (request) => serviceAccountToken(request, oauth, trusted, clock.now(), sandbox.googleTokenUrl),
    },
    {
      method: 'GET',
      path: /^\/metadata\/identity\/oauth2\/token$/,
      handle: (request) => identityToken(request, oauth, trusted, identity.clientId, clock.now()),
    },
  ];
  return [...control, ...otherGrants, ...oauthRoutes(tokens, new SignInPages(oauth), baseUrl)];
}

function present(
  { identity, oauth, mint, trusted, messages, statistics }: Core,
  { caPem }: Certificates,
  httpUrl: string,
  places: Pick<Sandbox, 'smtp' | 'imap' | 'pop3'>,
  close: () => Promise<void>,
): Sandbox {
  const { tenantId, clientId, clientSecret, publicClientId } = identity;
  const endpoint = (leaf: string): string => `${httpUrl}/${DOMAIN}/oauth2/v2.0/${leaf}`;
  const [first = `relay@${DOMAIN}`, ...others] = oauth.directory.mailboxes().map(({ address }) => address);
  return {
    httpUrl,
    authorizeUrl: endpoint('authorize'),
    tokenUrl: endpoint('token'),
    deviceUrl: endpoint('devicecode'),
    ...places,
    caPem,
    tenant: DOMAIN,
    tenantId,
    clientId,
    clientSecret,
    publicClientId,
    mailboxes: [first, ...others],
    trusted,
    googleTokenUrl: `${httpUrl}/google/token`,
    identityUrl: `${httpUrl}/metadata/identity/oauth2/token`,
    mint,
    faults: oauth.faults,
    messages,
    statistics,
    close,
  };
}

/** `GET /about`: what another process needs to use the sandbox. The secret is worth nothing elsewhere, and only loopback may ask. */
function about(sandbox: Sandbox): object {
  const { trusted: _trusted, mint: _mint, faults: _faults, messages: _messages, statistics: _statistics, ...facts } = sandbox;
  return facts;
}

/**
 * The providers that are built in.
 *
 * Pure data. Any field may be replaced in the configuration (`extends`), since hosts and scopes of national clouds could not be tried.
 *
 * Sources: Microsoft's pages on SMTP, IMAP and POP with OAuth and on national clouds; Google's and Yahoo's XOAUTH2 pages; Fastmail's OAuth page.
 * Limits of Exchange Online: 3 sessions that submit, 30 messages a minute and 10,000 recipients a day for a mailbox, 35 MB unless the mailbox allows more.
 * Where a provider publishes no limit, ours is careful.
 *
 * @packageDocumentation
 */
import type { Endpoint, UpstreamLimits } from '../core/account.ts';
import { mebibytes, octets } from '../core/octets.ts';

/** The protocols that a mailbox can be used with. */
export type Protocol = 'smtp' | 'imap' | 'pop3';

/**
 * Scopes for tokens of a person. Only those of protocols in use are asked for: one that the person never allowed makes the provider refuse the
 * whole request (AADSTS65001), and each makes the token longer, which POP3 at Exchange does not survive past 4096 characters.
 */
export interface ScopesByProtocol extends Readonly<Record<Protocol, string>> {
  readonly always: readonly string[];
}

/** What may be known of a provider; all of it can be inherited. */
export interface ProviderFields {
  readonly authorizeUrl?: string;
  readonly tokenUrl?: string;
  readonly deviceUrl?: string;
  readonly authorizeParameters?: Readonly<Record<string, string>>;
  readonly redirectUri?: string;
  readonly identityScopes?: readonly string[];
  /** Stands in for an account's `tenant` where it has none. */
  readonly defaultTenant?: string;
  readonly scopes?: ScopesByProtocol | readonly string[];
  readonly applicationScopes?: readonly string[];
  readonly mechanism?: 'XOAUTH2' | 'OAUTHBEARER';
  readonly smtp?: Partial<Endpoint>;
  readonly imap?: Partial<Endpoint>;
  readonly pop3?: Partial<Endpoint>;
  /** PEM text. */
  readonly ca?: string;
  /** A CA file in the state directory, which may not exist yet. */
  readonly stateCaFile?: string;
  readonly limits?: Partial<UpstreamLimits>;
}

/** Exchange Online's, and what holds for providers that say nothing else. */
export const EXCHANGE_LIMITS: UpstreamLimits = {
  connections: 3,
  messagesPerMinute: 30,
  recipientsPerDay: 10_000,
  maxSize: mebibytes(35),
  // Microsoft publishes no number for Exchange Online; Exchange Server's own default is 16 a user.
  mailboxSessions: 16,
};

interface MicrosoftCloud {
  readonly login: string;
  /** Resource of delegated scopes, with the slash. */
  readonly resource: string;
  /** Resource of app-only tokens, with the slash. */
  readonly applicationResource: string;
  readonly smtpHost: string;
  readonly mailHost: string;
}

function microsoft({ login, resource, applicationResource, smtpHost, mailHost }: MicrosoftCloud): ProviderFields {
  return {
    authorizeUrl: `https://${login}/{tenant}/oauth2/v2.0/authorize`,
    tokenUrl: `https://${login}/{tenant}/oauth2/v2.0/token`,
    deviceUrl: `https://${login}/{tenant}/oauth2/v2.0/devicecode`,
    scopes: {
      smtp: `${resource}SMTP.Send`,
      imap: `${resource}IMAP.AccessAsUser.All`,
      pop3: `${resource}POP.AccessAsUser.All`,
      always: ['offline_access'],
    },
    // Belong to no resource, so they may stand beside the scopes of one; Microsoft's own libraries always ask for them.
    identityScopes: ['openid', 'profile'],
    applicationScopes: [`${applicationResource}.default`],
    mechanism: 'XOAUTH2',
    // Exchange does not serve 465 for submission.
    smtp: { host: smtpHost, port: 587, tls: 'starttls' },
    imap: { host: mailHost, port: 993, tls: 'implicit' },
    pop3: { host: mailHost, port: 995, tls: 'implicit' },
    limits: EXCHANGE_LIMITS,
  };
}

const WORLDWIDE: MicrosoftCloud = {
  login: 'login.microsoftonline.com',
  resource: 'https://outlook.office.com/',
  applicationResource: 'https://outlook.office365.com/',
  smtpHost: 'smtp.office365.com',
  mailHost: 'outlook.office365.com',
};

/** A provider with one scope for everything, or one for each protocol; implicit TLS on all ports (RFC 8314 §3). */
function implicitTls(host: Readonly<Record<Protocol, string>>, fields: Omit<ProviderFields, Protocol>): ProviderFields {
  return {
    applicationScopes: [],
    mechanism: 'XOAUTH2',
    smtp: { host: host.smtp, port: 465, tls: 'implicit' },
    imap: { host: host.imap, port: 993, tls: 'implicit' },
    pop3: { host: host.pop3, port: 995, tls: 'implicit' },
    ...fields,
  };
}

const oneScope = (scope: string): ScopesByProtocol => ({ smtp: scope, imap: scope, pop3: scope, always: [] });

function yahoo(login: string, domain: string): ProviderFields {
  return implicitTls(
    { smtp: `smtp.${domain}`, imap: `imap.${domain}`, pop3: `pop.${domain}` },
    {
      authorizeUrl: `https://${login}/oauth2/request_auth`,
      tokenUrl: `https://${login}/oauth2/get_token`,
      scopes: oneScope('mail-w'),
      limits: { connections: 2, messagesPerMinute: 20, recipientsPerDay: 500, maxSize: mebibytes(25) },
    },
  );
}

/** Where `postern sandbox` listens. */
const SANDBOX: ProviderFields = {
  ...microsoft(WORLDWIDE),
  authorizeUrl: 'http://127.0.0.1:8026/{tenant}/oauth2/v2.0/authorize',
  tokenUrl: 'http://127.0.0.1:8026/{tenant}/oauth2/v2.0/token',
  deviceUrl: 'http://127.0.0.1:8026/{tenant}/oauth2/v2.0/devicecode',
  defaultTenant: 'sandbox',
  smtp: { host: '127.0.0.1', port: 2587, tls: 'starttls' },
  imap: { host: '127.0.0.1', port: 2993, tls: 'implicit' },
  pop3: { host: '127.0.0.1', port: 2995, tls: 'implicit' },
  stateCaFile: 'sandbox/ca.pem',
};

/** By the name that `accounts[].provider` and `extends` use. */
export const PRESETS: ReadonlyMap<string, ProviderFields> = new Map<string, ProviderFields>([
  ['microsoft365', microsoft(WORLDWIDE)],
  [
    'microsoft365-gcc-high',
    microsoft({
      login: 'login.microsoftonline.us',
      resource: 'https://outlook.office365.us/',
      applicationResource: 'https://outlook.office365.us/',
      smtpHost: 'smtp.office365.us',
      mailHost: 'outlook.office365.us',
    }),
  ],
  [
    'microsoft365-dod',
    microsoft({
      login: 'login.microsoftonline.us',
      resource: 'https://outlook.office365.us/',
      applicationResource: 'https://outlook.office365.us/',
      smtpHost: 'outlook-dod.office365.us',
      mailHost: 'outlook-dod.office365.us',
    }),
  ],
  [
    'microsoft365-china',
    microsoft({
      login: 'login.partner.microsoftonline.cn',
      resource: 'https://partner.outlook.cn/',
      applicationResource: 'https://partner.outlook.cn/',
      smtpHost: 'smtp.partner.outlook.cn',
      mailHost: 'partner.outlook.cn',
    }),
  ],
  [
    'outlook',
    {
      ...microsoft({ ...WORLDWIDE, smtpHost: 'smtp-mail.outlook.com' }),
      defaultTenant: 'consumers',
      applicationScopes: [], // Personal accounts have no app-only access.
      limits: { connections: 3, messagesPerMinute: 30, recipientsPerDay: 5000, maxSize: mebibytes(25) },
    },
  ],
  [
    'google',
    implicitTls(
      { smtp: 'smtp.gmail.com', imap: 'imap.gmail.com', pop3: 'pop.gmail.com' },
      {
        authorizeUrl: 'https://accounts.google.com/o/oauth2/v2/auth',
        // Without these two Google returns no refresh token, or only at the very first sign-in.
        authorizeParameters: { access_type: 'offline', prompt: 'consent' },
        redirectUri: 'http://127.0.0.1/oauth/callback', // Of a desktop application: any port and path.
        identityScopes: ['openid', 'email'],
        tokenUrl: 'https://oauth2.googleapis.com/token',
        scopes: oneScope('https://mail.google.com/'),
        limits: { connections: 3, messagesPerMinute: 60, recipientsPerDay: 10_000, maxSize: octets(35_882_577), mailboxSessions: 15 },
      },
    ),
  ],
  ['yahoo', yahoo('api.login.yahoo.com', 'mail.yahoo.com')],
  ['aol', yahoo('api.login.aol.com', 'aol.com')],
  [
    'fastmail',
    implicitTls(
      { smtp: 'smtp.fastmail.com', imap: 'imap.fastmail.com', pop3: 'pop.fastmail.com' },
      {
        authorizeUrl: 'https://api.fastmail.com/oauth/authorize',
        tokenUrl: 'https://api.fastmail.com/oauth/refresh',
        scopes: {
          smtp: 'https://www.fastmail.com/dev/protocol-smtp',
          imap: 'https://www.fastmail.com/dev/protocol-imap',
          pop3: 'https://www.fastmail.com/dev/protocol-pop',
          always: [],
        },
        limits: { connections: 3, messagesPerMinute: 30, recipientsPerDay: 4000, maxSize: mebibytes(70) },
      },
    ),
  ],
  ['sandbox', SANDBOX],
]);

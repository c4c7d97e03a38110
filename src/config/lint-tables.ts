/**
 * What people paste into a configuration and what was meant. Each row: what it looks like, what is wrong with it, the right value.
 *
 * Pure. A `problem` cannot work; a `notice` may. Guides on the web hold most of these mistakes: bare or garbled scopes, `/v2/` for `/v2.0/`,
 * curly quotes, the id of a secret for the secret. No message repeats the value: it may be a secret.
 *
 * @packageDocumentation
 */
import { nearest } from './suggest.ts';

/** One mistake. */
export interface LintRow {
  readonly pattern: RegExp;
  readonly severity: 'problem' | 'notice';
  readonly message: string;
  /** The value that was meant, where it can be told. Not used for secrets. */
  readonly right?: (value: string) => string;
}

/** Ids, tokens and secrets given by a provider: printable ASCII without blanks (RFC 6749 Appendix A). The first row that fits is told. */
export const CREDENTIAL_ROWS: readonly LintRow[] = [
  {
    pattern: /[\u200b-\u200f\u2028-\u202e\u2060\ufeff\u00ad]/,
    severity: 'problem',
    message: 'holds an invisible character: copy it again as plain text',
  },
  { pattern: /[\u2018-\u201f\u00ab\u00bb]/, severity: 'problem', message: 'holds a curly quote: copy it again without quotes' },
  { pattern: /^<.*>$|^\{.*\}$|^YOUR[-_ ]|^x{8}/i, severity: 'problem', message: 'is a placeholder, or more than the value itself' },
  {
    pattern: /^(client_secret|client_id|refresh_token|access_token)[=:]|^Bearer /i,
    severity: 'problem',
    message: 'holds more than the value itself: leave out its name',
  },
  { pattern: /[\s\u0000-\u001f\u007f]/, severity: 'problem', message: 'holds a blank, a line break or a control character' },
  { pattern: /[^\u0021-\u007e]/, severity: 'problem', message: 'holds a character that no such value has: copy it again as plain text' },
  { pattern: /^(["'`]).*\1$/, severity: 'notice', message: 'starts and ends with a quote: was it quoted twice?' },
];

/** Passwords that we give out ourselves may hold anything; these are most probably slips. */
export const PASSWORD_ROWS: readonly LintRow[] = [
  {
    pattern: /[\r\n\u0000]/,
    severity: 'problem',
    message: 'holds a line break: applications cannot send that (of a file, only the last line end is dropped)',
  },
  { pattern: /[\u200b-\u200f\u2028-\u202e\u2060\ufeff]/, severity: 'problem', message: 'holds an invisible character: type it again' },
  { pattern: /^\s|\s$/, severity: 'notice', message: 'starts or ends with a blank' },
];

const GUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
const JWT = /^eyJ[\w-]+\.[\w-]+\.[\w-]*$/;

/** `auth.clientSecret` at Microsoft. */
export const ENTRA_SECRET_ROWS: readonly LintRow[] = [
  {
    pattern: GUID,
    severity: 'problem',
    message: 'looks like the id of the secret: the column "Value" of the portal is meant, shown only once (AADSTS7000215)',
  },
];

/** `auth.clientId` at Microsoft. */
export const ENTRA_CLIENT_ID_ROWS: readonly LintRow[] = [
  {
    pattern: new RegExp(`^(?!${GUID.source.slice(1, -1)}$)`, 'i'),
    severity: 'notice',
    message: 'is not a GUID: the "Application (client) ID" of the app registration is meant',
  },
];

/** `auth.refreshToken` at Microsoft and Google. */
export const REFRESH_TOKEN_ROWS: readonly LintRow[] = [
  { pattern: JWT, severity: 'problem', message: 'is an access or ID token, not a refresh token: both come in the same answer' },
  { pattern: /^ya29\./, severity: 'problem', message: 'is an access token of Google, not a refresh token (those start with 1//)' },
];

/** `auth.tenant` with client_credentials. */
export const APPLICATION_TENANT_ROWS: readonly LintRow[] = [
  {
    pattern: /^(common|organizations|consumers)$/i,
    severity: 'problem',
    message: 'client_credentials needs the one tenant that the mailbox is in: its id or a domain of it',
  },
];

/** `auth.tenant` with refresh_token. */
export const DELEGATED_TENANT_ROWS: readonly LintRow[] = [
  {
    pattern: /^(common|organizations)$/i,
    severity: 'notice',
    message: 'works only for applications registered for several tenants (AADSTS50194): better name the tenant by its id or a domain',
  },
];

const MAIL_RIGHTS = ['SMTP.Send', 'IMAP.AccessAsUser.All', 'POP.AccessAsUser.All'];

/** The mail permission that the end of a scope names or garbles. */
const mailRight = (scope: string): string | undefined => nearest(scope.replace(/^.*\//, '').replace(/[;,]+/g, ''), MAIL_RIGHTS);

/** A delegated scope that names a mail permission in any other than its full form. */
const isGarbled = (scope: string): boolean =>
  mailRight(scope) !== undefined && !/^https:\/\/[^/]+\/(SMTP\.Send|(IMAP|POP)\.AccessAsUser\.All)$/.test(scope);

const GRAPH_MAIL = /^https:\/\/graph\.microsoft\.[a-z.]+\/(SMTP\.Send|(IMAP|POP)\.AccessAsUser\.All)$/;

/** Delegated scopes at Microsoft. `resource` ends in a slash. */
export function lintDelegatedScope(scope: string, resource: string): Omit<LintRow, 'pattern'> | undefined {
  if (/\.(SendAsApp|AccessAsApp)$/.test(scope)) {
    return { severity: 'problem', message: 'is a permission of applications: use grant client_credentials, which asks for .default' };
  }
  if (isGarbled(scope) || GRAPH_MAIL.test(scope)) {
    const message = 'does not name a permission of Exchange in full; anything else gives a token that Exchange refuses';
    return { severity: 'problem', message, right: () => `${resource}${mailRight(scope) ?? 'SMTP.Send'}` };
  }
  if (/^(https:\/\/graph\.microsoft\.[a-z.]+\/.*|(User|Mail|Calendars|Files|Directory)\.[A-Za-z.]+)$/.test(scope)) {
    return { severity: 'problem', message: 'belongs to Microsoft Graph; one token serves one resource only: leave it out' };
  }
  return undefined;
}

/** The scope of client_credentials at Microsoft. */
export const ENTRA_APPLICATION_SCOPE_ROWS: readonly LintRow[] = [
  {
    pattern: /^https:\/\/graph\.microsoft\.[a-z.]+\/\.default$/,
    severity: 'problem',
    message: 'asks for a token of Microsoft Graph, which Exchange refuses',
  },
  { pattern: /^(?!.*\/\.default$)/, severity: 'problem', message: 'client_credentials takes the resource with /.default only' },
];

/** Scopes at Google. */
export const GOOGLE_SCOPE_ROWS: readonly LintRow[] = [
  {
    pattern: /\/auth\/gmail\.(send|modify|readonly|compose|insert)$|^https?:\/\/mail\.google\.com$|^http:\/\/mail\.google\.com\/$/,
    severity: 'problem',
    message: 'does not open SMTP, IMAP or POP3',
    right: () => 'https://mail.google.com/',
  },
];

/** URLs of Microsoft's login hosts, or what is meant to be one. */
export const ENTRA_URL_ROWS: readonly LintRow[] = [
  {
    pattern: /\/\/loginmicrosoftonline\./,
    severity: 'problem',
    message: 'names a host that is not Microsoft',
    right: (url) => url.replace('//loginmicrosoftonline.', '//login.microsoftonline.'),
  },
  {
    pattern: /\/ou?th2?\/|\/outh2\//,
    severity: 'problem',
    message: 'misspells oauth2',
    right: (url) => url.replace(/\/ou?th2?\//, '/oauth2/'),
  },
  {
    pattern: /\/oauth2\/v2\//,
    severity: 'problem',
    message: 'has no such path: it is v2.0, not v2',
    right: (url) => url.replace('/oauth2/v2/', '/oauth2/v2.0/'),
  },
  {
    pattern: /\/oauth2\/(authorize|token|devicecode)$/,
    severity: 'problem',
    message: 'is version 1, which knows no scopes',
    right: (url) => url.replace('/oauth2/', '/oauth2/v2.0/'),
  },
];

/** `tokenUrl` anywhere. */
export const TOKEN_URL_ROWS: readonly LintRow[] = [
  { pattern: /\/(authorize|devicecode)$/, severity: 'problem', message: 'is the address where people sign in, not the token endpoint' },
];

/** `authorizeUrl` anywhere. */
export const AUTHORIZE_URL_ROWS: readonly LintRow[] = [
  { pattern: /\/token$/, severity: 'problem', message: 'is the token endpoint, not the address where people sign in' },
];

/** `mailbox`. */
export const MAILBOX_ROWS: readonly LintRow[] = [
  {
    pattern: /\.onmicrosoft\.com$/i,
    severity: 'notice',
    message: 'a sender in onmicrosoft.com may reach 100 external recipients a day only (550 5.7.236): use a domain of your own',
  },
];

/** `mailbox` with service_account. */
export const DELEGATION_MAILBOX_ROWS: readonly LintRow[] = [
  {
    pattern: /@(gmail|googlemail)\.com$/i,
    severity: 'problem',
    message: 'is a personal mailbox, which nobody can delegate: service_account needs Google Workspace; use refresh_token',
  },
];

/** `smtp.host` with basic. */
export const PASSWORD_HOST_ROWS: readonly LintRow[] = [
  {
    pattern: /^smtp-mail\.outlook\.com$/,
    severity: 'problem',
    message: 'outlook.com takes no passwords since September 2024: use refresh_token',
  },
  {
    pattern: /(^|\.)(office365\.(com|us)|outlook\.(com|cn))$/,
    severity: 'notice',
    message:
      'Exchange Online switches sign-in by password off by default at the end of December 2026, and will end it for good: move to client_credentials or refresh_token before (docs/providers.md)',
  },
  {
    pattern: /(^|\.)(gmail|google)\.com$/,
    severity: 'notice',
    message:
      'Google takes application passwords only, and an administrator may switch them off: service_account or refresh_token last longer',
  },
  {
    pattern: /(^|\.)(yahoo|aol)\.com$/,
    severity: 'notice',
    message: 'takes application passwords only (account security > generate app password)',
  },
];

/** `redirectUri`, anywhere (RFC 6749 §3.1.2, RFC 8252 §7.3). */
export const REDIRECT_ROWS: readonly LintRow[] = [
  {
    pattern: /[?#]/,
    severity: 'problem',
    message: 'may hold neither ? nor #: it has to be the redirect URI exactly as it is registered',
    right: (uri) => uri.replace(/[?#].*$/s, ''),
  },
  {
    pattern: /^https:\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$)/i,
    severity: 'problem',
    message: 'postern login listens on loopback without TLS, so the browser would get no answer; register and write http://',
    right: (uri) => uri.replace(/^https/i, 'http'),
  },
  {
    pattern: /^(?!http:\/\/(localhost|127\.0\.0\.1|\[::1\])(?=[:/]|$))/i,
    severity: 'notice',
    message: 'is not on loopback: postern login cannot listen there and asks for the address to be pasted',
    right: () => 'http://localhost/oauth/callback',
  },
];

/** `redirectUri` at Microsoft. */
export const ENTRA_REDIRECT_ROWS: readonly LintRow[] = [
  {
    pattern: /^http:\/\/(127\.0\.0\.1|\[::1\])(?=\/|$)/i,
    severity: 'problem',
    message: 'Entra accepts any port for localhost only, and postern login takes a free one (AADSTS50011)',
    right: (uri) => uri.replace(/^http:\/\/(127\.0\.0\.1|\[::1\])/i, 'http://localhost'),
  },
];

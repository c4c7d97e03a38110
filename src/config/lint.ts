/**
 * Looks at what was pasted into accounts, providers and clients, and names the right value before a provider refuses the wrong one.
 *
 * The mistakes are rows in {@link ./lint-tables.ts}. At Microsoft's own hosts a row counts as it says; where a provider merely resembles
 * Microsoft's (a lab), problems become notices, since the lab may have rules of its own.
 *
 * @packageDocumentation
 */
import type { Endpoint, Provider } from '../core/account.ts';
import type { Findings, Path } from './findings.ts';
import {
  APPLICATION_TENANT_ROWS,
  AUTHORIZE_URL_ROWS,
  CREDENTIAL_ROWS,
  DELEGATION_MAILBOX_ROWS,
  DELEGATED_TENANT_ROWS,
  ENTRA_APPLICATION_SCOPE_ROWS,
  ENTRA_CLIENT_ID_ROWS,
  ENTRA_REDIRECT_ROWS,
  ENTRA_SECRET_ROWS,
  ENTRA_URL_ROWS,
  GOOGLE_SCOPE_ROWS,
  type LintRow,
  lintDelegatedScope,
  MAILBOX_ROWS,
  PASSWORD_HOST_ROWS,
  PASSWORD_ROWS,
  REDIRECT_ROWS,
  REFRESH_TOKEN_ROWS,
  TOKEN_URL_ROWS,
} from './lint-tables.ts';
import type { ClientInput } from './schema.ts';
import type { AccountInput, AuthInput, ProviderInput } from './schema-accounts.ts';
import type { Entry } from './sections.ts';

/** Whose rules hold. `like-entra`: the paths are Microsoft's, the host is not. */
type Dialect = 'entra' | 'like-entra' | 'google' | 'other';

const ENTRA_HOST = /^login\.(microsoftonline\.(com|us)|partner\.microsoftonline\.cn|chinacloudapi\.cn|microsoft\.com|windows\.net)$/;

function dialectOf(url: string): Dialect {
  const host = URL.canParse(url) ? new URL(url).hostname : '';
  if (ENTRA_HOST.test(host) || host === 'loginmicrosoftonline.com') return 'entra';
  if (host === 'oauth2.googleapis.com' || host === 'accounts.google.com') return 'google';
  return /\/oauth2\/v2(\.0)?\//.test(url) ? 'like-entra' : 'other';
}

/** Tells findings in one place of the configuration. */
class Linter {
  readonly #findings: Findings;
  readonly #isLab: boolean;

  constructor(findings: Findings, isLab: boolean) {
    this.#findings = findings;
    this.#isLab = isLab;
  }

  /** Tell the first row that fits. Nothing is said of a value that is not there. */
  apply(rows: readonly LintRow[], value: string | undefined, at: Path, fallback?: string): void {
    const row = value === undefined ? undefined : rows.find(({ pattern }) => pattern.test(value));
    if (row !== undefined) this.tell(row, at, row.right?.(value ?? '') ?? fallback);
  }

  tell({ severity, message }: Pick<LintRow, 'severity' | 'message'>, at: Path, right?: string): void {
    if (severity === 'problem' && !this.#isLab) this.#findings.problem(at, message, right);
    else this.#findings.notice(at, right === undefined ? message : `${message}; did you mean ${right}?`);
  }
}

/** Look at a configured provider. `provider` is the same with all that it inherits. */
export function lintProvider({ path, value }: Entry<ProviderInput>, provider: Provider, findings: Findings): void {
  for (const key of ['authorizeUrl', 'tokenUrl', 'deviceUrl'] as const) {
    const url = value[key];
    if (url === undefined) continue;
    const dialect = dialectOf(url);
    const isMicrosoft = dialect === 'entra' || dialect === 'like-entra' || /\/outh/.test(url);
    if (isMicrosoft) new Linter(findings, dialect !== 'entra').apply(ENTRA_URL_ROWS, url, [...path, key]);
  }
  const linter = new Linter(findings, false);
  lintRedirect(value.redirectUri, provider, [...path, 'redirectUri'], linter);
  linter.apply(TOKEN_URL_ROWS, value.tokenUrl, [...path, 'tokenUrl']);
  linter.apply(AUTHORIZE_URL_ROWS, value.authorizeUrl, [...path, 'authorizeUrl']);
  if (value.smtp !== undefined) lintSubmission(provider.smtp, [...path, 'smtp'], linter);
  if (value.scopes !== undefined) lintDelegatedScopes(value.scopes, provider, [...path, 'scopes'], findings);
  value.applicationScopes?.forEach((scope, index) => {
    lintApplicationScope(scope, provider, [...path, 'applicationScopes', index], findings);
  });
}

/** What `postern login` can use: where it cannot listen, somebody has to paste the answer; and Entra compares literally but for the port of `localhost`. */
function lintRedirect(uri: string | undefined, { tokenUrl }: Provider, at: Path, linter: Linter): void {
  linter.apply(REDIRECT_ROWS, uri, at);
  if (dialectOf(tokenUrl) === 'entra') linter.apply(ENTRA_REDIRECT_ROWS, uri, at);
}

function lintSubmission({ host, port, tls }: Endpoint, at: Path, linter: Linter): void {
  if (/^smtp[a-z.-]*\.(office365\.(com|us)|outlook\.c(om|n))$/.test(host) && port === 465) {
    linter.tell({ severity: 'problem', message: `${host} does not serve port 465` }, [...at, 'port'], '587');
  } else if ((port === 465 && tls === 'starttls') || ((port === 587 || port === 25) && tls === 'implicit')) {
    linter.tell({ severity: 'notice', message: `port ${port} usually speaks ${tls === 'starttls' ? 'implicit TLS' : 'STARTTLS'}` }, at);
  }
}

/** Look at what an account says. */
export function lintAccount({ path, value }: Entry<AccountInput>, provider: Provider, findings: Findings): void {
  const { auth } = value;
  const at = [...path, 'auth'];
  const anywhere = new Linter(findings, false);
  anywhere.apply(MAILBOX_ROWS, value.mailbox, [...path, 'mailbox']);
  if (auth.grant === 'service_account') return lintServiceAccount({ path, value }, auth.scopes, provider, findings);
  if (auth.grant === 'basic') return lintPassword(auth.password, provider, at, findings);
  if (auth.grant === 'command') return;
  anywhere.apply(CREDENTIAL_ROWS, auth.clientId, [...at, 'clientId']);
  anywhere.apply(CREDENTIAL_ROWS, auth.clientSecret, [...at, 'clientSecret']);
  const dialect = dialectOf(provider.tokenUrl);
  if (dialect === 'entra') {
    anywhere.apply(ENTRA_CLIENT_ID_ROWS, auth.clientId, [...at, 'clientId']);
    anywhere.apply(ENTRA_SECRET_ROWS, auth.clientSecret, [...at, 'clientSecret']);
  }
  if (auth.grant === 'refresh_token') lintRefreshToken(auth, provider, at, findings);
  else lintClientCredentials(auth, provider, at, findings);
}

function lintRefreshToken(auth: Extract<AuthInput, { grant: 'refresh_token' }>, provider: Provider, at: Path, findings: Findings): void {
  const linter = new Linter(findings, false);
  const dialect = dialectOf(provider.tokenUrl);
  linter.apply(CREDENTIAL_ROWS, auth.refreshToken, [...at, 'refreshToken']);
  if (dialect === 'entra' || dialect === 'google') linter.apply(REFRESH_TOKEN_ROWS, auth.refreshToken, [...at, 'refreshToken']);
  if (dialect === 'entra') linter.apply(DELEGATED_TENANT_ROWS, auth.tenant, [...at, 'tenant']);
  if (auth.scopes !== undefined) lintDelegatedScopes(auth.scopes, provider, [...at, 'scopes'], findings);
}

function lintClientCredentials(
  auth: Extract<AuthInput, { grant: 'client_credentials' }>,
  provider: Provider,
  at: Path,
  findings: Findings,
): void {
  const dialect = dialectOf(provider.tokenUrl);
  if (dialect === 'entra' || dialect === 'like-entra') {
    new Linter(findings, dialect === 'like-entra').apply(APPLICATION_TENANT_ROWS, auth.tenant, [...at, 'tenant']);
  }
  auth.scopes?.forEach((scope, index) => {
    lintApplicationScope(scope, provider, [...at, 'scopes', index], findings);
  });
}

function lintServiceAccount(
  { path, value }: Entry<AccountInput>,
  scopes: readonly string[] | undefined,
  provider: Provider,
  findings: Findings,
): void {
  const anywhere = new Linter(findings, false);
  const at = [...path, 'auth'];
  scopes?.forEach((scope, index) => anywhere.apply(GOOGLE_SCOPE_ROWS, scope, [...at, 'scopes', index]));
  anywhere.apply(DELEGATION_MAILBOX_ROWS, value.mailbox, [...path, 'mailbox']);
  if (dialectOf(provider.tokenUrl) === 'entra') findings.problem([...at, 'grant'], "service_account is Google's: use client_credentials");
  if (value.smtpUser !== undefined && value.smtpUser !== value.mailbox) {
    findings.notice([...path, 'smtpUser'], 'differs from mailbox: the token is for the mailbox, and Google refuses it for another user');
  }
}

/** Password sign-in is ending, or has ended, nearly everywhere. */
function lintPassword(password: string, provider: Provider, at: Path, findings: Findings): void {
  const anywhere = new Linter(findings, false);
  anywhere.apply(PASSWORD_ROWS, password, [...at, 'password']);
  anywhere.apply(PASSWORD_HOST_ROWS, provider.smtp.host, [...at, 'grant']);
}

const isScopeOfResource = (scope: string): boolean =>
  /^https:\/\/outlook\.office(365)?\.(com|us)\/|^https:\/\/partner\.outlook\.cn\//.test(scope);

/** The resource to put before a bare name: that of the provider's own scopes, else Exchange Online's. */
function resourceOf(provider: Provider): string {
  const known = provider.scopes.find(isScopeOfResource) ?? 'https://outlook.office.com/';
  return known.replace(/[^/]*$/, '');
}

function lintDelegatedScopes(scopes: readonly string[], provider: Provider, at: Path, findings: Findings): void {
  const dialect = dialectOf(provider.tokenUrl);
  if (dialect === 'google') {
    scopes.forEach((scope, index) => new Linter(findings, false).apply(GOOGLE_SCOPE_ROWS, scope, [...at, index]));
  }
  if (dialect !== 'entra' && dialect !== 'like-entra') return;
  const linter = new Linter(findings, dialect === 'like-entra');
  scopes.forEach((scope, index) => {
    const fault = lintDelegatedScope(scope, resourceOf(provider));
    if (fault !== undefined) linter.tell(fault, [...at, index], fault.right?.(scope));
  });
  if (!scopes.includes('offline_access')) {
    findings.notice(at, 'lacks offline_access: no newer refresh token comes back, and the one at hand ends after 90 days');
  }
  if (!scopes.some((scope) => /\/(SMTP\.Send|\.default)$/.test(scope))) {
    findings.notice(at, `lacks ${resourceOf(provider)}SMTP.Send: mail cannot be submitted with these tokens`);
  }
}

function lintApplicationScope(scope: string, provider: Provider, at: Path, findings: Findings): void {
  const dialect = dialectOf(provider.tokenUrl);
  if (dialect !== 'entra' && dialect !== 'like-entra') return;
  const right = provider.applicationScopes.find((known) => known.endsWith('/.default') && known !== scope);
  new Linter(findings, dialect === 'like-entra').apply(
    ENTRA_APPLICATION_SCOPE_ROWS,
    scope,
    at,
    right ?? 'https://outlook.office365.com/.default',
  );
}

/** Look at a client's password. */
export function lintClient({ path, value }: Entry<ClientInput>, findings: Findings): void {
  new Linter(findings, false).apply(PASSWORD_ROWS, value.password, [...path, 'password']);
}

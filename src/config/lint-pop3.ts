/**
 * Looks at how POP3 is to be served for an account: whether the provider has the servers for it, and the tokens the permissions.
 *
 * @packageDocumentation
 */
import type { Pop3Mode, Provider } from '../core/account.ts';
import type { Findings, Path } from './findings.ts';
import type { AccountInput, AuthInput } from './schema-accounts.ts';
import type { Entry } from './sections.ts';

/** Only where there is a listener for POP3. */
export function lintPop3({ path, value }: Entry<AccountInput>, provider: Provider, findings: Findings): void {
  const at = [...path, 'pop3'];
  const { pop3: mode = 'auto' } = value;
  if (mode === 'imap' && provider.imap === undefined) {
    findings.problem(at, `provider ${provider.name} has no IMAP server: set imap of the provider, or pop3: proxy`);
  } else if (mode === 'proxy' && provider.pop3 === undefined) {
    findings.problem(at, `provider ${provider.name} has no POP3 server: set pop3 of the provider, or pop3: imap`);
  } else if (provider.imap === undefined && provider.pop3 === undefined) {
    findings.notice(path, `provider ${provider.name} has neither a POP3 nor an IMAP server: its mail cannot be read with POP3`);
  } else lintScopes(value.auth, mode, provider, [...path, 'auth', 'scopes'], findings);
}

/** What the mailbox is used with upstream. */
function protocolsFor(mode: Pop3Mode, { imap, pop3 }: Provider): readonly ('imap' | 'pop3')[] {
  if (mode !== 'auto') return [mode === 'imap' ? 'imap' : 'pop3'];
  if (imap === undefined) return ['pop3'];
  return pop3 === undefined ? ['imap'] : ['imap', 'pop3'];
}

const RIGHTS = { imap: 'IMAP.AccessAsUser.All', pop3: 'POP.AccessAsUser.All' } as const;

/** Microsoft has a scope for each protocol. Those of the provider are chosen to fit; those that somebody wrote down may not. */
function lintScopes(auth: AuthInput, mode: Pop3Mode, provider: Provider, at: Path, findings: Findings): void {
  if (auth.grant !== 'refresh_token' || auth.scopes === undefined || !/\/oauth2\/v2\.0\//.test(provider.tokenUrl)) return;
  const { scopes } = auth;
  if (scopes.some((scope) => scope.endsWith('/.default'))) return;
  const resource = scopes.find((scope) => scope.endsWith('/SMTP.Send'))?.replace(/[^/]*$/, '') ?? 'https://outlook.office.com/';
  const missing = protocolsFor(mode, provider).filter((protocol) => !scopes.some((scope) => scope.endsWith(`/${RIGHTS[protocol]}`)));
  for (const protocol of missing)
    findings.notice(at, `lacks ${resource}${RIGHTS[protocol]}: ${consequence(protocol, mode, missing.length)}`);
}

function consequence(protocol: 'imap' | 'pop3', mode: Pop3Mode, missing: number): string {
  if (mode !== 'auto' || missing > 1) return `mail cannot be read with POP3 (pop3: ${mode}) with these tokens`;
  return protocol === 'imap'
    ? 'POP3 cannot be served from IMAP where the provider refuses it (pop3: proxy if that is meant)'
    : 'POP3 is served from IMAP (pop3: imap if that is meant)';
}

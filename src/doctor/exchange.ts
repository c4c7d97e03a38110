/**
 * What is known of tokens for Exchange Online: resources, permissions, and whether a provider is one of Microsoft's.
 *
 * Pure.
 *
 * Source: Microsoft, "Authenticate an IMAP, POP or SMTP connection using OAuth"; the resources of the national clouds are those of config/presets.ts.
 *
 * @packageDocumentation
 */
import type { Account, Provider } from '../core/account.ts';
import type { MailProtocol } from './examination.ts';
import type { TokenClaims } from './token-claims.ts';

const RESOURCE = /^https:\/\/(outlook\.office(365)?\.(com|us)|outlook-dod\.office365\.us|ps\.outlook\.com|partner\.outlook\.cn)(\/|$)/i;
/** Office 365 Exchange Online by its application id, as tokens of version 2.0 may name it. */
const RESOURCE_ID = '00000002-0000-0ff1-ce00-000000000000';

/** By protocol: what a person's token must hold, and an application's. */
export const PERMISSIONS: Readonly<Record<MailProtocol, { readonly delegated: string; readonly application: string }>> = {
  smtp: { delegated: 'SMTP.Send', application: 'SMTP.SendAsApp' },
  imap: { delegated: 'IMAP.AccessAsUser.All', application: 'IMAP.AccessAsApp' },
  pop3: { delegated: 'POP.AccessAsUser.All', application: 'POP.AccessAsApp' },
};

/** True where the provider's mail servers are Exchange, or resemble it (sandbox, labs). */
export function isExchange({ scopes, applicationScopes }: Provider): boolean {
  return [...scopes, ...applicationScopes].some((scope) => RESOURCE.test(scope));
}

export const isExchangeAudience = (audience: string): boolean => RESOURCE.test(audience) || audience.toLowerCase() === RESOURCE_ID;

/** An application's own token names no scopes. */
export const isApplicationToken = ({ scopes, user }: TokenClaims): boolean => scopes.length === 0 && user === undefined;

/**
 * True where the token may be used with the protocol; where the token itself does not say, what was asked for counts. An application without any role
 * may still submit, by a role in Exchange (RBAC for Applications), which exists for SMTP only.
 */
export function includes(protocol: MailProtocol, account: Account, claims: TokenClaims | undefined): boolean {
  const { delegated, application } = PERMISSIONS[protocol];
  if (claims !== undefined && isExchange(account.provider)) {
    if (isApplicationToken(claims)) return claims.roles.includes(application) || (claims.roles.length === 0 && protocol === 'smtp');
    return claims.scopes.some((scope) => scope.toLowerCase() === delegated.toLowerCase());
  }
  return isAskedFor(protocol, requestedScopes(account));
}

/** What the account asks for. */
export function requestedScopes({ auth, provider }: Account): readonly string[] {
  const own = 'scopes' in auth ? auth.scopes : undefined;
  return own ?? (auth.grant === 'client_credentials' ? provider.applicationScopes : provider.scopes);
}

const WORDS: Readonly<Record<MailProtocol, RegExp>> = { smtp: /smtp/i, imap: /imap/i, pop3: /pop/i };

/** Scopes that name protocols are for those; where none does, as at Google, one scope is for all. */
function isAskedFor(protocol: MailProtocol, scopes: readonly string[]): boolean {
  const names = scopes.map((scope) => scope.replace(/^https:\/\/[^/]+/, ''));
  const isNamed = names.some((name) => Object.values(WORDS).some((word) => word.test(name)));
  return !isNamed || names.some((name) => WORDS[protocol].test(name));
}

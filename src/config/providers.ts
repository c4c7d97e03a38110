/**
 * From what is known of a provider to a {@link Provider} with everything in place.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import type { Endpoint, Provider, UpstreamLimits } from '../core/account.ts';
import { defined } from './defined.ts';
import { EXCHANGE_LIMITS, PRESETS, type Protocol, type ProviderFields, type ScopesByProtocol } from './presets.ts';

/**
 * A built-in provider, ready for use.
 *
 * @param tenant - Not needed where the provider has one of its own (`sandbox`, `outlook`) or none.
 * @param served - What the mailbox is used with.
 * @throws RangeError for a name that is not built in.
 */
export function presetProvider(name: string, tenant?: string, served?: readonly Protocol[]): Provider {
  const fields = PRESETS.get(name);
  if (fields === undefined) throw new RangeError(`no built-in provider is named ${name}`);
  return completeProvider(name, fields, tenant, served);
}

/** What a provider cannot do without and does not have; the first of it. */
export function missingField(fields: ProviderFields): string | undefined {
  if (fields.tokenUrl === undefined) return 'tokenUrl';
  if (fields.smtp?.host === undefined) return 'smtp.host';
  return undefined;
}

/** True where a URL of the provider names the tenant. */
export function needsTenant(fields: ProviderFields): boolean {
  return [fields.authorizeUrl, fields.tokenUrl, fields.deviceUrl].some((url) => url?.includes('{tenant}') === true);
}

/**
 * Put everything in its place for one account.
 *
 * @param fields - With nothing missing (see {@link missingField}).
 * @param tenant - Letters, digits, dots and hyphens, so that it fits a URL as it is.
 * @param served - What the mailbox is used with; scopes of other protocols are not asked for.
 */
export function completeProvider(
  name: string,
  fields: ProviderFields,
  tenant: string | undefined,
  served: readonly Protocol[] = ['smtp'],
): Provider {
  const put = (url: string | undefined): string | undefined => url?.replaceAll('{tenant}', tenant ?? fields.defaultTenant ?? '');
  const urls = { authorizeUrl: put(fields.authorizeUrl), deviceUrl: put(fields.deviceUrl) };
  return {
    name,
    ...defined(urls),
    ...defined({
      authorizeParameters: fields.authorizeParameters,
      redirectUri: fields.redirectUri,
      identityScopes: fields.identityScopes,
    }),
    tokenUrl: put(fields.tokenUrl) ?? '',
    scopes: chooseScopes(fields.scopes, served),
    applicationScopes: fields.applicationScopes ?? [],
    mechanism: fields.mechanism ?? 'XOAUTH2',
    smtp: endpoint(fields.smtp, 'smtp') ?? { host: '', port: 587, tls: 'starttls' },
    ...defined({ imap: endpoint(fields.imap, 'imap'), pop3: endpoint(fields.pop3, 'pop3'), ca: fields.ca }),
    limits: completeLimits(fields.limits),
  };
}

function chooseScopes(scopes: ProviderFields['scopes'], served: readonly Protocol[]): readonly string[] {
  if (scopes === undefined) return [];
  if (isList(scopes)) return scopes;
  return [...new Set([...served.map((protocol) => scopes[protocol]), ...scopes.always])];
}

const isList = (scopes: ScopesByProtocol | readonly string[]): scopes is readonly string[] => Array.isArray(scopes);

const DEFAULTS: Readonly<Record<Protocol, Pick<Endpoint, 'tls'> & { readonly starttls: number; readonly implicit: number }>> = {
  smtp: { tls: 'starttls', starttls: 587, implicit: 465 },
  imap: { tls: 'implicit', starttls: 143, implicit: 993 },
  pop3: { tls: 'implicit', starttls: 110, implicit: 995 },
};

function endpoint(given: Partial<Endpoint> | undefined, protocol: Protocol): Endpoint | undefined {
  if (given?.host === undefined) return undefined;
  const tls = given.tls ?? DEFAULTS[protocol].tls;
  return { host: given.host, port: given.port ?? DEFAULTS[protocol][tls], tls };
}

const completeLimits = (limits: Partial<UpstreamLimits> | undefined): UpstreamLimits => ({ ...EXCHANGE_LIMITS, ...limits });

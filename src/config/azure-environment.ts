/**
 * What Azure Kubernetes Service tells a pod with a workload identity through environment variables. They are defaults: what the configuration says wins.
 *
 * Pure.
 *
 * Source: Microsoft's page on workload identity (the mutating webhook sets `AZURE_…`).
 *
 * @packageDocumentation
 */
import type { Provider } from '../core/account.ts';
import { defined } from './defined.ts';
import type { Findings } from './findings.ts';
import { checkUrl } from './urls.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** An empty variable counts as not set. */
const valueOf = (env: Environment, name: string): string | undefined => (env[name] === '' ? undefined : env[name]);

/** Who the pod is. */
export function azureIdentity(env: Environment): { readonly clientId?: string; readonly tenant?: string; readonly tokenFile?: string } {
  return defined({
    clientId: valueOf(env, 'AZURE_CLIENT_ID'),
    tenant: valueOf(env, 'AZURE_TENANT_ID'),
    tokenFile: valueOf(env, 'AZURE_FEDERATED_TOKEN_FILE'),
  });
}

/**
 * The provider with the token URL at the host that `AZURE_AUTHORITY_HOST` names: that of the cloud which the pod runs in.
 *
 * @param isBuiltIn - A provider of the configuration says itself where its tokens come from.
 */
export function atAuthorityHost(provider: Provider, isBuiltIn: boolean, env: Environment, findings: Findings): Provider {
  const authority = valueOf(env, 'AZURE_AUTHORITY_HOST');
  if (authority === undefined || !isBuiltIn) return provider;
  const before = findings.problems.length;
  checkUrl(authority, ['AZURE_AUTHORITY_HOST'], findings);
  if (findings.problems.length > before) return provider;
  const known = new URL(provider.tokenUrl);
  const { origin } = new URL(authority);
  if (known.origin === origin) return provider;
  const text = `tokens come from ${origin}, not from ${known.origin} as with provider ${provider.name}: check that the provider is of that cloud`;
  findings.notice(['AZURE_AUTHORITY_HOST'], text);
  return { ...provider, tokenUrl: origin + known.pathname + known.search };
}

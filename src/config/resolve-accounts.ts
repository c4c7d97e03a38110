/**
 * From providers and accounts as written to accounts ready for use; checks what one value alone cannot tell: URLs, references, keys that
 * need each other.
 *
 * @packageDocumentation
 */
import type { Account, Provider } from '../core/account.ts';
import { atAuthorityHost } from './azure-environment.ts';
import { defined } from './defined.ts';
import type { Findings } from './findings.ts';
import { lintAccount, lintProvider } from './lint.ts';
import type { ProviderFields, Protocol } from './presets.ts';
import { ProviderBook } from './provider-chain.ts';
import { completeProvider, missingField, needsTenant } from './providers.ts';
import { asksTokenUrl, buildAuth, tenantOf } from './resolve-auth.ts';
import type { AccountInput } from './schema-accounts.ts';
import type { Entry, Sections } from './sections.ts';
import { nearest } from './suggest.ts';
import type { Surroundings } from './surroundings.ts';
import { checkUrl } from './urls.ts';

/** Read and check all configured providers. */
export async function openProviderBook(sections: Sections, { files, findings }: Surroundings): Promise<ProviderBook> {
  const book = new ProviderBook(findings);
  for (const [name, entry] of sections.providers) {
    for (const key of ['authorizeUrl', 'tokenUrl', 'deviceUrl', 'redirectUri'] as const) {
      const url = entry.value[key];
      if (url !== undefined) checkUrl(url, [...entry.path, key], findings);
    }
    await book.add(name, entry, files);
  }
  for (const [name, entry] of sections.providers) {
    const fields = book.fieldsOf(name);
    if (fields === undefined) continue;
    const missing = missingField(fields);
    if (missing !== undefined) {
      const isTold = sections.has(...entry.path, ...missing.split('.'));
      if (!isTold) findings.problem(entry.path, `needs ${missing}, or extends: one of the built-in providers`);
    } else lintProvider(entry, completeProvider(name, fields, 'tenant'), findings);
  }
  return book;
}

/** All accounts that can be used; problems of the others are in the findings. */
export async function buildAccounts(sections: Sections, book: ProviderBook, surroundings: Surroundings): Promise<Account[]> {
  checkUnique(sections.accounts, 'account', surroundings.findings);
  const accounts: Account[] = [];
  for (const entry of sections.accounts) {
    const account = await buildAccount(entry, sections, book, surroundings);
    if (account !== undefined) accounts.push(account);
  }
  return accounts;
}

/** A name is used once. */
export function checkUnique(entries: readonly Entry<{ readonly name: string }>[], what: string, findings: Findings): void {
  const seen = new Set<string>();
  for (const { path, value } of entries) {
    // Names become file names; some file systems overlook case.
    const name = value.name.toLowerCase();
    if (seen.has(name)) findings.problem([...path, 'name'], `there is another ${what} named ${value.name}`);
    seen.add(name);
  }
}

async function buildAccount(
  entry: Entry<AccountInput>,
  sections: Sections,
  book: ProviderBook,
  surroundings: Surroundings,
): Promise<Account | undefined> {
  const { path, value } = entry;
  const fields = await findFields(entry, sections, book, surroundings);
  if (fields === undefined) return undefined;
  const tenant = tenantOf(value.auth, surroundings);
  if (asksTokenUrl(value.auth) && tenant === undefined && needsTenant(fields) && fields.defaultTenant === undefined) {
    surroundings.findings.missing([...path, 'auth', 'tenant'], `provider ${value.provider} needs it`);
  }
  const provider = placeProvider(value, completeProvider(value.provider, fields, tenant, servedProtocols(sections)), book, surroundings);
  const auth = await buildAuth(value.auth, provider, [...path, 'auth'], surroundings);
  lintAccount(entry, provider, surroundings.findings);
  if (auth === undefined) return undefined;
  const { name, mailbox, smtpUser = mailbox, delivery = sections.delivery.mode } = value;
  return { name, provider, mailbox, smtpUser, auth, delivery };
}

/** In Kubernetes the platform says which cloud vouches for the pod. */
function placeProvider(
  { auth, provider: name }: AccountInput,
  provider: Provider,
  book: ProviderBook,
  { env, findings }: Surroundings,
): Provider {
  const isFederated = 'federatedTokenFile' in auth && auth.federatedTokenFile !== undefined;
  return isFederated ? atAuthorityHost(provider, book.pathOf(name) === undefined, env, findings) : provider;
}

async function findFields(
  { path, value }: Entry<AccountInput>,
  sections: Sections,
  book: ProviderBook,
  { files, findings, stateDir }: Surroundings,
): Promise<ProviderFields | undefined> {
  const names = book.names();
  if (!names.includes(value.provider)) {
    // A provider that is written down but has problems of its own is not also unknown.
    if (!sections.providerNames.includes(value.provider)) {
      findings.problem([...path, 'provider'], `there is no provider "${value.provider}"`, nearest(value.provider, names));
    }
    return undefined;
  }
  const fields = book.fieldsOf(value.provider);
  if (fields === undefined || missingField(fields) !== undefined) return undefined;
  if (fields.ca !== undefined || fields.stateCaFile === undefined) return fields;
  const ca = await files.read(`${stateDir}/${fields.stateCaFile}`, [...path, 'provider'], { isSecret: false, isOptional: true });
  return { ...fields, ...defined({ ca }) };
}

/** Accounts that rules of `fetch` name. */
export function checkFetchAccounts({ fetch, accountNames }: Sections, findings: Findings): void {
  for (const { path, value } of fetch) {
    if (accountNames.includes(value.account)) continue;
    findings.problem([...path, 'account'], `there is no account "${value.account}"`, nearest(value.account, accountNames));
  }
}

/** Submission always: a mailbox that only reads mail still sends test messages. The others as there are listeners for them. */
function servedProtocols({ imap, pop3 }: Sections): Protocol[] {
  return ['smtp', ...(imap.length > 0 ? (['imap'] as const) : []), ...(pop3.length > 0 ? (['pop3'] as const) : [])];
}

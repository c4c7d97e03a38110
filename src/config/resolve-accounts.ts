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
import { lintPop3 } from './lint-pop3.ts';
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
  checkParents(sections, book, findings);
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
  checkProviders(sections, book, surroundings.findings);
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

/** Of providers with other mistakes, whose chain nobody follows. */
function checkParents({ references, providers, providerNames }: Sections, book: ProviderBook, findings: Findings): void {
  const names = book.names();
  for (const { path, value } of references.providerParents) {
    const name = String(path.at(-2));
    if (providers.has(name) || names.includes(value) || providerNames.includes(value)) continue;
    const others = names.filter((known) => known !== name);
    findings.problem(path, `there is no provider "${value}"`, nearest(value, others));
  }
}

/** Of accounts with other mistakes, too. */
function checkProviders({ references, providerNames }: Sections, book: ProviderBook, findings: Findings): void {
  const names = book.names();
  for (const { path, value } of references.accountProviders) {
    // A provider that is written down but has problems of its own is not also unknown.
    if (names.includes(value) || providerNames.includes(value)) continue;
    findings.problem(path, `there is no provider "${value}"`, nearest(value, names));
  }
}

/** Permits whatever depends on the provider. */
const ANY_PROVIDER: Provider = completeProvider('any', { scopes: ['any'], applicationScopes: ['any'] }, undefined);

async function buildAccount(
  entry: Entry<AccountInput>,
  sections: Sections,
  book: ProviderBook,
  surroundings: Surroundings,
): Promise<Account | undefined> {
  const { path, value } = entry;
  const fields = await findFields(entry, book, surroundings);
  if (fields === undefined) {
    // What is told of the account itself need not wait until its provider is put right.
    await buildAuth(value.auth, ANY_PROVIDER, [...path, 'auth'], surroundings);
    return undefined;
  }
  const tenant = tenantOf(value.auth, surroundings);
  if (asksTokenUrl(value.auth) && tenant === undefined && needsTenant(fields) && fields.defaultTenant === undefined) {
    surroundings.findings.missing([...path, 'auth', 'tenant'], `provider ${value.provider} needs it`);
  }
  const provider = placeProvider(
    value,
    completeProvider(value.provider, fields, tenant, servedProtocols(sections, value)),
    book,
    surroundings,
  );
  const auth = await buildAuth(value.auth, provider, [...path, 'auth'], surroundings);
  lintAccount(entry, provider, surroundings.findings);
  if (sections.pop3.length > 0) lintPop3(entry, provider, surroundings.findings);
  if (value.auth.grant === 'refresh_token' && value.auth.refreshToken === undefined) {
    const message = `has no refreshToken: sign in with postern login ${value.name}; until then mail is deferred (TOKEN_MISSING)`;
    surroundings.findings.notice([...path, 'auth'], message, 'no-refresh-token');
  }
  if (auth === undefined) return undefined;
  const { name, mailbox, smtpUser = mailbox, delivery = sections.delivery.mode, pop3 } = value;
  return { name, provider, mailbox, smtpUser, auth, delivery, ...defined({ pop3 }) };
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
  book: ProviderBook,
  { files, stateDir }: Surroundings,
): Promise<ProviderFields | undefined> {
  if (!book.names().includes(value.provider)) return undefined;
  const fields = book.fieldsOf(value.provider);
  if (fields === undefined || missingField(fields) !== undefined) return undefined;
  if (fields.ca !== undefined || fields.stateCaFile === undefined) return fields;
  const ca = await files.read(`${stateDir}/${fields.stateCaFile}`, [...path, 'provider'], { isSecret: false, isOptional: true });
  return { ...fields, ...defined({ ca }) };
}

/** Accounts that rules of `fetch` name. */
export function checkFetchAccounts({ references, accountNames }: Sections, findings: Findings): void {
  for (const { path, value } of references.fetchAccounts) {
    if (accountNames.includes(value)) continue;
    findings.problem(path, `there is no account "${value}"`, nearest(value, accountNames));
  }
}

/** Submission always: a mailbox that only reads mail still sends test messages. The others as there are listeners for them, and IMAP for what is fetched; POP3 may be served from IMAP. */
function servedProtocols({ imap, pop3, fetch }: Sections, { name, pop3: mode = 'auto' }: AccountInput): Protocol[] {
  const isFetched = fetch.some(({ value }) => value.account === name);
  return [
    'smtp',
    ...(isFetched || imap.length > 0 || (pop3.length > 0 && mode !== 'proxy') ? (['imap'] as const) : []),
    ...(pop3.length > 0 && mode !== 'imap' ? (['pop3'] as const) : []),
  ];
}

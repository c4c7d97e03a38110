/**
 * From clients as written to clients ready for use; checks what one value alone cannot tell: who they are, whom they submit through.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import type { Client, ClientSecret } from '../core/client.ts';
import { type IpNetwork, parseIpNetwork } from '../core/ip-network.ts';
import { isFernetToken } from '../platform/fernet.ts';
import { isPasswordHash } from '../platform/password.ts';
import { isLoopbackHost, networkFault } from './addresses.ts';
import { SANDBOX_ACCOUNT } from './config.ts';
import { defined } from './defined.ts';
import type { Findings, Path } from './findings.ts';
import { lintClient } from './lint.ts';
import { checkUnique } from './resolve-accounts.ts';
import type { ClientInput } from './schema.ts';
import type { Entry, Sections } from './sections.ts';
import { nearest } from './suggest.ts';

/** All clients that can be used; problems of the others are in the findings. */
export function buildClients(sections: Sections, accounts: readonly Account[], findings: Findings): Client[] {
  checkUnique(sections.clients, 'client', findings);
  checkUsernames(sections, findings);
  checkNetworks(sections, findings);
  checkAccounts(sections, findings);
  if (sections.clientCount === 0) findings.notice(['clients'], 'no client is configured: nobody may submit');
  return sections.clients.flatMap((entry) => buildClient(entry, sections, accounts, findings) ?? []);
}

function buildClient(entry: Entry<ClientInput>, sections: Sections, accounts: readonly Account[], findings: Findings): Client | undefined {
  const { name, networks = [], onOtherSender, rate } = entry.value;
  lintClient(entry, findings);
  const login = buildLogin(entry, sections, findings);
  const account = findAccount(entry, sections, findings);
  if (account === undefined) return undefined;
  const known = accounts.find((candidate) => candidate.name === account);
  const senders = entry.value.senders ?? defaultSenders(known);
  return {
    name,
    account,
    ...defined({ login, messagesPerMinute: rate?.messagesPerMinute, mailboxSessions: entry.value.mailboxSessions }),
    networks,
    senders,
    // The sandbox's account is made at the start; it puts its mailbox in here, as it does with the senders.
    onOtherSender: onOtherSender === 'rewrite' ? { rewriteTo: known?.mailbox ?? '' } : 'refuse',
  };
}

function buildLogin({ path, value }: Entry<ClientInput>, { has }: Sections, findings: Findings): Client['login'] {
  const { username, password, passwordHash, imported } = value;
  if (password !== undefined && passwordHash !== undefined) {
    findings.problem([...path, 'passwordHash'], 'there is a password as well: keep one of the two');
  }
  if (imported !== undefined && (password !== undefined || passwordHash !== undefined)) {
    findings.problem([...path, 'imported'], 'there is a password as well: keep one of the two');
  }
  checkImported(imported, [...path, 'imported'], findings);
  const secret = secretOf(value);
  if (username === undefined) {
    if (secret !== undefined) findings.missing([...path, 'username'], 'the client has a password');
    else if (!has(...path, 'username') && !has(...path, 'networks')) {
      findings.problem(path, 'needs a username with a password, or networks');
    }
    return undefined;
  }
  if (secret === undefined) {
    if (!has(...path, 'passwordHash') && !has(...path, 'imported'))
      findings.missing([...path, 'password'], 'the client has a username (or give passwordHash)');
    return undefined;
  }
  if (secret.kind === 'hash' && !isPasswordHash(secret.hash)) {
    findings.problem([...path, 'passwordHash'], 'is not what postern hash-password prints');
  }
  return { username, secret };
}

function secretOf({ password, passwordHash: hash, imported }: ClientInput): ClientSecret | undefined {
  if (password !== undefined) return { kind: 'password', password };
  if (hash !== undefined) return { kind: 'hash', hash };
  if (imported === undefined) return undefined;
  const { salt, iterations, refreshToken, accessToken } = imported;
  return { kind: 'sealed', sealed: { salt, iterations, ...defined({ refreshToken, accessToken }) } };
}

/** A token that is none would refuse every password, and nobody could tell why. */
function checkImported(imported: ClientInput['imported'], at: Path, findings: Findings): void {
  for (const key of ['refreshToken', 'accessToken'] as const) {
    const token = imported?.[key];
    if (token !== undefined && !isFernetToken(token)) findings.problem([...at, key], 'is not an encrypted token of email-oauth2-proxy');
  }
}

/** The account named, the only one, or the sandbox's where there is none. */
function findAccount({ path, value }: Entry<ClientInput>, sections: Sections, findings: Findings): string | undefined {
  const known = knownAccounts(sections);
  if (value.account !== undefined) return known.includes(value.account) ? value.account : undefined;
  if (known.length > 1) findings.missing([...path, 'account'], 'there are several accounts');
  return known.length === 1 ? known[0] : undefined;
}

const knownAccounts = ({ accountNames, has }: Sections): readonly string[] =>
  accountNames.length === 0 && !hasEntries(has) ? [SANDBOX_ACCOUNT] : accountNames;

/** Of clients with other mistakes, too. */
function checkAccounts(sections: Sections, findings: Findings): void {
  const known = knownAccounts(sections);
  for (const { path, value } of sections.references.clientAccounts) {
    if (!known.includes(value)) findings.problem(path, `there is no account "${value}"`, nearest(value, known));
  }
}

/** True where an account is written down, be it without a name. */
const hasEntries = (has: Sections['has']): boolean => has('accounts', 0);

function defaultSenders(account: Account | undefined): string[] {
  return account === undefined ? [] : [...new Set([account.mailbox, account.smtpUser])];
}

/** The directory of clients compares user names exactly; so does this. */
function checkUsernames({ clients }: Sections, findings: Findings): void {
  const seen = new Map<string, string>();
  for (const { path, value } of clients) {
    if (value.username === undefined) continue;
    const owner = seen.get(value.username);
    if (owner !== undefined) findings.problem([...path, 'username'], `client ${owner} has the same user name`);
    seen.set(value.username, value.name);
  }
}

function checkNetworks({ clients, smtp }: Sections, findings: Findings): void {
  const isExposed = smtp.some(({ value }) => !isLoopbackHost(value.host));
  const seen = new Map<string, string>();
  for (const { path, value } of clients) {
    for (const [index, text] of (value.networks ?? []).entries()) {
      const at = [...path, 'networks', index];
      const fault = networkFault(text);
      if (fault !== undefined) findings.problem(at, fault.message, fault.suggestion);
      const network = parseIpNetwork(text);
      if (fault !== undefined || network === undefined) continue;
      const owner = seen.get(keyOf(network));
      if (owner !== undefined) findings.problem(at, owner === value.name ? 'stands here twice' : `client ${owner} has the same network`);
      seen.set(keyOf(network), value.name);
      if (network.prefixLength === 0 && isExposed) {
        findings.problem(at, 'lets everybody submit without a password: refusing to be an open relay; name the networks');
      }
    }
  }
}

const keyOf = ({ family, bits, prefixLength }: IpNetwork): string => `${family}/${bits}/${prefixLength}`;

/**
 * From rules of `fetch` as written to rules that can be carried out.
 *
 * @packageDocumentation
 */
import type { Account } from '../core/account.ts';
import { seconds } from '../core/clock.ts';
import type { AfterFetch, FetchFilter, FetchRule, SinkSettings } from '../core/fetch-rule.ts';
import { isLoopbackHost } from './addresses.ts';
import { readCaFile } from './ca-file.ts';
import { defined } from './defined.ts';
import type { Findings, Path } from './findings.ts';
import type { FetchInput } from './schema-fetch.ts';
import { findProgram } from './programs.ts';
import type { Sections } from './sections.ts';
import type { Surroundings } from './surroundings.ts';
import { checkUrl } from './urls.ts';

const DEFAULT_TIMEOUT = seconds(60);
/** A shorter secret could be guessed from one signed request. */
const SHORTEST_SECRET = 16;
const LONGEST_NAME = 64;

type Target = FetchInput['to'];
type Option = 'recipient' | 'sender' | 'tls' | 'caFile' | 'secret' | 'format' | 'timeout';

const OPTIONS: Readonly<Record<SinkSettings['kind'], readonly Option[]>> = {
  maildir: [],
  directory: [],
  lmtp: ['recipient', 'sender', 'tls', 'caFile'],
  smtp: ['recipient', 'sender', 'tls', 'caFile'],
  webhook: ['caFile', 'secret', 'format', 'timeout'],
  command: ['timeout'],
};
const ALL_OPTIONS: readonly Option[] = ['recipient', 'sender', 'tls', 'caFile', 'secret', 'format', 'timeout'];

/** Rules whose account is wrong, which is told elsewhere, are left out. */
export async function buildFetchRules(
  { fetch }: Sections,
  accounts: readonly Account[],
  surroundings: Pick<Surroundings, 'files' | 'findings' | 'env'>,
): Promise<FetchRule[]> {
  const { findings } = surroundings;
  const names = new Set<string>();
  const rules: FetchRule[] = [];
  for (const { path, value } of fetch) {
    const name = value.name ?? derivedName(value);
    // The file system behind state.dir may not tell upper and lower case apart.
    if (names.has(name.toLowerCase())) {
      findings.problem(value.name === undefined ? path : [...path, 'name'], `another rule is called ${name}: give each a name`);
    }
    names.add(name.toLowerCase());
    const account = accounts.find((one) => one.name === value.account);
    if (account === undefined) continue;
    if (account.provider.imap === undefined) {
      findings.problem([...path, 'account'], `provider ${account.provider.name} has no IMAP server: name it in providers.NAME.imap`);
    }
    const sink = await buildSink(value.to, account, [...path, 'to'], surroundings);
    if (sink !== undefined) rules.push({ name, account: account.name, sink, ...plainParts(value) });
  }
  return rules;
}

function plainParts({ mailbox, mode, interval, from, filter, then, tries }: FetchInput): Omit<FetchRule, 'name' | 'account' | 'sink'> {
  const { unseen = false, ...others } = filter ?? {};
  const asked: FetchFilter = { isUnseen: unseen, ...defined(others) };
  return { mailbox, mode, interval, start: from, filter: asked, after: readAfter(then), tries };
}

function readAfter(text: string): AfterFetch {
  if (text.startsWith('move:')) return { kind: 'move', mailbox: text.slice('move:'.length) };
  return { kind: text as 'keep' | 'seen' | 'delete' };
}

/** `INBOX/Invoices & more` of `billing` → `billing-INBOX-Invoices-more`. */
function derivedName({ account, mailbox }: FetchInput): string {
  const tail = mailbox.replaceAll(/[^A-Za-z0-9._]+/g, '-').replaceAll(/^-+|-+$/g, '');
  return `${account}-${tail === '' ? 'mailbox' : tail}`.slice(0, LONGEST_NAME);
}

async function buildSink(
  to: Target,
  account: Account,
  path: Path,
  { files, findings, env }: Pick<Surroundings, 'files' | 'findings' | 'env'>,
): Promise<SinkSettings | undefined> {
  const kind = (Object.keys(OPTIONS) as SinkSettings['kind'][]).find((one) => to[one] !== undefined);
  if (kind === undefined) return undefined;
  for (const option of ALL_OPTIONS) {
    if (to[option] !== undefined && !OPTIONS[kind].includes(option)) findings.problem([...path, option], `does not go with ${kind}`);
  }
  const ca = to.caFile === undefined ? undefined : await readCaFile(to.caFile, [...path, 'caFile'], files, findings);
  switch (kind) {
    case 'maildir':
    case 'directory':
      return { kind, path: files.absolute(to[kind] ?? '') };
    case 'lmtp':
    case 'smtp':
      return buildServer(kind, to, ca, account, path, findings);
    case 'webhook':
      return buildWebhook(to, ca, path, findings);
    case 'command':
      return buildCommand(to, path, { files, findings, env });
    default:
      return kind satisfies never;
  }
}

async function buildCommand(
  { command = [], timeout = DEFAULT_TIMEOUT }: Target,
  path: Path,
  { files, findings, env }: Pick<Surroundings, 'files' | 'findings' | 'env'>,
): Promise<SinkSettings> {
  const [program = '', ...args] = command;
  const fault = await findProgram(program, files.folder, env['PATH']);
  if (fault !== undefined) findings.problem([...path, 'command', 0], fault);
  return { kind: 'command', argv: [program, ...args], directory: files.folder, timeoutMs: timeout };
}

function buildServer(
  kind: 'lmtp' | 'smtp',
  to: Target,
  ca: string | undefined,
  account: Account,
  path: Path,
  findings: Findings,
): SinkSettings | undefined {
  const written = to[kind] ?? '';
  const [, bracketed, plain, digits] = /^(?:\[([0-9A-Fa-f:.]+)\]|([^\s:[\]/]+)):(\d{1,5})$/.exec(written) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port < 1 || port > 65_535) {
    findings.problem([...path, kind], 'must be host:port, such as localhost:24 or [::1]:24');
    return undefined;
  }
  const tls = to.tls ?? (isLoopbackHost(host) ? 'none' : 'starttls');
  if (tls === 'none' && !isLoopbackHost(host)) {
    findings.notice([...path, 'tls'], `mail goes to ${host} in clear text: use starttls or implicit unless the network is trusted`);
  }
  const [first = account.mailbox, ...others] = [to.recipient ?? []].flat();
  const recipients = [first, ...others] as const;
  return { kind, host, port, to: recipients, tls, ...defined({ from: to.sender, ca }) };
}

function buildWebhook(
  { webhook: url = '', secret, format = 'rfc822', timeout = DEFAULT_TIMEOUT }: Target,
  ca: string | undefined,
  path: Path,
  findings: Findings,
) {
  // {tenant} is filled in elsewhere, not here.
  if (/[{}]/.test(url)) findings.problem([...path, 'webhook'], 'holds a placeholder: put the real URL there');
  else checkUrl(url, [...path, 'webhook'], findings);
  if (secret !== undefined && secret.length < SHORTEST_SECRET) {
    findings.notice([...path, 'secret'], `is short: use ${SHORTEST_SECRET} characters or more (openssl rand -hex 32)`);
  }
  return { kind: 'webhook', url, format, timeoutMs: timeout, ...defined({ secret, ca }) } as const;
}

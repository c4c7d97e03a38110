/**
 * Reads the configuration: a YAML file, or the environment shorthand. Tells all problems at once, each with its line.
 *
 * @packageDocumentation
 */
import { access } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import { type Octets, octets } from '../core/octets.ts';
import { systemClock } from '../platform/system-clock.ts';
import type { Config, LoadResult } from './config.ts';
import { isShorthand, readShorthand } from './environment.ts';
import { ConfigFiles } from './files.ts';
import { Findings } from './findings.ts';
import { EXCHANGE_LIMITS, PRESETS } from './presets.ts';
import { type Resolved, resolveReferences } from './references.ts';
import { buildAdmin } from './resolve-admin.ts';
import { buildAlerts } from './resolve-alerts.ts';
import { buildAccounts, checkFetchAccounts, openProviderBook } from './resolve-accounts.ts';
import { buildClients } from './resolve-clients.ts';
import { buildFetchRules } from './resolve-fetch.ts';
import { buildListeners } from './resolve-listeners.ts';
import { parseSections, type Sections } from './sections.ts';

/** Where to look. */
export interface LoadOptions {
  /** Else `POSTERN_CONFIG`, else config/postern.yaml. */
  readonly file?: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that relative paths given on the command line and in the environment start from. */
  readonly cwd: string;
  /** In place of what is in the file: to see whether it would do. */
  readonly text?: string;
  /** Certificates that have ended, or soon will, are pointed out. Default: the present. */
  readonly now?: EpochMs;
}

const DEFAULT_FILE = 'config/postern.yaml';

/** Load the configuration. Never throws for anything that a file or the environment may hold. */
export async function loadConfig(options: LoadOptions): Promise<LoadResult> {
  const { env, cwd } = options;
  const findings = new Findings();
  checkProcess(env, findings);
  const chosen = options.file ?? (env['POSTERN_CONFIG'] === '' ? undefined : env['POSTERN_CONFIG']);
  const file = resolve(cwd, chosen ?? DEFAULT_FILE);
  if (chosen === undefined && !(await exists(file))) {
    if (isShorthand(env)) return loadShorthand(options, findings);
    findings.problem([], `there is no ${DEFAULT_FILE} here: name a file with --config or POSTERN_CONFIG, or set POSTERN_MAILBOX`);
    return { ok: false, source: file, problems: findings.problems, files: [file] };
  }
  if (isShorthand(env)) findings.notice(['POSTERN_MAILBOX'], `is ignored, since there is a configuration file: ${file}`);
  return loadFile(file, options, findings);
}

/** Node would then accept any certificate, from anybody, everywhere. */
function checkProcess(env: LoadOptions['env'], findings: Findings): void {
  if (env['NODE_TLS_REJECT_UNAUTHORIZED'] === '0') {
    const message = 'is 0, which switches off all verification of certificates: unset it and name a private CA in providers.NAME.caFile';
    findings.problem(['NODE_TLS_REJECT_UNAUTHORIZED'], message);
  }
}

async function loadShorthand(options: LoadOptions, findings: Findings): Promise<LoadResult> {
  const { env, cwd } = options;
  const files = new ConfigFiles(cwd, findings);
  const { value, secrets, broken } = await readShorthand(env, files, findings);
  const resolved = { value, secrets, broken, hidden: secrets, hasOwnSecrets: false };
  return assemble('environment', resolved, files, options, findings);
}

async function loadFile(file: string, options: LoadOptions, findings: Findings): Promise<LoadResult> {
  const files = new ConfigFiles(dirname(file), findings);
  const inFile = await files.read(file, [], { isSecret: false });
  const text = options.text ?? inFile;
  // Loaded only here: the shorthand needs no YAML.
  const source = text === undefined ? undefined : (await import('./yaml-source.ts')).parseYaml(text, findings);
  if (source === undefined) return { ok: false, source: file, problems: findings.problems, files: [...files.paths] };
  findings.locateWith(source.locate);
  const resolved = await resolveReferences(source.value, { env: options.env, files }, findings);
  if (resolved.hasOwnSecrets) files.noticeReaders(file, []);
  return assemble(file, resolved, files, options, findings);
}

async function assemble(
  source: string,
  resolved: Resolved,
  files: ConfigFiles,
  { cwd, env, now = systemClock.now() }: LoadOptions,
  findings: Findings,
): Promise<LoadResult> {
  const sections = parseSections(resolved.value, resolved.broken, findings);
  const state = locateState(sections, files, cwd, env);
  const secrets = new Set(resolved.secrets);
  const surroundings = { files, findings, stateDir: state.dir, env, now, secrets };
  const book = await openProviderBook(sections, surroundings);
  const accounts = await buildAccounts(sections, book, surroundings);
  checkFetchAccounts(sections, findings);
  const clients = buildClients(sections, accounts, findings);
  const fetch = await buildFetchRules(sections, accounts, surroundings);
  const alerts = buildAlerts(sections, findings);
  const listeners = await buildListeners(sections, largestMessage(accounts), files, findings);
  const admin = await buildAdmin(sections, files, findings);
  const problems = findings.sorted(findings.problems, resolved.hidden);
  if (problems.length > 0) return { ok: false, source, problems, files: [...files.paths] };
  const { delivery, log } = sections;
  const config: Config = {
    source,
    listeners,
    ...(admin === undefined ? {} : { admin }),
    keepsSubjects: sections.admin?.value.subjects ?? false,
    state,
    accounts,
    clients,
    providers: [...new Set([...sections.providers.keys(), ...PRESETS.keys()])],
    fetch,
    delivery,
    alerts,
    log,
    secrets: [...secrets],
    files: [...files.paths],
  };
  return { ok: true, config, notices: findings.sorted(findings.notices, resolved.hidden) };
}

/** The environment wins, so that a container image can say where its volume is, and a secret where it is mounted. */
function locateState({ state }: Sections, files: ConfigFiles, cwd: string, env: LoadOptions['env']): Config['state'] {
  const fromEnvironment = (name: string): string | undefined => {
    const value = env[name];
    return value === undefined || value === '' ? undefined : resolve(cwd, value);
  };
  const dir = fromEnvironment('POSTERN_STATE_DIR') ?? files.absolute(state.dir ?? 'var');
  const written = state.keyFile === undefined ? join(dir, 'master.key') : files.absolute(state.keyFile);
  return { dir, keyFile: fromEnvironment('POSTERN_KEY_FILE') ?? written };
}

/** What a listener accepts unless it says: no less than any account may send. */
function largestMessage(accounts: readonly Account[]): Octets {
  const sizes = accounts.map(({ provider }) => provider.limits.maxSize);
  return sizes.length === 0 ? EXCHANGE_LIMITS.maxSize : octets(Math.max(...sizes));
}

async function exists(file: string): Promise<boolean> {
  try {
    await access(file);
    return true;
  } catch {
    return false; // The answer to the question; if it is there and cannot be read, nobody named it.
  }
}

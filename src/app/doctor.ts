/**
 * `postern doctor`: gives the checks of src/doctor what they need, for one account after another.
 *
 * It may run beside a Postern that serves on the same state: tokens come from the same store, through the same manager, under the same lock, and what is
 * fetched is stored for both.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import type { Config, ConfigNotice } from '../config/config.ts';
import { describeFinding } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { TokenSource } from '../core/ports/token-source.ts';
import type { Finding, Outcome } from '../doctor/check.ts';
import { CHECKS } from '../doctor/checks.ts';
import { Examination, type MailProtocol, type Surroundings, type TokenBench } from '../doctor/examination.ts';
import { withNames } from '../core/remedy-names.ts';
import { inDoctor } from '../doctor/remedies.ts';
import type { Examined } from '../doctor/report.ts';
import { runChecks } from '../doctor/run-checks.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { dial } from '../platform/dial.ts';
import { systemClock } from '../platform/system-clock.ts';
import { ehloName } from '../upstream/ehlo.ts';
import { probeSubmission } from '../upstream/probe.ts';
import { DEADLINES } from '../upstream/smtp-session.ts';
import { knownSecrets } from './account-secrets.ts';
import { inspectState } from './inspect.ts';
import { type OpenTokens, openTokens, SILENCE } from './open-tokens.ts';
import { refuseForeignState } from './state-owner.ts';

export { describeAccount, describeOutcome, describeVerdict, hasFailed, toJson } from '../doctor/report.ts';

/** Told as things happen. */
export interface DoctorAudience {
  account(account: Account): void;
  outcome(outcome: Outcome): void;
}

/** Examine `accounts`, which are of `config`. */
export async function examine(
  config: Config,
  notices: readonly ConfigNotice[],
  accounts: readonly Account[],
  audience: DoctorAudience,
): Promise<readonly Examined[]> {
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  const examined: Examined[] = [];
  for (const account of accounts) {
    audience.account(account);
    const bench = new Bench(config, account, scrubber);
    const edit = (finding: Finding): Finding => scrubbed(withNames(inDoctor(finding), account), scrubber);
    try {
      const examination = new Examination(surroundingsOf(config, notices, account, bench));
      const outcomes = await runChecks(CHECKS, examination, edit, (outcome) => audience.outcome(outcome));
      examined.push({ account: account.name, outcomes });
    } finally {
      await bench.close();
    }
  }
  return examined;
}

/** The last word before anything is shown: nothing that came from outside may carry a secret through. */
function scrubbed(finding: Finding, scrubber: Scrubber): Finding {
  const remedy = finding.remedy === undefined ? {} : { remedy: scrubber.scrub(finding.remedy) };
  return { ...finding, detail: scrubber.scrub(finding.detail), ...remedy };
}

function surroundingsOf(config: Config, notices: readonly ConfigNotice[], account: Account, bench: Bench): Surroundings {
  const { configNotices, secretNotices } = noticesFor(config, notices, account);
  const clients = config.clients.filter((client) => client.account === account.name);
  return {
    account,
    configNotices,
    secretNotices,
    secrets: () => knownSecrets(account.auth),
    senders: [...new Set([account.mailbox, ...clients.flatMap(({ senders }) => senders)])],
    // The fetch bridge will add its own.
    needed: new Set<MailProtocol>(['smtp', ...neededForReaders(config, account)]),
    async inspectState() {
      // The key file is judged where it is opened.
      const faults = await inspectState(config.state.dir);
      return { place: config.state.dir, faults: faults.map(({ message }) => message) };
    },
    openTokens: () => bench.open(),
    probeSmtp: (tokens) => bench.probeSmtp(tokens),
    dial,
    clock: systemClock,
  };
}

/** What applications that read mail need. With `pop3: auto` either will do. */
function neededForReaders({ listeners: { imap, pop3 } }: Config, { pop3: mode = 'auto' }: Account): readonly MailProtocol[] {
  const forPop3 = pop3.length === 0 || mode === 'auto' ? [] : [mode === 'imap' ? ('imap' as const) : ('pop3' as const)];
  return [...(imap.length === 0 ? [] : ['imap' as const]), ...forPop3];
}

/** Keys below `accounts[n].auth` that hold a secret or name a file with one. */
const SECRET_KEY = /^accounts\[\d+\]\.auth\.(clientSecret|refreshToken|password|federatedTokenFile|privateKey|keyFile|certificate(\.|$))/;

/** What concerns the account: its own entry, its provider's and its clients'. `''` is the file itself, which may hold secrets. */
function noticesFor(config: Config, notices: readonly ConfigNotice[], account: Account) {
  const configNotices: string[] = [];
  const secretNotices: string[] = [];
  const own = `accounts[${config.accounts.indexOf(account)}]`;
  const clients = config.clients.flatMap(({ account: name }, index) => (name === account.name ? [`clients[${index}]`] : []));
  const prefixes = [own, `providers.${account.provider.name}`, ...clients];
  for (const notice of notices) {
    const isOurs = prefixes.some((prefix) => isWithin(notice.path, prefix));
    // Check sender-domain says the same of every sender, check token that there is no refresh token in the store either.
    const isInitialDomain = notice.path === `${own}.mailbox` && account.mailbox.toLowerCase().endsWith('.onmicrosoft.com');
    const isToldElsewhere = isInitialDomain || notice.topic === 'no-refresh-token';
    if (notice.path === '' || (isOurs && SECRET_KEY.test(notice.path))) secretNotices.push(describeFinding(notice));
    else if (isOurs && !isToldElsewhere) configNotices.push(describeFinding(notice));
  }
  return { configNotices, secretNotices };
}

/** True for a key and the keys below it; `clients[1]` is not above `clients[12]`. */
const isWithin = (path: string, prefix: string): boolean =>
  path === prefix || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`);

/** What is opened for one account, and closed afterwards. */
class Bench {
  readonly #config: Config;
  readonly #account: Account;
  readonly #scrubber: Scrubber;
  #opened: OpenTokens | undefined;

  constructor(config: Config, account: Account, scrubber: Scrubber) {
    this.#config = config;
    this.#account = account;
    this.#scrubber = scrubber;
  }

  /** @throws ProblemError `STATE_KEY_UNUSABLE`, or `TOKEN_STORE_FAILED` where the relay could not read what is stored now. */
  async open(): Promise<TokenBench> {
    const { name } = this.#account;
    await refuseForeignState(this.#config.state.dir);
    const opened = await openTokens(this.#config, [this.#account], this.#scrubber);
    this.#opened = opened;
    const { manager, store } = opened;
    return {
      accessToken: (account) => manager.accessToken(account),
      replaceRefused: (account, refused) => manager.replaceRefused(account, refused),
      obtainedAt: () => manager.describe(name)?.obtainedAt,
      stored: () => store.load(name),
    };
  }

  probeSmtp(tokens: TokenSource | undefined) {
    const options = { dial, clock: systemClock, log: SILENCE, deadlines: DEADLINES, ehloName: ehloName(hostname()) };
    return tokens === undefined
      ? probeSubmission(this.#account, { ...options, tokens: NO_TOKENS }, 'connect')
      : probeSubmission(this.#account, { ...options, tokens }, 'sign-in');
  }

  async close(): Promise<void> {
    await this.#opened?.manager.close();
  }
}

const NO_TOKENS: TokenSource = {
  accessToken: () => Promise.reject(new Error('a probe without sign-in asks for no token')),
  replaceRefused: () => Promise.reject(new Error('a probe without sign-in asks for no token')),
};

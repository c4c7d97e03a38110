/**
 * `postern token show|refresh|set ACCOUNT`: facts about stored tokens, never the tokens.
 *
 * @packageDocumentation
 */
import { describeGrant, type GrantFacts, refreshNow, storeRefreshToken } from '../app/token-desk.ts';
import type { Config } from '../config/config.ts';
import type { Account } from '../core/account.ts';
import type { EpochMs } from '../core/clock.ts';
import { systemClock } from '../platform/system-clock.ts';
import { chooseAccounts } from './choose-accounts.ts';
import { type Command, EXIT } from './command.ts';
import { HiddenLines } from './hidden-lines.ts';
import { loadForCommand, printJson } from './load.ts';
import { describeTime, reportingProblems, withIsoTimes } from './report.ts';

/** One of the verbs. @returns The exit code. @throws ProblemError */
type Verb = (config: Config, account: Account, isJson: boolean) => Promise<number>;

const VERBS: Readonly<Record<string, Verb>> = { show, refresh, set };

export const token: Command = {
  async run(invocation) {
    const [name = '', accountName] = invocation.positionals;
    const verb = Object.hasOwn(VERBS, name) ? VERBS[name] : undefined;
    if (verb === undefined) {
      process.stderr.write(`postern: token ${name}: there is show, refresh and set\n`);
      return EXIT.usage;
    }
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const [account] = chooseAccounts(loaded.config, accountName) ?? [];
    if (account === undefined) return EXIT.usage;
    return reportingProblems(invocation.isJson, () => verb(loaded.config, account, invocation.isJson), account);
  },
};

async function show(config: Config, account: Account, isJson: boolean): Promise<number> {
  const facts = await describeGrant(config, account);
  if (isJson) printJson({ account: account.name, stored: facts === undefined ? null : withIsoTimes(facts) });
  else process.stdout.write(facts === undefined ? `Nothing is stored for ${account.name}.\n` : describe(facts, systemClock.now()));
  return EXIT.ok;
}

function describe(facts: GrantFacts, now: EpochMs): string {
  const { refreshToken, previousRefreshToken, seedDigest, accessToken } = facts;
  const since = refreshToken?.since === undefined ? '' : `, since ${describeTime(refreshToken.since, now)}`;
  const rows: readonly (readonly [string, string | undefined])[] = [
    ['stored', `${describeTime(facts.savedAt, now)}, generation ${facts.generation}`],
    ['refresh token', refreshToken === undefined ? 'none' : `sha256 ${refreshToken.digest}…${since}`],
    ['  before it', previousRefreshToken && `sha256 ${previousRefreshToken.digest}…`],
    ['  from seed', seedDigest && `digest ${seedDigest}…`],
    ['', facts.isOvertakenBySeed ? 'The configuration has another refresh token, which is used in place of this one.' : undefined],
    [
      'access token',
      accessToken === undefined ? 'none' : `sha256 ${accessToken.digest}…, ends ${describeTime(accessToken.expiresAt, now)}`,
    ],
    ['', accessToken?.isForTheseSettings === false ? 'It was obtained with other settings and is not used.' : undefined],
    ...(accessToken === undefined ? [] : claimRows(accessToken.claims)),
  ];
  return rows.map(([name, text]) => (text === undefined ? '' : `${name.padEnd(15)}${text}\n`)).join('');
}

type Claims = NonNullable<GrantFacts['accessToken']>['claims'];

function claimRows(claims: Claims): (readonly [string, string | undefined])[] {
  if (claims === undefined) return [['  content', 'opaque']];
  const list = (values: readonly string[]): string | undefined => (values.length === 0 ? undefined : values.join(' '));
  return [
    ['  aud', list(claims.audiences)],
    ['  scp', list(claims.scopes)],
    ['  roles', list(claims.roles)],
    ['  user', claims.user],
    ['  tid', claims.tenantId],
  ];
}

async function refresh(config: Config, account: Account, isJson: boolean): Promise<number> {
  const facts = await refreshNow(config, account);
  if (isJson) {
    printJson({ ok: true, account: account.name, refreshed: withIsoTimes(facts) });
    return EXIT.ok;
  }
  const { expiresAt, isRotated, claims } = facts;
  const rotation = account.auth.grant !== 'refresh_token' ? '' : isRotated ? ' and a new refresh token' : '; the refresh token stays';
  const rows = claimRows(claims).flatMap(([name, text]) => (text === undefined ? [] : [`${name.padEnd(15)}${text}\n`]));
  process.stdout.write(
    `${account.name}: a new access token came${rotation}. It ends ${describeTime(expiresAt, systemClock.now())}.\n${rows.join('')}`,
  );
  return EXIT.ok;
}

/** Standard input, not an argument: arguments can be read by every user of the machine. */
async function set(config: Config, account: Account, isJson: boolean): Promise<number> {
  if (process.stdin.isTTY) process.stderr.write('Paste the refresh token (it is not shown), then Enter: ');
  const lines = new HiddenLines();
  const text = (await lines.next())?.trim() ?? '';
  lines.close();
  if (process.stdin.isTTY) process.stderr.write('\n');
  if (!/^[\x21-\x7e]{8,}$/.test(text)) {
    process.stderr.write(
      'postern: what came on standard input is no refresh token: that is one word of at least 8 printable ASCII characters\n',
    );
    return EXIT.usage;
  }
  const facts = await storeRefreshToken(config, account, text);
  if (isJson) printJson({ ok: true, account: account.name, stored: withIsoTimes(facts) });
  else
    process.stdout.write(
      `Stored. A Postern that runs on this state tries it within seconds; to see what comes of it: postern token refresh ${account.name}\n`,
    );
  return EXIT.ok;
}

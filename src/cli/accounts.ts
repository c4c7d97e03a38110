/**
 * `postern accounts`: every account with what is stored for it.
 *
 * @packageDocumentation
 */
import { type AccountFacts, describeAccounts, type TokenReadiness } from '../app/token-desk.ts';
import type { EpochMs } from '../core/clock.ts';
import { systemClock } from '../platform/system-clock.ts';
import { type Command, EXIT } from './command.ts';
import { loadForCommand, printJson } from './load.ts';
import { describeProblem, describeTime, reportingProblems, withIsoTimes } from './report.ts';

export const accounts: Command = {
  async run(invocation) {
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { config } = loaded;
    return reportingProblems(invocation.isJson, async () => {
      const facts = await describeAccounts(config, config.accounts);
      if (invocation.isJson) printJson({ accounts: withIsoTimes(facts) });
      else process.stdout.write(describe(facts, systemClock.now()));
      const isWell = facts.every(({ token }) => token !== 'missing' && token !== 'unreadable');
      return isWell ? EXIT.ok : EXIT.problem;
    });
  },
};

const MEANINGS: Readonly<Record<TokenReadiness, string>> = {
  active: 'access token lives',
  renewable: 'new access token at the next use',
  configured: 'refresh token of the configuration, not used yet',
  missing: 'none: sign in with postern login',
  password: 'password, no token',
  unreadable: 'cannot be read',
};

function describe(facts: readonly AccountFacts[], now: EpochMs): string {
  if (facts.length === 0) return 'No account is configured (postern serve uses the sandbox).\n';
  return facts.map((fact) => describeAccount(fact, now)).join('\n');
}

/** A block each: addresses and times are too long for the columns of a table. */
function describeAccount(facts: AccountFacts, now: EpochMs): string {
  const { name, provider, mailbox, smtpUser, grant, token, expiresAt, refreshTokenSince, renewedAt, problem } = facts;
  const lines = [
    name,
    `  mailbox        ${mailbox}${smtpUser === mailbox ? '' : `, submits as ${smtpUser}`}`,
    `  provider       ${provider}, grant ${grant}`,
    `  token          ${MEANINGS[token]}`,
    ...(expiresAt === undefined ? [] : [`  access token   ends ${describeTime(expiresAt, now)}`]),
    ...(refreshTokenSince === undefined ? [] : [`  refresh token  since ${describeTime(refreshTokenSince, now)}`]),
    ...(renewedAt === undefined ? [] : [`  last stored    ${describeTime(renewedAt, now)}`]),
  ];
  return `${lines.join('\n')}\n${problem === undefined ? '' : describeProblem(problem)}`;
}

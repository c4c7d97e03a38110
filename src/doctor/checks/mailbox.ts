/**
 * The IMAP and the POP3 server: two checks each, on one trial sign-in.
 *
 * They are made where the provider has such a server and the token is for it; Postern needs them for its proxies and for fetching.
 *
 * @packageDocumentation
 */
import type { ProbeReport } from '../../core/ports/mail-probe.ts';
import { ProblemError } from '../../core/problem.ts';
import { refusalRemedy } from '../auth-refusal.ts';
import { type Check, fail, ok, skip, warn } from '../check.ts';
import type { Examination } from '../examination.ts';
import { includes, requestedScopes } from '../exchange.ts';
import { probeImap } from '../imap-probe.ts';
import { probePop3 } from '../pop3-probe.ts';

const PROBES = { imap: probeImap, pop3: probePop3 } as const;
type Protocol = keyof typeof PROBES;

/** Longer tokens are refused by Exchange over POP3 as a protocol error. */
const LONGEST_POP3_TOKEN = 4096;

function mailboxChecks(protocol: Protocol): readonly Check[] {
  const reports = new WeakMap<Examination, Promise<ProbeReport>>();
  return [
    {
      name: `${protocol}-connect`,
      needs: [],
      async run(examination) {
        const obstacle = whyNot(protocol, examination);
        if (obstacle !== undefined) return skip(obstacle);
        const report = tryOut(protocol, examination);
        reports.set(examination, report);
        const { passed, failed } = await report;
        if (failed !== undefined && failed.step !== 'auth' && failed.step !== 'access') return fail(failed.problem);
        return ok([passed.connect, passed.tls, passed.mechanism].join('; '));
      },
    },
    {
      name: `${protocol}-auth`,
      needs: [`${protocol}-connect`, 'token'],
      async run(examination) {
        const report = await reports.get(examination);
        if (report === undefined) return skip('the server was not tried');
        const { passed, failed } = report;
        if (failed === undefined) return ok([passed.auth, passed.access].join('; '));
        if (failed.problem.code === 'UPSTREAM_BUSY' || failed.problem.code === 'UPSTREAM_MAILBOX_IN_USE') return warn(failed.problem);
        if (failed.problem.code !== 'UPSTREAM_AUTH_REFUSED') return fail(failed.problem);
        return fail({ ...failed.problem, remedy: refusalRemedy(protocol, examination.account, examination.claims) });
      },
    },
  ];
}

function whyNot(protocol: Protocol, { account, claims, given }: Examination): string | undefined {
  const name = protocol.toUpperCase();
  if (account.provider[protocol] === undefined) return `provider ${account.provider.name} has no ${name} server`;
  if (account.auth.grant === 'basic') return `grant basic: a password is not tried at ${name}, since each try may lock the mailbox`;
  if (includes(protocol, account, claims) || given.needed.has(protocol)) return undefined;
  const scopes = claims === undefined ? requestedScopes(account) : [...claims.scopes, ...claims.roles];
  return `the token does not include ${name} (${scopes.join(' ') || 'no scopes'})`;
}

/** A refused token is replaced once, as for submission, unless it has just been fetched. */
async function tryOut(protocol: Protocol, examination: Examination): Promise<ProbeReport> {
  const report = await probe(protocol, examination);
  const { account, token, tokens } = examination;
  if (report.failed?.problem.code !== 'UPSTREAM_AUTH_REFUSED' || examination.isTokenFresh) return report;
  if (token === undefined || tokens === undefined) return report;
  examination.isTokenFresh = true;
  try {
    examination.token = await tokens.replaceRefused(account.name, token);
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    return { passed: report.passed, failed: { step: 'auth', problem: error.problem } };
  }
  return probe(protocol, examination);
}

async function probe(protocol: Protocol, { account, token, given }: Examination): Promise<ProbeReport> {
  const { provider, mailbox } = account;
  const endpoint = provider[protocol];
  if (endpoint === undefined) return { passed: {} };
  const { dial, clock } = given;
  const { ca, mechanism } = provider;
  const report = await PROBES[protocol]({ endpoint, ca, protocol, mechanism, user: mailbox, accessToken: token?.value, dial, clock });
  return protocol === 'pop3' ? withTokenLength(report, token?.value.length ?? 0) : report;
}

function withTokenLength(report: ProbeReport, length: number): ProbeReport {
  const { failed } = report;
  if (failed?.step !== 'auth' || length <= LONGEST_POP3_TOKEN) return report;
  const cause = `${failed.problem.cause}; the token has ${length} characters, and Exchange takes at most ${LONGEST_POP3_TOKEN} over POP3`;
  return { ...report, failed: { ...failed, problem: { ...failed.problem, cause } } };
}

export const imapChecks = mailboxChecks('imap');
export const pop3Checks = mailboxChecks('pop3');

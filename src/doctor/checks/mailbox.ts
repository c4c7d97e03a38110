/**
 * The IMAP and the POP3 server: two checks each, on one trial sign-in.
 *
 * They are made where the provider has such a server and the token is for it; Postern needs them for its proxies and for fetching.
 *
 * @packageDocumentation
 */
import type { Account } from '../../core/account.ts';
import type { ProbeReport } from '../../core/ports/mail-probe.ts';
import { type Problem, ProblemError } from '../../core/problem.ts';
import { refusalRemedy } from '../auth-refusal.ts';
import { LONGEST_POP3_TOKEN, mayBePop3Alone } from '../../policy/pop3-service.ts';
import { type Check, type Finding, fail, ok, skip, warn } from '../check.ts';
import type { Examination } from '../examination.ts';
import { includes, requestedScopes } from '../exchange.ts';
import { probeImap } from '../imap-probe.ts';
import { probePop3 } from '../pop3-probe.ts';

const PROBES = { imap: probeImap, pop3: probePop3 } as const;
type Protocol = keyof typeof PROBES;

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
        if (failed !== undefined && failed.step !== 'auth' && failed.step !== 'access')
          return refused(protocol, examination, failed.problem);
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
        if (failed.problem.code !== 'UPSTREAM_AUTH_REFUSED') return refused(protocol, examination, failed.problem);
        const remedy = refusalRemedy(protocol, examination.account, examination.claims);
        return refused(protocol, examination, { ...failed.problem, remedy });
      },
    },
  ];
}

/** Where POP3 is served from IMAP in its stead, it need not work; whether IMAP does is said by its own checks. */
function refused(protocol: Protocol, { account }: Examination, what: Problem): Finding {
  const hasOtherWay = protocol === 'pop3' && (account.pop3 ?? 'auto') === 'auto' && account.provider.imap !== undefined;
  if (!hasOtherWay || !mayBePop3Alone(what)) return fail(what);
  const remedy = `Nothing, if imap-auth is in order; pop3: imap of the account spares the attempt. To have POP3 itself: ${what.remedy}`;
  return warn({ ...what, cause: `${what.cause}. POP3 is served from IMAP then (pop3: auto)`, remedy });
}

function whyNot(protocol: Protocol, { account, claims, given }: Examination): string | undefined {
  const name = protocol.toUpperCase();
  if (protocol === 'pop3' && isFromImap(account)) return 'POP3 is served from IMAP for this account: see imap-connect and imap-auth';
  if (account.provider[protocol] === undefined) return `provider ${account.provider.name} has no ${name} server`;
  if (account.auth.grant === 'basic') return `grant basic: a password is not tried at ${name}, since each try may lock the mailbox`;
  if (includes(protocol, account, claims) || given.needed.has(protocol)) return undefined;
  const scopes = claims === undefined ? requestedScopes(account) : [...claims.scopes, ...claims.roles];
  return `the token does not include ${name} (${scopes.join(' ') || 'no scopes'})`;
}

function isFromImap({ pop3 = 'auto', provider }: Account): boolean {
  return pop3 === 'imap' || (pop3 === 'auto' && provider.pop3 === undefined && provider.imap !== undefined);
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

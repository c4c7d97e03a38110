/**
 * The submission server: five checks on one trial sign-in.
 *
 * @packageDocumentation
 */
import { domainOf, isSameMailbox } from '../../core/address.ts';
import type { ProbeReport, ProbeStep } from '../../core/ports/mail-probe.ts';
import { type Problem, problem } from '../../core/problem.ts';
import { refusalRemedy } from '../auth-refusal.ts';
import { type Check, type CheckName, type Finding, fail, ok, skip, warn } from '../check.ts';
import type { Examination } from '../examination.ts';
import { includes, isExchange } from '../exchange.ts';

/** What one step of the trial says. A place that other sessions of the mailbox hold just now is no fault of the set-up. */
function stepFinding({ passed, failed }: ProbeReport, step: ProbeStep, refine: (what: Problem) => Problem = (what) => what): Finding {
  if (failed?.step === step) return failed.problem.code === 'UPSTREAM_BUSY' ? warn(failed.problem) : fail(refine(failed.problem));
  const detail = passed[step];
  return detail === undefined ? skip('the trial did not come as far as this') : ok(detail);
}

function smtpStep(name: CheckName, step: ProbeStep, needs: readonly CheckName[]): Check {
  return {
    name,
    needs,
    async run(examination) {
      const { account, claims, given } = examination;
      if (!given.needed.has('smtp') && !includes('smtp', account, claims))
        return skip('the token does not include SMTP, which is not used');
      return stepFinding(await examination.smtp(), step, (what) => refined(what, examination));
    },
  };
}

function refined(what: Problem, { account, claims }: Examination): Problem {
  const remedy = what.code === 'UPSTREAM_AUTH_REFUSED' ? refusalRemedy('smtp', account, claims) : what.remedy;
  return { ...what, remedy: remedy.replace(/\bMAILBOX\b/g, () => account.smtpUser) };
}

export const smtpChecks: readonly Check[] = [
  smtpStep('smtp-connect', 'connect', []),
  smtpStep('smtp-tls', 'tls', ['smtp-connect']),
  smtpStep('smtp-mechanism', 'mechanism', ['smtp-tls']),
  smtpStep('smtp-auth', 'auth', ['smtp-mechanism', 'token']),
  smtpStep('smtp-sender', 'access', ['smtp-auth']),
];

/** Senders that the provider takes now and that will be trouble later. */
export const senderDomainCheck: Check = {
  name: 'sender-domain',
  needs: [],
  run({ account, given: { senders } }) {
    if (!isExchange(account.provider)) return skip(`nothing is known of sender domains at provider ${account.provider.name}`);
    const initial = senders.filter((sender) => domainOf(sender).endsWith('.onmicrosoft.com'));
    if (initial.length > 0) {
      const cause = `${list(initial)}: mail from onmicrosoft.com reaches at most 100 external recipients a day for the whole tenant (550 5.7.236)`;
      return warn(problem('UPSTREAM_QUOTA', cause, { remedy: 'Send from an address in a domain of your own.' }));
    }
    const others = senders.filter((sender) => !isSameMailbox(sender, account.mailbox));
    if (others.length === 0) return ok(`sends as ${account.mailbox} only`);
    const foreign = others.filter((sender) => domainOf(sender) !== domainOf(account.mailbox));
    if (foreign.length === 0) return ok(`clients may also send as ${list(others)}, for which ${account.smtpUser} needs SendAs`);
    const cause = `clients may send as ${list(foreign)}, in another domain than the mailbox`;
    const remedy = `The domain must be one of the tenant's (Microsoft 365 admin centre > Settings > Domains), and ${account.smtpUser} needs SendAs for the address (550 5.7.60, 5.7.750 otherwise).`;
    return warn(problem('UPSTREAM_REFUSED', cause, { remedy }));
  },
};

const list = (senders: readonly string[]): string =>
  senders.length > 5 ? `${senders.slice(0, 5).join(', ')} and ${senders.length - 5} more` : senders.join(', ');

/**
 * The token endpoint's host and clock.
 *
 * @packageDocumentation
 */
import type { Account } from '../../core/account.ts';
import { between, minutes } from '../../core/clock.ts';
import { problem } from '../../core/problem.ts';
import { type Check, fail, ok, skip, warn } from '../check.ts';
import { visitTokenHost } from '../token-host.ts';

/** Entra and others allow signed statements about time to be this wrong, and TLS certificates no less. */
const TOLERANCE = minutes(5);

export const tokenEndpointCheck: Check = {
  name: 'token-endpoint',
  needs: [],
  async run(examination) {
    const { account, given } = examination;
    const unasked = whyUnasked(account);
    if (unasked !== undefined) return skip(unasked);
    const { description, date } = await visitTokenHost(account.provider.tokenUrl, account.provider.ca, given.dial, given.clock);
    if (date !== undefined) examination.clockLead = between(given.clock.now(), date);
    return ok(description);
  },
};

/** Why the account has no use for the provider's token endpoint. */
function whyUnasked({ auth }: Account): string | undefined {
  if (auth.grant === 'basic') return 'grant basic uses no tokens';
  if (auth.grant === 'command') return `the access token comes from a program, ${auth.command[0]}`;
  if (auth.grant === 'client_credentials' && auth.managedIdentity === true)
    return 'the access token comes from the metadata service of this machine';
  return undefined;
}

export const clockCheck: Check = {
  name: 'clock',
  needs: ['token-endpoint'],
  run({ account, clockLead }) {
    if (clockLead === undefined) return skip('the token endpoint does not say what time it is');
    const size = describe(clockLead);
    if (Math.abs(clockLead) <= TOLERANCE) return ok(`differs by ${size} from that of the token endpoint`);
    const direction = clockLead > 0 ? 'behind' : 'ahead of';
    const what = problem('CLOCK_WRONG', `this machine's clock is ${size} ${direction} that of the token endpoint`);
    // Lifetimes of tokens are counted from when they come; only what we sign bears our own time.
    return signsAssertions(account) ? fail(what) : warn(what);
  },
};

const signsAssertions = ({ auth }: Account): boolean =>
  auth.grant === 'service_account' || ('certificate' in auth && auth.certificate !== undefined);

function describe(lead: number): string {
  const size = Math.abs(lead);
  if (size < minutes(2)) return `${Math.round(size / 1000)} s`;
  return size < minutes(180) ? `${Math.round(size / 60_000)} minutes` : `${Math.round(size / 3_600_000)} hours`;
}

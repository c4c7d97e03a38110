/**
 * What can be told without a network: notices of the configuration, secrets and their files, the state.
 *
 * A configuration with problems never comes as far as this: the command ends with them.
 *
 * @packageDocumentation
 */
import { ProblemError, problem } from '../../core/problem.ts';
import { type Check, type Finding, fail, ok, skip } from '../check.ts';
import { judgeEnd, soonest } from '../secret-end.ts';

export const configCheck: Check = {
  name: 'config',
  needs: [],
  run({ account, given: { configNotices } }) {
    const { provider, mailbox, smtpUser, auth } = account;
    const asWhom = smtpUser === mailbox ? mailbox : `${mailbox}, SMTP as ${smtpUser}`;
    if (configNotices.length === 0) return ok(`provider ${provider.name}, ${asWhom}, grant ${auth.grant}`);
    return noticed(configNotices, 'Correct what is not meant so; docs/config.md explains every key.');
  },
};

export const secretsCheck: Check = {
  name: 'secrets',
  needs: [],
  async run({ given: { secrets, secretNotices } }) {
    const known = await secrets();
    const trouble = known.find((secret) => secret.trouble !== undefined)?.trouble;
    if (trouble !== undefined) return fail(trouble);
    if (secretNotices.length > 0)
      return noticed(secretNotices, 'chmod 600 each file named, and let it belong to the user that runs Postern.');
    return ok(known.length === 0 ? 'none needed' : `read: ${known.map(({ what }) => what).join(', ')}`);
  },
};

/** Notices have no code: each says itself what is wrong. */
function noticed(notices: readonly string[], remedy: string): Finding {
  return { result: 'warn', detail: notices.join('; '), remedy };
}

export const secretEndCheck: Check = {
  name: 'secret-end',
  needs: ['secrets'],
  async run({ given: { secrets, clock } }) {
    const known = await secrets();
    const next = soonest(known);
    if (next !== undefined) return judgeEnd(`the ${next.what}`, next.endsAt, clock.now());
    const unsaid = known.find(({ what }) => what === 'client secret');
    if (unsaid === undefined) return skip('no secret of the account has an end');
    return skip(
      'a client secret does not say when it ends: write the date from Entra admin centre > App registrations > Certificates & secrets into auth.clientSecretExpires',
    );
  },
};

export const stateCheck: Check = {
  name: 'state',
  needs: [],
  async run(examination) {
    const { inspectState, openTokens } = examination.given;
    const { place, faults } = await inspectState();
    if (faults.length > 0) throw new ProblemError(problem('TOKEN_STORE_FAILED', faults.join('; ')));
    const tokens = await openTokens();
    const grant = await tokens.stored();
    examination.tokens = tokens;
    const content =
      grant === undefined ? 'nothing stored yet for the account' : `stored tokens can be read (generation ${grant.generation})`;
    return ok(`${place} and its key can be used; ${content}`);
  },
};

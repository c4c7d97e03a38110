/**
 * What Google's refusals of a service account mean. Nobody can sign in again, so each is for an administrator, or passes.
 *
 * Pure data. Google has no numbers; one `error` stands for several causes, which only the description tells apart. It is a hint, as Entra's numbers
 * are: an unknown one has a safe default.
 *
 * Source: Google's page on errors of service accounts and domain-wide delegation.
 *
 * @packageDocumentation
 */
import type { TokenErrorClass } from './entra-errors.ts';

/** One row. The first that fits decides. */
export interface GoogleError {
  readonly error: string;
  /** In the description; absent: any. */
  readonly text?: RegExp;
  readonly class: TokenErrorClass;
  readonly cause: string;
  readonly remedy: string;
}

const DELEGATE =
  'Google Admin console > Security > Access and data control > API controls > Manage domain-wide delegation: add the client ID (a number) of the service account with scope https://mail.google.com/. It may take a day.';
const NEW_KEY =
  'Make a new key and name it in auth.keyFile: gcloud iam service-accounts keys create FILE --iam-account=EMAIL. Old keys: gcloud iam service-accounts keys list --iam-account=EMAIL.';
const ACCOUNT = 'Check that the service account exists and is enabled: gcloud iam service-accounts describe EMAIL.';
const MAILBOX =
  'Set accounts[].mailbox to the primary address of a user of the organisation, not an alias or group: Google Admin console > Users.';
const CLOCK = "Set this machine's clock: timedatectl set-ntp true.";
const SCOPE = 'Ask for https://mail.google.com/ alone, and allow just that in domain-wide delegation.';

/** Its description is all there is to go by. */
export const UNEXPLAINED_BY_GOOGLE: GoogleError = {
  error: 'invalid_grant',
  class: 'config',
  cause: 'the service account is not accepted',
  remedy: `${ACCOUNT} ${MAILBOX}`,
};

export const GOOGLE_ERRORS: readonly GoogleError[] = [
  {
    error: 'unauthorized_client',
    class: 'policy',
    cause: 'the organisation has not given the service account domain-wide delegation for this scope',
    remedy: DELEGATE,
  },
  {
    error: 'invalid_grant',
    text: /invalid email or user id/i,
    class: 'policy',
    cause: 'there is no user with the address of the mailbox in the organisation',
    remedy: MAILBOX,
  },
  {
    error: 'invalid_grant',
    text: /account not found/i,
    class: 'config',
    cause: 'the service account does not exist any more',
    remedy: ACCOUNT,
  },
  {
    error: 'invalid_grant',
    text: /signature/i,
    class: 'config',
    cause: 'the key was deleted, disabled, or belongs to another service account',
    remedy: NEW_KEY,
  },
  {
    error: 'invalid_grant',
    text: /short-lived|reasonable timeframe|iat and exp/i,
    class: 'transient',
    cause: 'the clock of this machine is wrong, so the assertion is not valid now',
    remedy: CLOCK,
  },
  UNEXPLAINED_BY_GOOGLE,
  { error: 'invalid_client', class: 'config', cause: 'the service account is not known', remedy: ACCOUNT },
  { error: 'disabled_client', class: 'config', cause: 'the service account is disabled', remedy: ACCOUNT },
  { error: 'deleted_client', class: 'config', cause: 'the service account was deleted', remedy: ACCOUNT },
  { error: 'invalid_scope', class: 'config', cause: 'the scope is not accepted', remedy: SCOPE },
  { error: 'access_denied', class: 'policy', cause: 'the organisation denies the service account access', remedy: DELEGATE },
];

/**
 * What the refusal of a token endpoint means, and what the operator should do about it.
 *
 * Pure. The standard fields (`error`, and Entra's `suberror`) decide first; AADSTS numbers refine; what nobody knows has a safe default: an
 * unknown `invalid_grant` may be a dead grant and is tried once more before it counts, an unknown client or request error is ours to correct, all
 * else passes.
 *
 * Sources: RFC 6749 §5.2 and §4.1.2.1 (error codes), RFC 8628 §3.5, RFC 8707 §2 (invalid_target), OpenID Connect Core 1.0 §3.1.2.6
 * (interaction_required and its kin).
 *
 * @packageDocumentation
 */
import { type Problem, type ProblemCode, problem } from '../core/problem.ts';
import { ENTRA_ERRORS, type EntraError, type TokenErrorClass } from './entra-errors.ts';
import { GOOGLE_ERRORS, UNEXPLAINED_BY_GOOGLE } from './google-errors.ts';
import type { TokenRefusal } from './token-answer.ts';

/** The verdict on a refusal. */
export interface TokenError {
  readonly class: TokenErrorClass;
  /** False for an `invalid_grant` that nothing explains: it counts only when it comes again. */
  readonly isCertain: boolean;
  readonly problem: Problem;
}

type Rule = Readonly<EntraError>;

const SIGN_IN = 'Sign in as the mailbox and store the new refresh token: postern login ACCOUNT (or replace the refreshToken secret).';
const SETTINGS =
  'Compare clientId, clientSecret, tenant and scopes under accounts[].auth with the app registration. The refresh token stays good.';
const APPLICATION =
  'An administrator has to consent: Entra admin centre > App registrations > the app > API permissions > Grant admin consent.';
const ADMINISTRATOR =
  'Ask the administrator of the organisation to look up the trace id in the sign-in logs and to allow this application.';
const WAIT = 'Nothing: Postern waits and tries again. The account is not marked bad.';

/** Only a person can go on from here, whatever the number says. */
const INTERACTION: Readonly<Record<string, string>> = {
  interaction_required: 'the provider wants the user to sign in',
  login_required: 'the provider wants the user to sign in',
  consent_required: 'the provider wants the user to consent again',
  bad_token: 'the refresh token is not good any more',
};

const INTERACTION_SUBERRORS: Readonly<Record<string, string>> = {
  message_only: 'the provider has a message for the user, who must sign in to read it',
  additional_action: 'the provider wants the user to do something more to sign in',
  basic_action: 'the provider wants the user to do something to sign in',
  user_password_expired: "the user's password has expired",
  consent_required: 'the provider wants the user to consent again',
  bad_token: 'the refresh token is not good any more',
  // Google Workspace: the session length that an administrator sets for Google Cloud has passed.
  invalid_rapt:
    "the organisation's reauthentication policy ended the session (Google Admin console > Security > Google Cloud session control)",
};

/** Where no number is known. `invalid_grant` is apart. */
const BY_ERROR: Readonly<Record<string, Rule>> = {
  temporarily_unavailable: { class: 'transient', cause: 'the provider is temporarily unavailable', remedy: WAIT },
  server_error: { class: 'transient', cause: 'the provider met an error of its own', remedy: WAIT },
  slow_down: { class: 'transient', cause: 'the provider asks to slow down', remedy: WAIT },
  invalid_client: { class: 'config', cause: 'the client id or client secret is not accepted', remedy: SETTINGS },
  unauthorized_client: { class: 'config', cause: 'the application may not use this grant', remedy: SETTINGS },
  invalid_request: { class: 'config', cause: 'the request is malformed or lacks something', remedy: SETTINGS },
  invalid_scope: { class: 'config', cause: 'a scope is not accepted', remedy: SETTINGS },
  invalid_target: { class: 'config', cause: 'the resource is not accepted', remedy: SETTINGS },
  invalid_resource: { class: 'config', cause: 'the resource is not accepted', remedy: SETTINGS },
  unsupported_grant_type: { class: 'config', cause: 'the provider does not know this grant; the token URL may be wrong', remedy: SETTINGS },
  access_denied: { class: 'policy', cause: 'the provider denies access', remedy: ADMINISTRATOR },
  // Google: the Workspace administrator limits which applications may be used.
  admin_policy_enforced: { class: 'policy', cause: "the organisation's policy does not allow this application", remedy: ADMINISTRATOR },
  org_internal: { class: 'policy', cause: 'the application is for members of its own organisation only', remedy: ADMINISTRATOR },
  authorization_pending: {
    class: 'device',
    cause: 'nobody has entered the device code yet',
    remedy: 'Enter the code shown at the address shown.',
  },
  authorization_declined: { class: 'device', cause: 'the sign-in was declined', remedy: 'Start again: postern login ACCOUNT --device.' },
  bad_verification_code: { class: 'device', cause: 'the device code is wrong', remedy: 'Start again: postern login ACCOUNT --device.' },
  expired_token: { class: 'device', cause: 'the device code has expired', remedy: 'Start again: postern login ACCOUNT --device.' },
};

/** Google gives no more than this for each of its reasons, so all of them are named. */
const UNKNOWN_GRANT: Rule = {
  class: 'reauth',
  cause: 'the refresh token is not accepted: expired, revoked, or issued to another client',
  remedy: `${SIGN_IN} With Google: an app in testing state loses its tokens after 7 days, an unused one after 6 months, a password change ends those for mail.`,
};

const BUSY: Rule = { class: 'transient', cause: 'the provider is busy or broken', remedy: WAIT };

const UNKNOWN: Rule = { class: 'transient', cause: 'the provider refused for a reason that Postern does not know', remedy: WAIT };

const PROBLEM_CODES: Readonly<Record<TokenErrorClass, ProblemCode>> = {
  reauth: 'TOKEN_REAUTH_REQUIRED',
  policy: 'TOKEN_POLICY',
  config: 'TOKEN_MISCONFIGURED',
  transient: 'TOKEN_ENDPOINT_BUSY',
  loop: 'TOKEN_LOOP',
  device: 'TOKEN_REAUTH_REQUIRED',
};

/** The fields that {@link classifyTokenError} looks at. */
export type TokenErrorFields = Pick<
  TokenRefusal,
  'grant' | 'error' | 'suberror' | 'errorCodes' | 'httpStatus' | 'traceId' | 'correlationId' | 'description'
>;

/** Decide what a refusal means. */
export function classifyTokenError(fields: TokenErrorFields): TokenError {
  const found = findRule(fields);
  const rule = found.class === 'reauth' && fields.grant !== undefined ? withoutPerson(found) : found;
  const isCertain = rule !== UNKNOWN_GRANT;
  // An unknown text may be all there is to go by; a known cause says it better and names nobody.
  const isVague = found === UNKNOWN || found === UNKNOWN_GRANT || found === UNEXPLAINED_BY_GOOGLE;
  const hint = isVague && fields.description !== undefined ? `: ${fields.description.slice(0, 200)}` : '';
  const cause = `${rule.cause}${hint} [${describeFields(fields)}]`;
  return { class: rule.class, isCertain, problem: problem(PROBLEM_CODES[rule.class], cause, { remedy: rule.remedy }) };
}

/** Nobody has signed in, so nobody can again: the application itself was refused. */
function withoutPerson(rule: Rule): Rule {
  const cause = rule === UNKNOWN_GRANT ? 'the application is not accepted' : rule.cause;
  return { class: 'config', cause, remedy: `${APPLICATION} ${SETTINGS}` };
}

function findRule(fields: TokenErrorFields): Rule {
  const { error, suberror, errorCodes, httpStatus } = fields;
  const hint = errorCodes.map((code) => ENTRA_ERRORS.get(code)).find((row) => row !== undefined);
  if (hint?.class === 'loop') return hint;
  const byError = Object.hasOwn(BY_ERROR, error) ? BY_ERROR[error] : undefined;
  if (byError?.class === 'transient') return hint?.class === 'transient' ? hint : byError;
  if (httpStatus === 429 || httpStatus >= 500) return hint?.class === 'transient' ? hint : BUSY;
  const google = fields.grant === 'service_account' ? findGoogleRule(fields) : undefined;
  if (google !== undefined) return google;
  const interaction = ownValue(INTERACTION_SUBERRORS, suberror) ?? ownValue(INTERACTION, error);
  if (interaction !== undefined) {
    // A policy block comes with `message_only` too: signing in again would not help.
    return hint?.class === 'policy' || hint?.class === 'reauth' ? hint : { class: 'reauth', cause: interaction, remedy: SIGN_IN };
  }
  if (hint !== undefined) return hint;
  return error === 'invalid_grant' ? UNKNOWN_GRANT : (byError ?? UNKNOWN);
}

function findGoogleRule({ error, description = '' }: TokenErrorFields): Rule | undefined {
  return GOOGLE_ERRORS.find((row) => row.error === error && row.text?.test(description) !== false);
}

/** Names come from outside: `__proto__` is not a row. */
function ownValue(table: Readonly<Record<string, string>>, name: string | undefined): string | undefined {
  return name !== undefined && Object.hasOwn(table, name) ? table[name] : undefined;
}

/** What an administrator needs to find the refusal in the provider's logs. */
function describeFields({ error, suberror, errorCodes, httpStatus, traceId, correlationId }: TokenErrorFields): string {
  const parts = [
    `HTTP ${httpStatus}`,
    error,
    suberror,
    ...errorCodes.map((code) => `AADSTS${code}`),
    traceId === undefined ? undefined : `trace id ${traceId}`,
    correlationId === undefined ? undefined : `correlation id ${correlationId}`,
  ];
  return parts.filter((part) => part !== undefined).join(', ');
}

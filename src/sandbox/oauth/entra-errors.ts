/**
 * Entra's refusals by AADSTS number: HTTP status, `error`, `suberror` and a text of ours.
 *
 * Pure. Clients must judge by `error` and `suberror`; the number is a hint that Microsoft may change. The texts here are not Microsoft's.
 *
 * Source: RFC 6749 §5.2 and RFC 8628 §3.5 for `error`; Microsoft's list of AADSTS numbers for what each means.
 *
 * @packageDocumentation
 */

/** One row. */
interface EntraError {
  readonly error: string;
  readonly text: string;
  /** Default 400. */
  readonly status?: number;
  readonly suberror?: string;
}

const grant = (text: string, suberror?: string): EntraError => row('invalid_grant', text, suberror);
const interaction = (text: string, suberror: string): EntraError => row('interaction_required', text, suberror);
const request = (text: string): EntraError => row('invalid_request', text);
const client = (text: string): EntraError => ({ error: 'invalid_client', text, status: 401 });
const application = (text: string): EntraError => row('unauthorized_client', text);
const scope = (text: string): EntraError => row('invalid_scope', text);
const server = (text: string, status = 500): EntraError => ({ error: 'server_error', text, status });
const unavailable = (text: string, status = 503): EntraError => ({ error: 'temporarily_unavailable', text, status });

function row(error: string, text: string, suberror?: string): EntraError {
  return suberror === undefined ? { error, text } : { error, text, suberror };
}

const ROWS: ReadonlyMap<number, EntraError> = new Map([
  // The grant is dead: somebody has to sign in again.
  [16000, interaction('More than one session fits; the user has to choose one.', 'additional_action')],
  [50055, grant('The password has expired.', 'user_password_expired')],
  [50058, row('login_required', 'No session was found; the user has to sign in.')],
  [50072, interaction('The user has to enrol for multi-factor authentication.', 'basic_action')],
  [50074, interaction('Strong authentication is required.', 'basic_action')],
  [50076, interaction('Multi-factor authentication is required.', 'basic_action')],
  [50078, interaction('The multi-factor authentication has expired.', 'basic_action')],
  [50079, interaction('The user has to enrol for multi-factor authentication.', 'basic_action')],
  [50085, grant('The refresh token needs a social provider to sign in again.', 'bad_token')],
  [50089, grant('The authentication has expired.')],
  [50097, interaction('The device has to authenticate.', 'basic_action')],
  [50132, grant('The session is no longer valid after a password change.')],
  [50133, grant('The session is no longer valid since the password expired or changed.')],
  [50140, interaction('The user was asked whether to stay signed in and did not answer.', 'basic_action')],
  [50144, grant('The Active Directory password has expired.', 'user_password_expired')],
  [50158, interaction('A control outside Entra was not satisfied.', 'basic_action')],
  [50173, grant('The grant was revoked; a fresh token is needed.')],
  [54005, grant('The authorization code was already redeemed.')],
  [65001, grant('The user or an administrator has not consented to this application.', 'consent_required')],
  [65004, row('access_denied', 'The user declined to consent.')],
  [70000, grant('The grant is not valid.')],
  [70008, grant('The authorization code or refresh token has expired.')],
  [70043, grant('The refresh token has ended by a sign-in frequency rule.', 'bad_token')],
  [700005, grant('The authorization code is meant for another tenant.')],
  [700082, grant('The refresh token has expired since it was not used for too long.')],
  [700084, grant('The refresh token of a single-page application has reached its fixed end.')],
  // A rule of the organisation.
  [50020, grant('The user does not exist in this tenant.')],
  [50034, grant('The user account does not exist in the directory.')],
  [50053, grant('The account is locked after too many failed sign-ins.')],
  [50057, grant('The user account is disabled.')],
  [50105, row('access_denied', 'The user is not assigned to a role for the application.')],
  [53000, interaction('The device is not compliant.', 'message_only')],
  [53001, interaction('The device is not joined to the domain.', 'message_only')],
  [53002, interaction('The application is not an approved one.', 'message_only')],
  [53003, interaction('Access is blocked by a Conditional Access policy.', 'message_only')],
  [53011, interaction('The user is blocked because of risk.', 'message_only')],
  [530032, interaction('A security policy of the tenant refuses the request.', 'message_only')],
  [530035, interaction('Access is blocked by security defaults.', 'message_only')],
  [65005, application('The application asks for a resource it is not registered for.')],
  [90094, row('consent_required', 'An administrator has to consent.')],
  [90095, row('consent_required', 'An administrator has to approve the request.')],
  [500011, row('invalid_resource', 'The resource was not found in the tenant.')],
  [650052, application('The organisation has no subscription to the service asked for.')],
  [650056, application('The application is misconfigured.')],
  [650057, row('invalid_resource', 'The resource is not listed among the permissions of the application.')],
  [7000112, application('The application is disabled.')],
  // Something configured is wrong.
  [28002, scope('The scope is not valid when an access token is requested.')],
  [28003, scope('The scope must not be empty when an access token is requested.')],
  [50011, request('The redirect URI is not one of those registered for the application.')],
  [50194, request('The application is not registered as multi-tenant; name the tenant in place of common.')],
  [70002, client('The credentials could not be validated.')],
  [70003, row('unsupported_grant_type', 'The grant type is not supported.')],
  [70011, scope('The value of the parameter scope is not valid.')],
  [50013, client('The assertion is not valid.')],
  [50027, client('The JWT is not valid.')],
  [70021, client('No federated credential of the application fits the assertion.')],
  [700021, client('The client assertion names another application.')],
  [700211, client('No federated credential has the issuer of the assertion.')],
  [700212, client('No federated credential has the audience of the assertion.')],
  [700213, client('No federated credential has the subject of the assertion.')],
  [1000502, client('The certificate has expired.')],
  [90002, request('The tenant was not found.')],
  [90014, request('A required field is missing.')],
  [90038, request('The tenant belongs to another cloud.')],
  [501481, grant('The code verifier does not match the code challenge.')],
  [700011, application('The application was not found in the tenant.')],
  [700016, application('The application was not found in the tenant.')],
  [700022, scope('The scope names more than one resource.')],
  [700023, scope('The scope names no resource.')],
  [700024, client('The client assertion is not within its valid time range.')],
  [700025, client('A public client must not show a secret or an assertion.')],
  [700027, client('The client assertion failed the check of its signature.')],
  [900144, request('The request body lacks a required parameter.')],
  [900432, request('The application belongs to another cloud.')],
  [900971, request('No reply address is given.')],
  [7000215, client('The client secret is not valid.')],
  [7000218, client('The request body lacks client_assertion or client_secret.')],
  [7000222, client('The client secrets have expired.')],
  [9001023, request('The grant type is not supported over common or consumers.')],
  [9002313, request('The request is malformed or not valid.')],
  [9002332, request('The application is for Microsoft accounts only.')],
  // It passes.
  [40010, unavailable('A retryable error occurred.')],
  [50033, server('A transient error occurred.')],
  [50087, unavailable('A transient error occurred during sign-out.')],
  [50088, server('The telecommunications provider is limiting requests.', 503)],
  [50166, server('The request to an external provider failed.')],
  [70012, server('A server error occurred.')],
  [80001, server('The authentication agent cannot reach Active Directory.')],
  [80002, server('The authentication agent timed out.', 504)],
  [80005, server('The authentication agent gave no usable answer.')],
  [90006, server('An external server may be unavailable.')],
  [90012, unavailable('The request has timed out.', 504)],
  [90024, unavailable('A transient error occurred.')],
  [90033, unavailable('The service is temporarily unavailable.')],
  [90055, unavailable('There are too many requests for the tenant.', 429)],
  [90090, server('The grant could not be processed.')],
  [90091, server('The grant could not be processed.')],
  // The client repeats itself.
  [50196, grant('A client loop was detected; wait before asking again.')],
  // Device flow (RFC 8628 §3.5).
  [70016, row('authorization_pending', 'The user has not finished signing in.')],
  [70018, row('bad_verification_code', 'The device code is not valid.')],
  [70019, row('expired_token', 'The device code has expired.')],
]);

/** The request is refused with an AADSTS number. */
export class EntraRefusal extends Error {
  override readonly name = 'EntraRefusal';
  readonly number: number;
  readonly status: number;
  readonly error: string;
  readonly suberror: string | undefined;

  /**
   * @param detail - More about this case; joined to the row's text. Never a secret.
   * @param as - Replaces what the row says, as RFC 8628's words do in the device flow.
   */
  constructor(number: number, detail?: string, as: { error?: string; suberror?: string } = {}) {
    const found = ROWS.get(number) ?? request('The request was refused.');
    super(`AADSTS${number}: ${found.text}${detail === undefined ? '' : ` (${detail})`}`);
    this.number = number;
    this.status = found.status ?? 400;
    this.error = as.error ?? found.error;
    this.suberror = as.suberror ?? found.suberror;
  }
}

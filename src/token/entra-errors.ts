/**
 * What Entra's error numbers (AADSTS…) mean for a relay: class, cause, remedy.
 *
 * Pure data. The numbers are hints: Entra changes texts and adds numbers at will, so {@link ./token-error.ts} looks at the standard fields
 * too and has an answer for every unknown number. `ACCOUNT` in a remedy stands for the account's name, as in the other tables.
 *
 * Source: Microsoft's list of AADSTS error codes; the classes follow what the provider expects of a client after each.
 *
 * @packageDocumentation
 */

/**
 * - `reauth`: the grant is dead or not enough; somebody has to sign in.
 * - `policy`: a rule of the organisation; an administrator has to act.
 * - `config`: client id, secret, tenant, scope or URL is wrong; the refresh token stays good and is used again after the correction.
 * - `transient`: wait.
 * - `loop`: we asked too often; stop for a while.
 * - `device`: belongs to the dialogue of the device code grant.
 */
export type TokenErrorClass = 'reauth' | 'policy' | 'config' | 'transient' | 'loop' | 'device';

/** One row. */
export interface EntraError {
  readonly class: TokenErrorClass;
  /** One line, no full stop needed to read on. */
  readonly cause: string;
  readonly remedy: string;
}

const SIGN_IN = 'Sign in as the mailbox and store the new refresh token: postern login ACCOUNT (or replace the refreshToken secret).';
const SIGN_IN_MFA =
  'Sign in as the mailbox, with the second factor: postern login ACCOUNT. To need none, exclude this application in Entra admin centre > Conditional Access.';
const CONSENT =
  'Grant consent: sign in once with postern login ACCOUNT, or Entra admin centre > App registrations > API permissions > Grant admin consent.';
const ADMIN_CONSENT =
  'An administrator has to consent: Entra admin centre > App registrations > the app > API permissions > Grant admin consent.';
const CONDITIONAL_ACCESS =
  'Entra admin centre > Sign-in logs: look up the trace id, see which Conditional Access policy blocked it, and exclude the application, user or address.';
const SECRET =
  'Entra admin centre > App registrations > Certificates & secrets: make a new client secret, put its Value (not its ID) into clientSecret. The refresh token stays good.';
const CLIENT_ID =
  'Compare auth.clientId and auth.tenant with Entra admin centre > App registrations > Overview (Application ID, Directory ID).';
const TENANT = 'Set auth.tenant to the Directory (tenant) ID or a verified domain: Entra admin centre > Overview.';
const SCOPE =
  'Correct the scopes: https://outlook.office.com/SMTP.Send (IMAP.AccessAsUser.All, POP.AccessAsUser.All) and offline_access; for applications https://outlook.office365.com/.default.';
const REDIRECT = 'Entra admin centre > App registrations > Authentication: add http://localhost under Mobile and desktop applications.';
const CLOUD = 'Use the provider preset of the right cloud: microsoft365, microsoft365-gcc-high, microsoft365-dod or microsoft365-china.';
const ASSERTION =
  'Check that the certificate or federated token belongs to this app registration, and that the clock of this machine is right.';
const NEW_CERTIFICATE =
  'Make a new certificate, upload it (App registrations > the app > Certificates & secrets), then replace the files under auth.certificate.';
const FEDERATION =
  'App registrations > the app > Certificates & secrets > Federated credentials: issuer and subject as in the token, audience api://AzureADTokenExchange.';
const REQUEST =
  'Correct the setting that the cause names, under accounts[].auth or providers in postern.yaml; look for stray characters from copying.';
const PERMISSION =
  'App registrations > API permissions > APIs my organization uses > Office 365 Exchange Online: add the mail permissions, then consent.';
const USER = 'Entra admin centre > Users: check that the mailbox exists in this tenant and that auth.tenant is that tenant.';
const WAIT = 'Nothing: Postern waits and tries again. The account is not marked bad.';
const DEVICE = 'Start again: postern login ACCOUNT --device.';

type Row = readonly [code: number, errorClass: TokenErrorClass, cause: string, remedy: string];

const ROWS: readonly Row[] = [
  // The user has to sign in again.
  [50173, 'reauth', 'the refresh token was revoked, for instance by a password change', SIGN_IN],
  [70000, 'reauth', 'the refresh token is not valid, or was issued to another client or tenant', SIGN_IN],
  [70008, 'reauth', 'the refresh token has expired or was revoked', SIGN_IN],
  [700082, 'reauth', 'the refresh token has expired because it was not used for 90 days', SIGN_IN],
  [
    700084,
    'reauth',
    'the refresh token was issued to a single-page app and so lives for 24 hours only',
    `${REDIRECT} Then: postern login ACCOUNT.`,
  ],
  [
    70043,
    'reauth',
    'the refresh token has expired by the sign-in frequency of a Conditional Access policy',
    `${SIGN_IN} ${CONDITIONAL_ACCESS}`,
  ],
  [50089, 'reauth', 'the refresh token belongs to a sign-in session that has expired', SIGN_IN],
  [50076, 'reauth', 'a second factor is required now, since a policy or the place has changed', SIGN_IN_MFA],
  [50079, 'reauth', 'the user has to enrol for a second factor', SIGN_IN_MFA],
  [50074, 'reauth', 'a second factor is required', SIGN_IN_MFA],
  [50078, 'reauth', 'the second factor has expired', SIGN_IN_MFA],
  [50072, 'reauth', 'the user has to enrol for a second factor', SIGN_IN_MFA],
  [50055, 'reauth', "the user's password has expired", `Set a new password for the mailbox. ${SIGN_IN}`],
  [50132, 'reauth', 'the session was revoked after a password change or by an administrator', SIGN_IN],
  [50133, 'reauth', 'the session has expired or a recent password change ended it', SIGN_IN],
  [50144, 'reauth', "the user's password in Active Directory has expired", `Set a new password for the mailbox. ${SIGN_IN}`],
  [50158, 'reauth', 'an external security challenge was not met', SIGN_IN_MFA],
  [50140, 'reauth', 'the sign-in was interrupted by the question whether to stay signed in', SIGN_IN],
  [65001, 'reauth', 'nobody has consented to the permissions that this application asks for, or the consent was withdrawn', CONSENT],
  [65004, 'reauth', 'the user declined to consent', CONSENT],
  [54005, 'reauth', 'the authorization code had been used before', SIGN_IN],
  [16000, 'reauth', 'several identities are signed in and one has to be chosen', SIGN_IN],
  [50058, 'reauth', 'there is no session to sign in from silently', SIGN_IN],
  [50085, 'reauth', 'the refresh token needs a sign-in with a social account provider', SIGN_IN],
  [700005, 'reauth', 'the authorization code or refresh token was issued for another tenant', SIGN_IN],
  [50097, 'reauth', 'the policy wants a registered device', `${SIGN_IN} ${CONDITIONAL_ACCESS}`],

  // An administrator has to act.
  [53000, 'policy', 'Conditional Access wants a compliant device', CONDITIONAL_ACCESS],
  [53001, 'policy', 'Conditional Access wants a domain-joined device', CONDITIONAL_ACCESS],
  [53002, 'policy', 'Conditional Access wants an approved client application', CONDITIONAL_ACCESS],
  [53003, 'policy', 'Conditional Access blocks access', CONDITIONAL_ACCESS],
  [53011, 'policy', 'the user is blocked because of risk', CONDITIONAL_ACCESS],
  [530032, 'policy', 'a security policy of the tenant blocks the user', CONDITIONAL_ACCESS],
  [
    530035,
    'policy',
    'security defaults block the sign-in',
    'Entra admin centre > Overview > Properties: manage security defaults, or use client_credentials.',
  ],
  [50053, 'policy', 'the user is locked after too many failed sign-ins, or the address is known to be malicious', CONDITIONAL_ACCESS],
  [
    50057,
    'policy',
    'the user is disabled',
    'Entra admin centre > Users > the mailbox: enable sign-in (accounts enabled), then wait some minutes.',
  ],
  [
    50105,
    'policy',
    'the user is not assigned to the application',
    'Entra admin centre > Enterprise applications > the app > Users and groups: add the mailbox.',
  ],
  [50020, 'policy', 'the user is not a member of this tenant', USER],
  [50034, 'policy', 'the user does not exist in this tenant', USER],
  [500011, 'policy', 'the resource that is asked for does not exist in this tenant', `${PERMISSION} ${SCOPE}`],
  [650052, 'policy', 'the organisation has no service principal for the resource or no subscription to it', PERMISSION],
  [65005, 'policy', 'the application does not list the permission that it asks for', PERMISSION],
  [650056, 'policy', 'the application lists no permission, or consent is missing', `${PERMISSION} ${ADMIN_CONSENT}`],
  [650057, 'policy', 'the resource is not among the permissions of the application', PERMISSION],
  [90094, 'policy', 'an administrator has to consent', ADMIN_CONSENT],
  [90095, 'policy', 'an administrator has to approve the request for consent', ADMIN_CONSENT],
  [
    7000112,
    'policy',
    'the application is disabled in this tenant',
    'Entra admin centre > Enterprise applications > the app > Properties: enable sign-in.',
  ],

  // The configuration has to be corrected.
  [7000215, 'config', 'the client secret is wrong; often its ID was copied in place of its Value', SECRET],
  [7000222, 'config', 'the client secret has expired', SECRET],
  [700016, 'config', 'the application is not known in this tenant', CLIENT_ID],
  [700011, 'config', 'the application is not known in this tenant', CLIENT_ID],
  [
    7000218,
    'config',
    'the application is registered as confidential and no client secret was sent',
    `${SECRET} Or allow public client flows under Authentication.`,
  ],
  [
    700025,
    'config',
    'the application is registered as public and a client secret was sent',
    'Remove clientSecret, or register the redirect URI under Web.',
  ],
  [700027, 'config', 'the signature of the client assertion is not accepted', ASSERTION],
  [700024, 'config', 'the client assertion is outside its time of validity', ASSERTION],
  [700021, 'config', 'the client assertion names another application', CLIENT_ID],
  [700030, 'config', 'the certificate is not one that the application has registered', ASSERTION],
  [1000502, 'config', 'the certificate that signed the client assertion has expired', NEW_CERTIFICATE],
  [50013, 'config', 'the assertion is not accepted: signature, issuer or time', ASSERTION],
  [50027, 'config', 'the assertion is not a valid JWT', ASSERTION],
  [70021, 'config', 'no federated credential of the application fits the token of the platform', FEDERATION],
  [700211, 'config', 'no federated credential of the application has the issuer of the token', FEDERATION],
  [700212, 'config', 'no federated credential of the application has the audience of the token', FEDERATION],
  [700213, 'config', 'no federated credential of the application has the subject of the token', FEDERATION],
  [90002, 'config', 'the tenant does not exist', TENANT],
  [50194, 'config', 'the application belongs to one tenant and /common was asked', TENANT],
  [9001023, 'config', 'the grant is not possible on /common or /consumers', TENANT],
  [9002332, 'config', 'the application is for work accounts and /consumers was asked', TENANT],
  [900971, 'config', 'no redirect URI was given', REDIRECT],
  [50011, 'config', 'the redirect URI is not among those of the application', REDIRECT],
  [70011, 'config', 'a scope is not valid', SCOPE],
  [28002, 'config', 'a scope is not valid', SCOPE],
  [28003, 'config', 'the scope is empty', SCOPE],
  [700022, 'config', 'the scopes belong to several resources; a token is for one', SCOPE],
  [700023, 'config', 'the scopes belong to several resources; a token is for one', SCOPE],
  [501481, 'config', 'the code verifier does not match the code challenge', `${SIGN_IN} If it comes back, report it.`],
  [9002313, 'config', 'the request is malformed; a refresh token with missing or added characters is one reason', `${REQUEST} ${SIGN_IN}`],
  [900144, 'config', 'a parameter is missing from the request', REQUEST],
  [90014, 'config', 'a field is missing from the request', REQUEST],
  [90038, 'config', 'the tenant belongs to another national cloud', CLOUD],
  [900432, 'config', 'the application belongs to another national cloud', CLOUD],
  [70002, 'config', 'the credentials of the client are not accepted', SECRET],
  [
    70003,
    'config',
    'the grant type is not supported for this application',
    'Check auth.grant; for public clients: App registrations > Authentication > Allow public client flows.',
  ],

  // Waiting is enough.
  [90033, 'transient', 'Entra is temporarily unavailable', WAIT],
  [90012, 'transient', 'the request timed out at Entra', WAIT],
  [90024, 'transient', 'Entra has spent its budget for this request', WAIT],
  [90006, 'transient', 'Entra depends on a service that does not answer', WAIT],
  [90055, 'transient', 'the tenant is being throttled for too many requests', WAIT],
  [90090, 'transient', 'the directory service failed', WAIT],
  [90091, 'transient', 'the directory service failed', WAIT],
  [50033, 'transient', 'Entra met a passing internal error', WAIT],
  [50087, 'transient', 'Entra met a passing error while checking the second factor', WAIT],
  [50088, 'transient', 'the limit of telephone calls for second factors was reached', WAIT],
  [50166, 'transient', 'an external identity provider failed', WAIT],
  [70012, 'transient', 'Entra met a server error while it signed in a consumer account', WAIT],
  [40010, 'transient', 'an identity provider may be retried', WAIT],
  [80001, 'transient', 'the authentication agent cannot reach Active Directory', WAIT],
  [80002, 'transient', 'a password check timed out at Active Directory', WAIT],
  [80005, 'transient', 'Active Directory gave an unpredictable answer', WAIT],

  [
    50196,
    'loop',
    'Entra saw this client ask for the same token again and again',
    'Nothing: Postern stops asking for five minutes or more. If it comes back, report it.',
  ],

  [70016, 'device', 'nobody has entered the device code yet', 'Enter the code shown at the address shown.'],
  [70018, 'device', 'the device code is wrong', DEVICE],
  [70019, 'device', 'the device code has expired', DEVICE],
];

/** By AADSTS number. */
export const ENTRA_ERRORS: ReadonlyMap<number, EntraError> = new Map(
  ROWS.map(([code, errorClass, cause, remedy]) => [code, { class: errorClass, cause, remedy }]),
);

import { describe, expect, it } from 'vitest';
import { ENTRA_ERRORS, type TokenErrorClass } from '../../../src/token/entra-errors.ts';
import { classifyTokenError, type TokenErrorFields } from '../../../src/token/token-error.ts';

/** Written down apart from the table, from what the provider documents. */
const EXPECTED: Readonly<Record<TokenErrorClass, readonly number[]>> = {
  reauth: [
    50173, 70000, 70008, 700082, 700084, 70043, 50089, 50076, 50079, 50074, 50078, 50072, 50055, 50132, 50133, 50144, 50158, 50140, 65001,
    65004, 54005, 16000, 50058, 50085, 700005, 50097,
  ],
  policy: [
    53000, 53001, 53002, 53003, 53011, 530032, 530035, 50053, 50057, 50105, 50020, 50034, 500011, 650052, 65005, 650056, 650057, 90094,
    90095, 7000112,
  ],
  config: [
    7000215, 7000222, 700016, 700011, 7000218, 700025, 700027, 700024, 90002, 50194, 9001023, 9002332, 900971, 50011, 70011, 28002, 28003,
    700022, 700023, 501481, 9002313, 900144, 90014, 90038, 900432, 70002, 70003, 700021, 700030, 1000502, 50013, 50027, 70021, 700211,
    700212, 700213,
  ],
  transient: [90033, 90012, 90024, 90006, 90055, 90090, 90091, 50033, 50087, 50088, 50166, 70012, 40010, 80001, 80002, 80005],
  loop: [50196],
  device: [70016, 70018, 70019],
};
const ROWS = (Object.keys(EXPECTED) as TokenErrorClass[]).flatMap((errorClass) =>
  EXPECTED[errorClass].map((code) => [code, errorClass] as const),
);
const CODES = {
  reauth: 'TOKEN_REAUTH_REQUIRED',
  policy: 'TOKEN_POLICY',
  config: 'TOKEN_MISCONFIGURED',
  transient: 'TOKEN_ENDPOINT_BUSY',
  loop: 'TOKEN_LOOP',
  device: 'TOKEN_REAUTH_REQUIRED',
};

const fields = (changes: Partial<TokenErrorFields> = {}): TokenErrorFields => ({
  error: 'invalid_grant',
  errorCodes: [],
  httpStatus: 400,
  ...changes,
});

describe('AADSTS numbers', () => {
  it.each(ROWS)('%d is %s', (code, errorClass) => {
    const verdict = classifyTokenError(fields({ errorCodes: [code] }));
    expect(verdict.class).toBe(errorClass);
    expect(verdict.isCertain).toBe(true);
    expect(verdict.problem.code).toBe(CODES[errorClass]);
    expect(verdict.problem.cause).toContain(`AADSTS${code}`);
    expect(verdict.problem.remedy.length).toBeGreaterThan(20);
    expect(verdict.problem.heals).toBe(errorClass === 'transient' || errorClass === 'loop' ? 'by-itself' : 'after-repair');
  });

  it('the table has these and no others, each said in one line', () => {
    expect(new Set(ENTRA_ERRORS.keys())).toEqual(new Set(ROWS.map(([code]) => code)));
    for (const { cause, remedy } of ENTRA_ERRORS.values()) expect(cause + remedy).not.toMatch(/[\r\n]/);
  });

  it('an expired client secret leaves the refresh token good', () => {
    const { class: errorClass, problem } = classifyTokenError(fields({ error: 'invalid_client', errorCodes: [7000222], httpStatus: 401 }));
    expect(errorClass).toBe('config');
    expect(problem.remedy).toContain('clientSecret');
    expect(problem.remedy).toContain('The refresh token stays good');
  });
});

describe('the standard fields', () => {
  it.each<[string, Partial<TokenErrorFields>, TokenErrorClass, boolean]>([
    ['an unexplained invalid_grant is doubted', {}, 'reauth', false],
    ['… with an unknown number too', { errorCodes: [123_456] }, 'reauth', false],
    ["Google's expired or revoked", { description: 'Token has been expired or revoked.' }, 'reauth', false],
    ["Google Workspace's reauthentication", { suberror: 'invalid_rapt' }, 'reauth', true],
    ['interaction_required', { error: 'interaction_required' }, 'reauth', true],
    ['interaction_required, blocked by policy', { error: 'interaction_required', errorCodes: [53003] }, 'policy', true],
    ['login_required', { error: 'login_required' }, 'reauth', true],
    ['consent_required', { error: 'consent_required' }, 'reauth', true],
    ['bad_token', { error: 'bad_token' }, 'reauth', true],
    ['suberror message_only', { suberror: 'message_only' }, 'reauth', true],
    ['suberror message_only, blocked by policy', { suberror: 'message_only', errorCodes: [53003] }, 'policy', true],
    ['suberror additional_action', { suberror: 'additional_action' }, 'reauth', true],
    ['suberror basic_action over a number that says otherwise', { suberror: 'basic_action', errorCodes: [90033] }, 'reauth', true],
    ['suberror user_password_expired', { suberror: 'user_password_expired' }, 'reauth', true],
    ['suberror consent_required', { suberror: 'consent_required' }, 'reauth', true],
    ['suberror bad_token', { suberror: 'bad_token' }, 'reauth', true],
    ['an unknown suberror', { suberror: 'moon_phase' }, 'reauth', false],
    ['invalid_client', { error: 'invalid_client', httpStatus: 401 }, 'config', true],
    ['unauthorized_client', { error: 'unauthorized_client' }, 'config', true],
    ['unauthorized_client, application disabled', { error: 'unauthorized_client', errorCodes: [7000112] }, 'policy', true],
    ['invalid_request', { error: 'invalid_request' }, 'config', true],
    ['invalid_scope', { error: 'invalid_scope' }, 'config', true],
    ['invalid_resource', { error: 'invalid_resource', errorCodes: [500011] }, 'policy', true],
    ['unsupported_grant_type', { error: 'unsupported_grant_type' }, 'config', true],
    ['access_denied', { error: 'access_denied' }, 'policy', true],
    ['admin_policy_enforced', { error: 'admin_policy_enforced' }, 'policy', true],
    ['temporarily_unavailable', { error: 'temporarily_unavailable' }, 'transient', true],
    ['server_error', { error: 'server_error' }, 'transient', true],
    ['server_error with the number of a wrong secret', { error: 'server_error', errorCodes: [7000215] }, 'transient', true],
    ['HTTP 503 with invalid_grant', { httpStatus: 503 }, 'transient', true],
    ['HTTP 429 with invalid_client', { httpStatus: 429, error: 'invalid_client' }, 'transient', true],
    ['a loop, whatever the status', { httpStatus: 429, errorCodes: [50196] }, 'loop', true],
    ['a loop beside another number', { errorCodes: [1, 50196] }, 'loop', true],
    ['an error nobody knows', { error: 'whatever_this_is' }, 'transient', true],
    ['a name of every object', { error: '__proto__', suberror: 'constructor' }, 'transient', true],
    ['another', { error: 'toString' }, 'transient', true],
  ])('%s', (_what, changes, errorClass, isCertain) => {
    const verdict = classifyTokenError(fields(changes));
    expect(verdict.class).toBe(errorClass);
    expect(verdict.isCertain).toBe(isCertain);
  });

  it('names what an administrator needs to find it', () => {
    const { cause } = classifyTokenError(
      fields({ errorCodes: [50173], suberror: 'bad_token', traceId: 'trace-7', correlationId: 'correlation-8' }),
    ).problem;
    expect(cause).toContain('[HTTP 400, invalid_grant, bad_token, AADSTS50173, trace id trace-7, correlation id correlation-8]');
  });

  it('shows the description of what it does not know, and not of what it does', () => {
    const description = 'User alice@contoso.com is odd';
    expect(classifyTokenError(fields({ error: 'new_error', description })).problem.cause).toContain(description);
    expect(classifyTokenError(fields({ errorCodes: [50173], description })).problem.cause).not.toContain('alice');
  });
});

describe('a refused service account of Google', () => {
  it.each<[string, string | undefined, TokenErrorClass, RegExp]>([
    [
      'unauthorized_client',
      'Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.',
      'policy',
      /Manage domain-wide delegation/,
    ],
    ['invalid_grant', 'Invalid email or User ID', 'policy', /primary address/],
    ['invalid_grant', 'Invalid grant: account not found', 'config', /gcloud iam service-accounts describe/],
    ['invalid_grant', 'Invalid JWT Signature.', 'config', /keys create/],
    [
      'invalid_grant',
      'Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.',
      'transient',
      /timedatectl/,
    ],
    ['invalid_grant', 'Something new', 'config', /describe/],
    ['invalid_grant', undefined, 'config', /describe/],
    ['invalid_client', 'The OAuth client was not found.', 'config', /describe/],
    ['disabled_client', 'The OAuth client was disabled.', 'config', /describe/],
    ['invalid_scope', 'Invalid OAuth scope or ID token audience provided.', 'config', /mail\.google\.com/],
    ['access_denied', 'Account restricted', 'policy', /domain-wide/],
    ['whatever_this_is', undefined, 'transient', /waits/],
  ])('%s, "%s"', (error, description, errorClass, remedy) => {
    const verdict = classifyTokenError(fields({ grant: 'service_account', error, ...(description === undefined ? {} : { description }) }));
    expect(verdict.class).toBe(errorClass);
    expect(verdict.isCertain).toBe(true);
    expect(verdict.problem.remedy).toMatch(remedy);
    expect(verdict.problem.remedy).not.toContain('postern login');
  });

  it('shows the description of what is not known', () => {
    const what = fields({ grant: 'service_account', description: 'Something new' });
    expect(classifyTokenError(what).problem.cause).toContain('Something new');
  });

  it('is busy where Google is', () => {
    expect(classifyTokenError(fields({ grant: 'service_account', httpStatus: 503 })).class).toBe('transient');
  });
});

describe('a refused application', () => {
  it.each([
    ['an unexplained invalid_grant', fields()],
    ['missing consent', fields({ errorCodes: [65001] })],
    ['interaction_required', fields({ error: 'interaction_required', suberror: 'basic_action' })],
  ])('is never told to sign in again: %s', (_what, refusal) => {
    const verdict = classifyTokenError({ ...refusal, grant: 'client_credentials' });
    expect(verdict).toMatchObject({ class: 'config', isCertain: true, problem: { code: 'TOKEN_MISCONFIGURED' } });
    expect(verdict.problem.remedy).not.toContain('postern login');
    expect(verdict.problem.remedy).toContain('consent');
  });

  it('is judged as ever otherwise', () => {
    expect(classifyTokenError(fields({ grant: 'client_credentials', errorCodes: [700027] })).problem.remedy).toContain('certificate');
    expect(classifyTokenError(fields({ grant: 'client_credentials', errorCodes: [53003] })).class).toBe('policy');
    expect(classifyTokenError(fields({ grant: 'client_credentials', errorCodes: [50196] })).class).toBe('loop');
  });
});

/** The device flow: when we ask, when we stop, and what we make of hostile answers. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type EpochMs, minutes, seconds } from '../../../../src/core/clock.ts';
import { readDeviceResponse } from '../../../../src/token/sign-in/device-response.ts';
import { type DevicePrompt, signInByDevice } from '../../../../src/token/sign-in/device-sign-in.ts';
import type { SignedIn, SignInDependencies } from '../../../../src/token/sign-in/sign-in.ts';
import type { TokenFailure } from '../../../../src/token/token-answer.ts';
import type { TokenHttpRequest } from '../../../../src/token/token-http.ts';
import type { TokenHttpResponse } from '../../../../src/token/token-response.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { enterDeviceCode } from '../../../support/sandbox-person.ts';
import { MAILBOX, problemOf, SignInStage } from './stage.ts';

let stage: SignInStage;
beforeAll(async () => {
  stage = await SignInStage.open();
});
afterAll(async () => stage.close());

type Answer = TokenHttpResponse | TokenFailure;

const json = (status: number, fields: object): TokenHttpResponse => ({ status, host: 'login.test', body: JSON.stringify(fields) });
const refusal = (error: string): TokenHttpResponse => json(400, { error });
const DEVICE = {
  device_code: 'the-device-code',
  user_code: 'ABCD-EFGH',
  verification_uri: 'https://login.test/device',
  expires_in: 900,
  interval: 5,
};
const TOKENS = json(200, { token_type: 'Bearer', access_token: 'the-access-token', refresh_token: 'the-refresh-token', expires_in: 3600 });
const PENDING = refusal('authorization_pending');

/** A provider that answers as the test says, on a clock that stands still until it is moved. */
class Script {
  readonly clock = new FakeClock();
  readonly requests: { readonly url: string; readonly form: Record<string, string>; readonly second: number }[] = [];
  readonly prompts: DevicePrompt[] = [];
  readonly #answers: Answer[];
  readonly #begun = this.clock.monotonic();

  constructor(...answers: Answer[]) {
    this.#answers = [json(200, DEVICE), ...answers];
  }

  sign(): Promise<SignedIn> {
    const deps: SignInDependencies = { ...stage.deps(this.clock), http: { request: (request) => this.#answer(request) } };
    return signInByDevice(stage.account(), (prompt) => this.prompts.push(prompt), deps);
  }

  /** Seconds between the questions to the token endpoint. */
  get waits(): number[] {
    const asked = this.requests.slice(1).map(({ second }) => second);
    return asked.map((second, index) => second - (asked[index - 1] ?? 0));
  }

  async #answer({ url, body = '' }: TokenHttpRequest): Promise<Answer> {
    const form = Object.fromEntries(new URLSearchParams(body));
    this.requests.push({ url: url.href, form, second: (this.clock.monotonic() - this.#begun) / 1000 });
    return this.#answers.shift() ?? PENDING;
  }
}

describe('asking', () => {
  it('goes on at the interval until the person is done', async () => {
    const script = new Script(PENDING, PENDING, TOKENS);
    const signedIn = script.sign();
    await script.clock.advance(minutes(1));
    expect((await signedIn).generation).toBeGreaterThan(0);
    expect(script.waits).toEqual([5, 5, 5]);
    expect(script.requests[1]?.form).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
      device_code: 'the-device-code',
      client_id: stage.sandbox.publicClientId,
    });
    expect(script.prompts).toEqual([expect.objectContaining({ userCode: 'ABCD-EFGH', verificationUri: 'https://login.test/device' })]);
    expect(stage.secrets).toContain('the-device-code');
  });

  it('becomes five seconds slower with each slow_down, for good', async () => {
    const script = new Script(PENDING, refusal('slow_down'), PENDING, refusal('slow_down'), PENDING, TOKENS);
    const signedIn = script.sign();
    await script.clock.advance(minutes(3));
    await signedIn;
    expect(script.waits).toEqual([5, 5, 10, 10, 15, 15]);
  });

  it('backs off while the endpoint cannot be reached, and goes on', async () => {
    const down: TokenFailure = { kind: 'unreachable', cause: 'login.test: connection refused' };
    const script = new Script(down, down, { status: 503, host: 'login.test', body: '' }, PENDING, TOKENS);
    const signedIn = script.sign();
    await script.clock.advance(minutes(10));
    await signedIn;
    expect(script.waits).toEqual([5, 10, 20, 40, 40]);
  });

  it('honours Retry-After', async () => {
    const script = new Script({ ...json(429, {}), retryAfter: '33' }, TOKENS);
    const signedIn = script.sign();
    await script.clock.advance(minutes(2));
    await signedIn;
    expect(script.waits).toEqual([5, 33]);
  });

  it('stops when the code ends', async () => {
    const script = new Script();
    const problem = problemOf(script.sign());
    await script.clock.advance(minutes(15));
    expect(await problem).toMatchObject({ code: 'SIGN_IN_EXPIRED', cause: expect.stringContaining('within 15 minutes') });
    const asked = script.requests.length;
    expect(asked).toBe(1 + 179);
    await script.clock.advance(minutes(15));
    expect(script.requests).toHaveLength(asked);
  });

  it.each([
    ['expired_token', 'SIGN_IN_EXPIRED', 'within 15 minutes'],
    ['authorization_declined', 'SIGN_IN_REFUSED', 'the sign-in was declined (authorization_declined)'],
    ['access_denied', 'SIGN_IN_REFUSED', 'the sign-in was declined (access_denied)'],
    ['bad_verification_code', 'TOKEN_REAUTH_REQUIRED', 'the device code is wrong'],
    ['invalid_client', 'TOKEN_MISCONFIGURED', 'invalid_client'],
  ])('stops at %s', async (error, code, cause) => {
    const script = new Script(PENDING, refusal(error), TOKENS);
    const problem = problemOf(script.sign());
    await script.clock.advance(minutes(1));
    expect(await problem).toMatchObject({ code, cause: expect.stringContaining(cause) });
    expect(script.requests).toHaveLength(3);
  });

  it('stops at nonsense', async () => {
    const script = new Script({ status: 200, host: 'login.test', body: '<html>' });
    const problem = problemOf(script.sign());
    await script.clock.advance(minutes(1));
    expect((await problem).code).toBe('TOKEN_ENDPOINT_NONSENSE');
  });

  it('does not show its code where the endpoint echoes it', async () => {
    const script = new Script(json(400, { error: 'odd', error_description: 'code the-device-code is odd' }));
    const problem = problemOf(script.sign());
    await script.clock.advance(minutes(1));
    expect((await problem).cause).toContain('code [secret] is odd');
  });
});

describe('the answer that starts it', () => {
  const read = (fields: object, status = 200) => readDeviceResponse(json(status, fields), 0 as EpochMs, []);

  it('has defaults for what may be missing', () => {
    const { expires_in: _expires, interval: _interval, ...fields } = DEVICE;
    expect(read(fields)).toMatchObject({ interval: seconds(5), expiresIn: minutes(15) });
  });

  it.each([
    [{ interval: 0 }, { interval: seconds(5) }],
    [{ interval: -1 }, { interval: seconds(5) }],
    [{ interval: 'x' }, { interval: seconds(5) }],
    [{ interval: '7' }, { interval: seconds(7) }],
    [{ interval: 1e9 }, { interval: minutes(1) }],
    [{ expires_in: 1e12 }, { expiresIn: minutes(30) }],
    [{ expires_in: null }, { expiresIn: minutes(15) }],
    [{ verification_uri: 'HTTPS://login.test/a b' }, { verificationUri: 'https://login.test/a%20b' }],
    [
      { verification_uri: undefined, verification_url: 'https://www.google.com/device' },
      { verificationUri: 'https://www.google.com/device' },
    ],
  ])('%j is bounded', (change, expected) => {
    expect(read({ ...DEVICE, ...change })).toMatchObject({ kind: 'device', ...expected });
  });

  it.each([
    { device_code: undefined },
    { device_code: '' },
    { device_code: 'x'.repeat(20_000) },
    { user_code: 7 },
    { user_code: 'x'.repeat(65) },
    { user_code: 'AB\u001b[2JCD' },
    { verification_uri: undefined },
    { verification_uri: 'javascript:alert(1)' },
    { verification_uri: 'file:///etc/passwd' },
    { verification_uri: 'not a url' },
    { verification_uri: `https://login.test/${'x'.repeat(2000)}` },
  ])('%j is not believed', (change) => {
    expect(read({ ...DEVICE, ...change })).toMatchObject({ kind: 'nonsense' });
  });

  it('may be a refusal', async () => {
    expect(read({ error: 'invalid_client', error_description: 'AADSTS700016: not found' }, 400)).toMatchObject({
      kind: 'refused',
      errorCodes: [700016],
    });
    const { deviceUrl: _none, ...provider } = stage.account().provider;
    const problem = await problemOf(signInByDevice({ ...stage.account(), provider }, () => undefined, stage.deps()));
    expect(problem).toMatchObject({ code: 'SIGN_IN_UNAVAILABLE', cause: expect.stringContaining('no sign-in by device code (deviceUrl)') });
  });
});

describe('against the sandbox', () => {
  async function sign(mailbox: string, action?: string): Promise<SignedIn> {
    stage.sandbox.faults.token.devicePollSeconds = 1;
    return signInByDevice(
      stage.account(),
      ({ verificationUri, userCode }) => void enterDeviceCode(verificationUri, userCode.toLowerCase(), mailbox, action),
      stage.deps(),
    );
  }

  it('the mailbox signs in', async () => {
    expect((await sign(MAILBOX)).user).toBe(MAILBOX);
    expect(stage.store.grants.get('billing')?.refreshToken).toMatch(/^1\.sandbox\./);
  });

  it('somebody else is refused, and so is a person who declines', async () => {
    expect((await problemOf(sign('relay@sandbox.test'))).code).toBe('SIGN_IN_WRONG_MAILBOX');
    expect((await problemOf(sign(MAILBOX, 'refuse'))).code).toBe('SIGN_IN_REFUSED');
  });
});

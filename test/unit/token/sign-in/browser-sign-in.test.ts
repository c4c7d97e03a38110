/** Authorization code and PKCE with a browser on this machine, against the sandbox: what ends a sign-in, and what does not. */
import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { minutes } from '../../../../src/core/clock.ts';
import { signInByBrowser } from '../../../../src/token/sign-in/browser-sign-in.ts';
import { DEFAULT_REDIRECT_URI, type LoopbackRedirect, parseRedirectUri } from '../../../../src/token/sign-in/redirect-uri.ts';
import type { SignedIn, SignInAccount } from '../../../../src/token/sign-in/sign-in.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { freePort } from '../../../support/free-port.ts';
import { decide, visit } from '../../../support/sandbox-person.ts';
import { MAILBOX, problemOf, SignInStage } from './stage.ts';

let stage: SignInStage;
beforeAll(async () => {
  stage = await SignInStage.open();
});
afterAll(async () => stage.close());

const redirectOf = (text: string): LoopbackRedirect => {
  const redirect = parseRedirectUri(text);
  if (redirect?.kind !== 'loopback') throw new Error(`${text} is not on loopback`);
  return redirect;
};

interface Started {
  /** The address that the person is shown. */
  readonly url: string;
  readonly outcome: Promise<SignedIn>;
}

async function begin(account: SignInAccount = stage.account(), clock?: FakeClock, redirect = DEFAULT_REDIRECT_URI): Promise<Started> {
  let outcome: Promise<SignedIn> = Promise.reject(new Error('not begun'));
  outcome.catch(() => undefined);
  const url = await new Promise<string>((resolve, reject) => {
    outcome = signInByBrowser(account, { redirect: redirectOf(redirect), show: resolve }, stage.deps(clock));
    outcome.catch(reject);
  });
  // However a test ends, nobody waits for it any more.
  onTestFinished(() => void outcome.catch(() => undefined));
  return { url, outcome };
}

/** Ends a sign-in that a test leaves open. */
async function refuse({ url, outcome }: Started): Promise<void> {
  await Promise.all([problemOf(outcome), visit(await decide(url, MAILBOX, 'refuse'))]);
}

describe('a sign-in', () => {
  it('stores the refresh token and the access token, and says who it was, in the browser too', async () => {
    const { url, outcome } = await begin();
    const page = await visit(await decide(url, MAILBOX));
    const signedIn = await outcome;
    expect(signedIn.user).toBe(MAILBOX);
    expect(page).toMatchObject({ status: 200 });
    expect(page.text).toContain(`${MAILBOX} is signed in for the account billing`);
    const stored = stage.store.grants.get('billing');
    expect(stored?.refreshToken).toMatch(/^1\.sandbox\./);
    expect(stored?.accessToken?.expiresAt).toBe(signedIn.expiresAt);
    expect(stored?.refreshTokenSince).toBe(stored?.savedAt);
    expect(stage.secrets).toContain(stored?.refreshToken);
    expect(stage.secrets).toContain(stored?.accessToken?.value);
  });

  it('asks with PKCE S256, a state of its own, the mailbox as a hint and what the provider wants besides', async () => {
    const account = stage.account(
      {},
      { authorizeParameters: { prompt: 'consent', state: 'fixed', code_challenge_method: 'plain' }, identityScopes: ['openid'] },
    );
    const first = await begin(account);
    const second = await begin(account);
    const [one, other] = [first, second].map((started) => new URL(started.url).searchParams);
    expect(Object.fromEntries(one ?? [])).toMatchObject({
      client_id: stage.sandbox.publicClientId,
      response_type: 'code',
      code_challenge_method: 'S256',
      code_challenge: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      state: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      scope: 'https://outlook.office.com/SMTP.Send offline_access openid',
      login_hint: MAILBOX,
      prompt: 'consent',
      redirect_uri: expect.stringMatching(/^http:\/\/localhost:\d+\/oauth\/callback$/),
    });
    for (const name of ['state', 'code_challenge', 'redirect_uri']) expect(one?.get(name)).not.toBe(other?.get(name));
    await refuse(first);
    await refuse(second);
  });

  it('of a confidential client proves the application', async () => {
    const { clientId, clientSecret, tenant } = stage.sandbox;
    const { url, outcome } = await begin(stage.account({ auth: { grant: 'refresh_token', clientId, clientSecret, tenant } }));
    await visit(await decide(url, MAILBOX));
    expect((await outcome).user).toBe(MAILBOX);
  });

  it('of a confidential client with a wrong secret names the setting, in the browser too', async () => {
    const { clientId, tenant } = stage.sandbox;
    const { url, outcome } = await begin(
      stage.account({ auth: { grant: 'refresh_token', clientId, clientSecret: 'wrong-secret', tenant } }),
    );
    const [problem, page] = await Promise.all([problemOf(outcome), visit(await decide(url, MAILBOX))]);
    expect(problem).toMatchObject({ code: 'TOKEN_MISCONFIGURED', cause: expect.stringContaining('AADSTS7000215') });
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining('AADSTS7000215') });
    expect(JSON.stringify([problem, page.text])).not.toContain('wrong-secret');
  });

  it('of a delegate counts for a shared mailbox', async () => {
    const account = stage.account({ mailbox: 'shared@sandbox.test', smtpUser: 'Relay@sandbox.test' });
    const { url, outcome } = await begin(account);
    expect(new URL(url).searchParams.get('login_hint')).toBe('Relay@sandbox.test');
    await visit(await decide(url, 'relay@sandbox.test'));
    expect((await outcome).user).toBe('Relay@sandbox.test');
  });

  it('of somebody else is refused by name, and nothing is stored', async () => {
    const before = stage.store.saved.length;
    const { url, outcome } = await begin();
    const [problem, page] = await Promise.all([problemOf(outcome), visit(await decide(url, 'relay@sandbox.test'))]);
    expect(problem).toMatchObject({
      code: 'SIGN_IN_WRONG_MAILBOX',
      cause: `relay@sandbox.test signed in, not ${MAILBOX}; nothing was stored`,
    });
    expect(page.text).toContain('relay@sandbox.test signed in');
    expect(stage.store.saved).toHaveLength(before);
  });

  it('whose provider does not say who it was counts, and that is told', async () => {
    stage.sandbox.faults.token.accessTokenFormat = 'opaque';
    const { url, outcome } = await begin();
    const page = await visit(await decide(url, 'relay@sandbox.test'));
    stage.sandbox.faults.token.accessTokenFormat = 'jwt';
    expect((await outcome).user).toBeUndefined();
    expect(page.text).toContain('The sign-in is complete');
  });

  it('that brings no refresh token is of no use', async () => {
    const before = stage.store.saved.length;
    const { url, outcome } = await begin(stage.account({}, { scopes: ['https://outlook.office.com/SMTP.Send'] }));
    const [problem] = await Promise.all([problemOf(outcome), visit(await decide(url, MAILBOX))]);
    expect(problem.code).toBe('SIGN_IN_NO_REFRESH_TOKEN');
    expect(stage.store.saved).toHaveLength(before);
  });

  it('that cannot be stored says so in the browser too', async () => {
    const { url, outcome } = await begin();
    stage.store.isSaveBroken = true;
    const [problem, page] = await Promise.all([problemOf(outcome), visit(await decide(url, MAILBOX))]);
    stage.store.isSaveBroken = false;
    expect(problem.code).toBe('TOKEN_STORE_FAILED');
    expect(page.status).toBe(400);
  });

  it('needs a page to sign in, and an account that somebody signs in to', async () => {
    const { authorizeUrl: _none, ...provider } = stage.account().provider;
    const problem = await problemOf(
      signInByBrowser(
        { ...stage.account(), provider },
        { redirect: redirectOf(DEFAULT_REDIRECT_URI), show: () => undefined },
        stage.deps(),
      ),
    );
    expect(problem).toMatchObject({ code: 'SIGN_IN_UNAVAILABLE', cause: 'provider lab of account billing has no authorizeUrl' });
    const plain = await problemOf(
      signInByBrowser(
        stage.account({}, { authorizeUrl: 'http://login.example.test/authorize?x=1' }),
        { redirect: redirectOf(DEFAULT_REDIRECT_URI), show: () => undefined },
        stage.deps(),
      ),
    );
    expect(plain.cause).toBe('authorizeUrl http://login.example.test/authorize is not https:// (http:// is taken on loopback only)');
  });
});

describe('W03 an answer that is not the one to this sign-in ends nothing', () => {
  it.each<[string, (answer: URL) => void, string]>([
    ['without a state', (answer) => answer.searchParams.delete('state'), 'has no state'],
    ['with an empty state', (answer) => answer.searchParams.set('state', ''), 'belongs to another sign-in'],
    ['with another state', (answer) => answer.searchParams.set('state', 'x'.repeat(43)), 'belongs to another sign-in'],
    ['with two states', (answer) => answer.searchParams.append('state', 'x'), 'belongs to another sign-in'],
    ['without a code', (answer) => answer.searchParams.delete('code'), 'has no code, or more than one'],
    ['with two codes', (answer) => answer.searchParams.append('code', 'x'), 'has no code, or more than one'],
    ['with an id_token', (answer) => answer.searchParams.set('id_token', 'x'), 'is no answer to an authorization request'],
    ['that is signed', (answer) => answer.searchParams.set('response', 'x'), 'is no answer to an authorization request'],
    [
      'with a refusal and no state',
      (answer) => {
        answer.search = '?error=access_denied&error_description=%3Cscript%3Ealert(1)%3C/script%3E';
      },
      'has no state',
    ],
  ])('%s', async (_what, change, why) => {
    const { url, outcome } = await begin();
    const right = await decide(url, MAILBOX);
    const wrong = new URL(right);
    change(wrong);
    const page = await visit(wrong);
    expect(page).toMatchObject({ status: 400, text: expect.stringContaining(why) });
    expect(page.text).not.toContain('script');
    await visit(right);
    expect((await outcome).user).toBe(MAILBOX);
  });

  it('from another sign-in that goes on at the same time', async () => {
    const [first, second] = [await begin(), await begin(stage.account({ name: 'sales' }))];
    const answers = [await decide(first.url, MAILBOX), await decide(second.url, MAILBOX)] as const;
    // The other's code and state, at this one's listener.
    const crossed = new URL(answers[1]);
    crossed.port = answers[0].port;
    expect((await visit(crossed)).text).toContain('belongs to another sign-in');
    await Promise.all(answers.map(async (answer) => visit(answer)));
    expect((await first.outcome).user).toBe(MAILBOX);
    expect((await second.outcome).user).toBe(MAILBOX);
    expect(stage.store.grants.get('sales')?.refreshToken).not.toBe(stage.store.grants.get('billing')?.refreshToken);
  });
});

describe('an answer', () => {
  it('W03 counts once', async () => {
    stage.sandbox.faults.token.next.push({ kind: 'delay', milliseconds: 300 });
    const { url, outcome } = await begin();
    const answer = await decide(url, MAILBOX);
    const requests = stage.sandbox.statistics.token.requests.authorization_code;
    const first = visit(answer);
    // The code is being exchanged; its answer waits for that.
    while (stage.sandbox.statistics.token.requests.authorization_code === requests) await new Promise((resolve) => setImmediate(resolve));
    expect(await visit(answer)).toMatchObject({ status: 400, text: expect.stringContaining('was used already') });
    expect((await first).status).toBe(200);
    await outcome;
    expect(stage.sandbox.statistics.token.requests.authorization_code).toBe(requests + 1);
    await expect(visit(answer)).rejects.toThrow('fetch failed');
  });

  it('W04 with a code of somebody else and the right state is worth nothing: the verifier is bound to this sign-in', async () => {
    const before = stage.store.saved.length;
    const attacker = await begin(stage.account({ name: 'attacker', mailbox: 'relay@sandbox.test', smtpUser: 'relay@sandbox.test' }));
    const victim = await begin();
    const stolen = (await decide(attacker.url, 'relay@sandbox.test')).searchParams.get('code') ?? '';
    const answer = await decide(victim.url, MAILBOX);
    answer.searchParams.set('code', stolen);
    const [problem, page] = await Promise.all([problemOf(victim.outcome), visit(answer)]);
    // The redirect URI is bound to the code as well, and looked at first.
    expect(problem.cause).toMatch(/AADSTS(50011|501481)/);
    expect(page.status).toBe(400);
    expect(JSON.stringify([problem, page.text])).not.toContain(stolen);
    expect(stage.store.saved).toHaveLength(before);
    await refuse(attacker);
  });

  it('W04 with a code of the same redirect URI but another verifier is worth nothing either', async () => {
    const redirect = `http://localhost:${await freePort()}/oauth/callback`;
    const victim = await begin(stage.account(), undefined, redirect);
    const url = new URL(victim.url);
    url.searchParams.set('code_challenge', createHash('sha256').update('v'.repeat(43)).digest('base64url'));
    const [problem] = await Promise.all([problemOf(victim.outcome), visit(await decide(url.href, MAILBOX))]);
    expect(problem.cause).toContain('AADSTS501481');
  });

  it('W03 that refuses ends the sign-in; its words are shown as text', async () => {
    const { url, outcome } = await begin();
    const answer = await decide(url, MAILBOX, 'refuse');
    answer.searchParams.set('error_description', 'AADSTS65004: <script>alert(1)</script> \u001b[31m declined');
    const [problem, page] = await Promise.all([problemOf(outcome), visit(answer)]);
    expect(problem.code).toBe('SIGN_IN_REFUSED');
    expect(problem.cause).not.toMatch(/[\u0000-\u001f]/);
    expect(page.status).toBe(400);
    expect(page.text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(page.text).not.toContain('<script');
  });

  it('W03 that nobody gives in ten minutes ends it, and nobody listens any more', async () => {
    const clock = new FakeClock();
    const { url, outcome } = await begin(stage.account(), clock);
    const answer = await decide(url, MAILBOX);
    const problem = problemOf(outcome);
    await clock.advance(minutes(10));
    expect(await problem).toMatchObject({ code: 'SIGN_IN_EXPIRED', cause: expect.stringContaining('within 10 minutes') });
    await expect(visit(answer)).rejects.toThrow('fetch failed');
  });
});

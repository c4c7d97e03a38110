/** Signing in at a real authorization server (oidc-provider), and living on what comes of it: refresh tokens that rotate, with reuse punished. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { RefreshTokenAuth } from '../../src/core/account.ts';
import { ProblemError } from '../../src/core/problem.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { FileTokenStore } from '../../src/token/file-token-store.ts';
import { signInByBrowser } from '../../src/token/sign-in/browser-sign-in.ts';
import { signInByDevice } from '../../src/token/sign-in/device-sign-in.ts';
import { signInByPaste } from '../../src/token/sign-in/paste-sign-in.ts';
import { DEFAULT_REDIRECT_URI, parseRedirectUri } from '../../src/token/sign-in/redirect-uri.ts';
import { type SignedIn, type SignInAccount, type SignInDependencies, signInAccount } from '../../src/token/sign-in/sign-in.ts';
import { HttpTokenEndpoint } from '../../src/token/token-endpoint.ts';
import { TokenHttp } from '../../src/token/token-http.ts';
import { TokenManager } from '../../src/token/token-manager.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { type AuthorizationServer, startAuthorizationServer } from '../support/real/authorization-server.ts';
import { browse } from '../support/real/oidc-person.ts';
import { visit } from '../support/sandbox-person.ts';

const MAILBOX = 'billing@postern.test';
const SCOPES = ['https://outlook.office.com/SMTP.Send', 'offline_access'];

let server: AuthorizationServer;
let folder: string;
let http: TokenHttp;
let deps: SignInDependencies;
const secrets = new Set<string>();
const log = new MemoryLog();

beforeAll(async () => {
  server = await startAuthorizationServer('app@postern.test');
  // It notes that its pages are the plain ones; they are meant to be.
  vi.spyOn(console, 'info').mockReturnValue();
  http = new TokenHttp({ clock: systemClock });
});
afterAll(async () => {
  vi.restoreAllMocks();
  await http?.close();
  await server?.stop();
});
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-sign-in-'));
  const store = new FileTokenStore({ directory: join(folder, 'tokens'), masterKey: Buffer.alloc(32, 7), log });
  deps = { http, store, clock: systemClock, random: systemRandom, redactor: { add: (secret) => void secrets.add(secret) } };
  return () => rmSync(folder, { recursive: true });
});

function account(changes: Partial<RefreshTokenAuth> = {}): SignInAccount {
  const url = (text: string): string => text.replace('{tenant}', server.tenant);
  return signInAccount(
    testAccount({
      mailbox: MAILBOX,
      smtpUser: MAILBOX,
      provider: testProvider({
        authorizeUrl: url(server.authorizeUrl),
        tokenUrl: url(server.tokenUrl),
        deviceUrl: url(server.deviceUrl),
        scopes: SCOPES,
        identityScopes: ['openid', 'profile'],
        authorizeParameters: { prompt: 'consent' },
      }),
      auth: { grant: 'refresh_token', clientId: server.publicClientId, ...changes },
    }),
  );
}

/** Sign in on the server's own pages. @returns Where the browser is sent. */
async function signIn(login: string, url: string): Promise<URL> {
  const ending = await browse(url, { login, password: 'anything' });
  if (ending.kind !== 'redirect') throw new Error(ending.text);
  return ending.url;
}

async function inBrowser(person: SignInAccount, login = MAILBOX): Promise<{ signedIn: SignedIn; page: string }> {
  const redirect = parseRedirectUri(DEFAULT_REDIRECT_URI);
  if (redirect?.kind !== 'loopback') throw new Error('the default is on loopback');
  let page: Promise<string> = Promise.resolve('');
  const show = (url: string): void => {
    page = signIn(login, url).then(async (answer) => (await visit(answer)).text);
  };
  const signedIn = await signInByBrowser(person, { redirect, show }, deps);
  return { signedIn, page: await page };
}

/** A relay that lives on what was stored: each refresh uses the refresh token that the one before brought. */
async function liveOn(person: SignInAccount, refreshes = 3): Promise<void> {
  const manager = new TokenManager({ ...deps, log, accounts: [person], endpoint: new HttpTokenEndpoint(deps) });
  const before = server.tokenRequests.length;
  await manager.accessToken(person.name);
  expect(server.tokenRequests).toHaveLength(before); // The access token of the sign-in is there.
  const seen = new Set([(await deps.store.load(person.name))?.refreshToken]);
  for (let round = 0; round < refreshes; round += 1) {
    await manager.refresh(person.name);
    seen.add((await deps.store.load(person.name))?.refreshToken);
  }
  await manager.close();
  expect(seen.size).toBe(refreshes + 1);
  expect(server.tokenRequests.slice(before).map(({ grant, status }) => `${grant} ${status}`)).toEqual(
    Array.from({ length: refreshes }, () => 'refresh_token 200'),
  );
}

describe('code with PKCE', () => {
  it('of a public client', async () => {
    const { signedIn, page } = await inBrowser(account());
    expect(signedIn.user).toBe(MAILBOX);
    expect(page).toContain(`${MAILBOX} is signed in`);
    await liveOn(account());
  });

  it('of a confidential client', async () => {
    const { clientId, clientSecret } = server.delegated;
    const { signedIn } = await inBrowser(account({ clientId, clientSecret }));
    expect(signedIn.user).toBe(MAILBOX);
    await liveOn(account({ clientId, clientSecret }));
  });

  it('of somebody else is refused, as the id_token tells', async () => {
    await expect(inBrowser(account(), 'boss@postern.test')).rejects.toThrow('boss@postern.test signed in, not billing@postern.test');
    expect(await deps.store.load('billing')).toBeUndefined();
  });

  it('without scopes for who it was cannot tell, and says so', async () => {
    const person = account();
    const { identityScopes: _none, ...provider } = person.provider;
    const { signedIn } = await inBrowser({ ...person, provider }, 'boss@postern.test');
    expect(signedIn.user).toBeUndefined();
  });

  it('with the verifier of another sign-in fails, and nothing is stored', async () => {
    // The code was asked for with this challenge; ours is another.
    const swapped = (url: string): string => url.replace(/code_challenge=[^&]+/, `code_challenge=${'A'.repeat(43)}`);
    let shown = '';
    const pasting = signInByPaste(
      account(),
      {
        redirectUri: DEFAULT_REDIRECT_URI,
        show: (url) => void (shown = swapped(url)),
        ask: async () => (await signIn(MAILBOX, shown)).href,
      },
      deps,
    );
    await expect(pasting).rejects.toThrow(ProblemError);
    expect(server.tokenRequests.at(-1)).toMatchObject({ grant: 'authorization_code', status: 400, error: 'invalid_grant' });
    expect(await deps.store.load('billing')).toBeUndefined();
  });

  it('pasted back', async () => {
    let shown = '';
    const signedIn = await signInByPaste(
      account(),
      { redirectUri: DEFAULT_REDIRECT_URI, show: (url) => void (shown = url), ask: async () => (await signIn(MAILBOX, shown)).href },
      deps,
    );
    expect(signedIn.user).toBe(MAILBOX);
    await liveOn(account());
  });
});

describe('device code', () => {
  it('of a public client, and of a confidential one', async () => {
    const { clientId, clientSecret } = server.delegated;
    for (const person of [account(), account({ clientId, clientSecret })]) {
      const typed: Promise<unknown>[] = [];
      const signedIn = await signInByDevice(
        person,
        ({ verificationUri, userCode }) => {
          typed.push(browse(verificationUri, { user_code: userCode, login: MAILBOX, password: 'anything' }));
        },
        deps,
      );
      await Promise.all(typed);
      expect(signedIn.user).toBe(MAILBOX);
      await liveOn(person, 2);
    }
  });
});

it('no token, code or verifier is in the log', () => {
  expect(secrets.size).toBeGreaterThan(20);
  const text = JSON.stringify(log.lines);
  expect([...secrets, ...server.issuedTokens].filter((secret) => text.includes(secret))).toEqual([]);
});

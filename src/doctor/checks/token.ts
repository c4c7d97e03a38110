/**
 * The access token: whether it comes, what is in it, and how long the refresh token still lives.
 *
 * It is got in the way that a running Postern gets it: a stored one that lives is used; one that is fetched is stored, with the refresh token that came
 * with it.
 *
 * @packageDocumentation
 */
import { between, days, type EpochMs, plus } from '../../core/clock.ts';
import { problem } from '../../core/problem.ts';
import { type Check, fail, ok, skip, warn } from '../check.ts';
import { isExchange } from '../exchange.ts';
import { judgeEnd } from '../secret-end.ts';
import { decodeClaims } from '../token-claims.ts';
import { judgeContent } from '../token-content.ts';

/** Entra ends a refresh token that was not used for so long (AADSTS700082). */
const IDLE_LIFE = days(90);

export const tokenCheck: Check = {
  name: 'token',
  needs: ['state'],
  async run(examination) {
    const { account, tokens, given } = examination;
    if (account.auth.grant === 'basic') return judgeBasic(isExchange(account.provider));
    if (tokens === undefined) return skip('the state was not opened');
    const begun = given.clock.now();
    const token = await tokens.accessToken(account.name);
    examination.token = token;
    examination.claims = decodeClaims(token.value);
    const obtainedAt = tokens.obtainedAt() ?? begun;
    examination.isTokenFresh = obtainedAt >= begun;
    const origin = examination.isTokenFresh ? 'obtained now' : `stored, obtained ${ago(obtainedAt, begun)}`;
    const kind = examination.claims === undefined ? 'opaque' : 'JWT';
    return ok(`${origin}, ends in ${minutesIn(begun, token.expiresAt)} minutes; ${kind} of ${token.value.length} characters`);
  },
};

/** Microsoft ends this for existing tenants by default at the end of December 2026. */
function judgeBasic(isMicrosoft: boolean) {
  if (!isMicrosoft) return ok('grant basic: signs in with user name and password, no token');
  const remedy = 'Use OAuth: set accounts[].auth.grant to refresh_token or client_credentials (docs/providers.md).';
  const cause = 'grant basic: Exchange Online switches SMTP sign-in by password off by default at the end of December 2026';
  return warn(problem('UPSTREAM_MISCONFIGURED', cause, { remedy }));
}

export const tokenContentCheck: Check = {
  name: 'token-content',
  needs: ['token'],
  run({ account, token, claims, given: { needed, clock } }) {
    if (token === undefined) return skip('grant basic uses no tokens');
    if (!isExchange(account.provider)) return skip(`what is in a token of provider ${account.provider.name} is not for clients to read`);
    if (claims === undefined) return skip('the token is opaque, as personal accounts get them: only the mail servers can tell');
    return judgeContent(claims, account, needed, clock.now());
  },
};

export const refreshTokenCheck: Check = {
  name: 'refresh-token',
  needs: ['state'],
  async run({ account, tokens, given: { clock } }) {
    const { auth, provider } = account;
    if (auth.grant !== 'refresh_token') return skip(`grant ${auth.grant} has no refresh token`);
    const grant = await tokens?.stored();
    if (grant?.refreshToken === undefined) {
      if (auth.refreshToken === undefined) return fail(problem('TOKEN_MISSING'));
      return skip('the one in the configuration has not been used yet');
    }
    const since = grant.savedAt; // Each use is saved, whether it brought a new one or not.
    if (!isExchange(provider)) return ok(`in use since ${dateOf(since)}; provider ${provider.name} does not say how long it lives`);
    const remedy = 'Keep Postern running, which renews it; once it has ended, sign in again: postern login ACCOUNT.';
    const what = `unused, the refresh token (renewed ${ago(since, clock.now())})`;
    return judgeEnd(what, plus(since, IDLE_LIFE), clock.now(), remedy);
  },
};

const dateOf = (moment: EpochMs): string => new Date(moment).toISOString().slice(0, 10);

const minutesIn = (now: EpochMs, end: EpochMs): number => Math.max(0, Math.floor(between(now, end) / 60_000));

function ago(then: EpochMs, now: EpochMs): string {
  const past = Math.max(0, between(then, now));
  if (past < 60_000) return 'just now';
  if (past < 2 * 3_600_000) return `${Math.floor(past / 60_000)} minutes ago`;
  return past < days(2) ? `${Math.floor(past / 3_600_000)} hours ago` : `${Math.floor(past / days(1))} days ago`;
}

/** Sign-in with a browser elsewhere: the address is pasted back. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { minutes } from '../../../../src/core/clock.ts';
import { DEFAULT_REDIRECT_URI } from '../../../../src/token/sign-in/redirect-uri.ts';
import { signInByPaste } from '../../../../src/token/sign-in/paste-sign-in.ts';
import type { SignedIn } from '../../../../src/token/sign-in/sign-in.ts';
import { FakeClock } from '../../../support/fake-clock.ts';
import { decide } from '../../../support/sandbox-person.ts';
import { MAILBOX, problemOf, SignInStage } from './stage.ts';

let stage: SignInStage;
beforeAll(async () => {
  stage = await SignInStage.open();
});
afterAll(async () => stage.close());

interface Told {
  complaints: (string | undefined)[];
}

const NOBODY: Told = { complaints: [] };

/** @param bring - The texts that the person pastes, one after another, made from the address where the browser ended. */
async function paste(
  bring: (answer: URL, shown: string) => readonly string[],
  { mailbox = MAILBOX, action = 'accept' as const, redirectUri = DEFAULT_REDIRECT_URI, told = NOBODY } = {},
): Promise<SignedIn> {
  let shown = '';
  let texts: string[] | undefined;
  return signInByPaste(
    stage.account(),
    {
      redirectUri,
      show: (url) => {
        shown = url;
      },
      ask: async (complaint) => {
        told.complaints.push(complaint);
        texts ??= [...bring(await decide(shown, mailbox, action), shown)];
        return texts.shift();
      },
    },
    stage.deps(),
  );
}

describe('a pasted address', () => {
  it.each<[string, (answer: URL) => string]>([
    ['as it is', (answer) => answer.href],
    ['in quotes and blanks', (answer) => `  "${answer.href}"\t`],
    ['in angle brackets', (answer) => `<${answer.href}>`],
    ['without its beginning', (answer) => answer.href.replace('http://', '')],
    ['the part behind the question mark', (answer) => answer.search],
    ['without the question mark', (answer) => answer.search.slice(1)],
    ['with parameters that providers add', (answer) => `${answer.href}&session_state=abc&iss=https%3A%2F%2Fexample.test`],
  ])('completes the sign-in: %s', async (_what, text) => {
    expect((await paste((answer) => [text(answer)])).user).toBe(MAILBOX);
  });

  it('goes to the redirect URI without a port, where nobody listens', async () => {
    const seen: string[] = [];
    await paste((answer) => {
      seen.push(answer.origin + answer.pathname);
      return [answer.href];
    });
    expect(seen).toEqual([DEFAULT_REDIRECT_URI]);
  });

  it('that cannot be used is explained, and another one asked for', async () => {
    const told: Told = { complaints: [] };
    const { user } = await paste(
      (answer, shown) => {
        const other = new URL(answer);
        other.searchParams.set('state', 'other');
        return ['', 'hello', shown, other.href, answer.href.replace(/&state=.*/, ''), 'x'.repeat(40_000), answer.href];
      },
      { told },
    );
    expect(user).toBe(MAILBOX);
    expect(told.complaints).toEqual([
      undefined,
      'it is no address with a code in it',
      'it is no address with a code in it',
      'it has no code, or more than one',
      'it belongs to another sign-in (state)',
      'it has no state',
      'it is no address with a code in it',
    ]);
  });

  it('that never comes ends the sign-in', async () => {
    expect(await problemOf(paste(() => []))).toMatchObject({ code: 'SIGN_IN_ANSWER_INVALID', cause: 'no address was pasted' });
    expect(await problemOf(paste(() => ['hello']))).toMatchObject({
      code: 'SIGN_IN_ANSWER_INVALID',
      cause: 'the address that was pasted cannot be used: it is no address with a code in it',
    });
    expect((await problemOf(paste(() => Array.from({ length: 50 }, () => 'again')))).code).toBe('SIGN_IN_ANSWER_INVALID');
  });

  it('of a refusal says what the provider said', async () => {
    const problem = await problemOf(paste((answer) => [answer.href], { action: 'refuse' as 'accept' }));
    expect(problem).toMatchObject({ code: 'SIGN_IN_REFUSED', cause: expect.stringContaining('AADSTS65004') });
  });

  it('of somebody else is refused', async () => {
    const problem = await problemOf(paste((answer) => [answer.href], { mailbox: 'relay@sandbox.test' }));
    expect(problem.code).toBe('SIGN_IN_WRONG_MAILBOX');
  });

  it('shows its code nowhere', async () => {
    let code = '';
    const problem = await problemOf(
      paste((answer) => {
        code = answer.searchParams.get('code') ?? '';
        answer.searchParams.set('state', 'other');
        return [answer.href];
      }),
    );
    expect(code.length).toBeGreaterThan(20);
    expect(JSON.stringify(problem)).not.toContain(code);
  });
});

it('ends after ten minutes, also while somebody is asked', async () => {
  const clock = new FakeClock();
  let problem: ReturnType<typeof problemOf> | undefined;
  // The flow is begun only once somebody is asked; ten minutes count from there.
  await new Promise<void>((isAsked) => {
    const ask = (): Promise<never> => {
      isAsked();
      return new Promise(() => undefined);
    };
    problem = problemOf(
      signInByPaste(stage.account(), { redirectUri: DEFAULT_REDIRECT_URI, show: () => undefined, ask }, stage.deps(clock)),
    );
  });
  await clock.advance(minutes(10));
  expect((await problem)?.code).toBe('SIGN_IN_EXPIRED');
});

it('does not take an address that comes later', async () => {
  const clock = new FakeClock();
  let shown = '';
  const asked = signInByPaste(
    stage.account(),
    {
      redirectUri: DEFAULT_REDIRECT_URI,
      show: (url) => {
        shown = url;
      },
      ask: async () => {
        const answer = await decide(shown, MAILBOX);
        await clock.advance(minutes(10));
        return answer.href;
      },
    },
    stage.deps(clock),
  );
  expect((await problemOf(asked)).code).toBe('SIGN_IN_EXPIRED');
});

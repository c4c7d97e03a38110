/**
 * Signing in on the admin port, for pages: a password becomes a cookie that scripts cannot read, and a token that other sites cannot.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { type ApiAnswer, type ApiRequest, type DocumentedRoute, parse } from './api.ts';
import { SESSION_LIMIT } from './admin-sessions.ts';
import { COOKIE, cookieOf, type Doorkeeper } from './doorkeeper.ts';

const PATH = '/api/v1/session';

const signInSchema = z.strictObject({ password: z.string().max(1024) });
const sessionSchema = z.object({
  isSignedIn: z.boolean().describe('Whether requests like this one are served.'),
  asksForPassword: z.boolean(),
  csrfToken: z.string().describe('For the header X-CSRF-Token. Only where signed in.').optional(),
});

/** On the admin port only: the control socket asks for nothing. */
export function sessionRoutes(doorkeeper: Doorkeeper): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: PATH,
      access: 'guest',
      summary: 'Whether the request comes from somebody who is signed in, and the token for changes.',
      answer: sessionSchema,
      run: (request) => look(doorkeeper, request),
    },
    {
      method: 'POST',
      path: PATH,
      access: 'guest',
      summary: 'Sign in: the answer sets the cookie `postern_session`.',
      body: signInSchema,
      answer: sessionSchema,
      run: (request) => begin(doorkeeper, request),
    },
    {
      method: 'DELETE',
      path: PATH,
      summary: 'Sign out.',
      answer: sessionSchema,
      run: (request) => Promise.resolve(end(doorkeeper, request)),
    },
  ];
}

async function look(doorkeeper: Doorkeeper, { headers, peer }: ApiRequest): Promise<ApiAnswer> {
  const isSignedIn = await doorkeeper.isOperator(headers, peer);
  const cookie = cookieOf(headers);
  const token = isSignedIn ? { csrfToken: doorkeeper.sessions.csrfToken(cookie) } : {};
  return { status: 200, json: { isSignedIn, asksForPassword: doorkeeper.asksForPassword, ...token } };
}

async function begin(doorkeeper: Doorkeeper, { body, peer }: ApiRequest): Promise<ApiAnswer> {
  const { password } = parse(signInSchema, body);
  const cookie = await doorkeeper.signIn(password, peer);
  const csrfToken = doorkeeper.sessions.csrfToken(cookie);
  return {
    status: 200,
    json: { isSignedIn: true, asksForPassword: doorkeeper.asksForPassword, csrfToken },
    headers: { 'set-cookie': cookieField(doorkeeper, cookie, SESSION_LIMIT / 1000) },
  };
}

function end(doorkeeper: Doorkeeper, { headers }: ApiRequest): ApiAnswer {
  const cookie = cookieOf(headers);
  if (cookie !== undefined) doorkeeper.sessions.end(cookie);
  return {
    status: 200,
    json: { isSignedIn: !doorkeeper.asksForPassword, asksForPassword: doorkeeper.asksForPassword },
    headers: { 'set-cookie': cookieField(doorkeeper, '', 0) },
  };
}

const cookieField = ({ isTls }: Doorkeeper, value: string, maxAge: number): string =>
  `${COOKIE}=${value}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${maxAge}${isTls ? '; Secure' : ''}`;

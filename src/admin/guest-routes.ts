/**
 * What the owner of a mailbox does who was given a link, over HTTP: without the admin password, and nothing but this.
 *
 * The link's secret comes in the body of one request, and is answered with a token for the others (`X-Guest-Token`), which no browser sends by itself: a page of
 * another site cannot have a request made in the guest's name. The door refuses foreign names and origins as for every request.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { Clock } from '../core/ports/clock.ts';
import { GUEST_WAYS, type GuestSignIn } from '../core/ports/sign-in-links.ts';
import { ProblemError } from '../core/problem.ts';
import { LoginThrottle } from '../policy/login-throttle.ts';
import { type ApiRequest, ApiRefusal, answerWith, type DocumentedRoute, parse } from './api.ts';
import { addressOf } from './doorkeeper.ts';
import { moment, problemSchema } from './shared-schemas.ts';

const PATH = '/api/v1/guest';
/** One bucket for all failures of a peer. */
const USER = 'guest';

const openBody = z.strictObject({ secret: z.string().min(1).max(128) });
const wayBody = z.strictObject({ way: z.enum(GUEST_WAYS) });
const pasteBody = z.strictObject({ address: z.string().max(16_384) });

const viewShape = {
  user: z.string().describe('As whom to sign in.'),
  ways: z.array(z.enum(GUEST_WAYS)),
  until: moment.describe('Nothing can be begun from then on.'),
  signIn: z
    .object({
      way: z.enum(GUEST_WAYS),
      state: z.enum(['begun', 'waiting', 'done', 'failed']),
      url: z.string().optional(),
      userCode: z.string().optional(),
      complaint: z.string().optional(),
      user: z.string().optional(),
      problem: problemSchema.optional(),
    })
    .optional(),
};
const viewSchema = z.object(viewShape);
const openedSchema = z.object({ ...viewShape, token: z.string().describe('For the header X-Guest-Token. Told this once.') });

/** On the admin port only. */
export function guestRoutes(guests: GuestSignIn, clock: Pick<Clock, 'monotonic'>): readonly DocumentedRoute[] {
  const failures = new LoginThrottle();
  return [
    {
      method: 'POST',
      path: PATH,
      access: 'guest',
      summary: 'Open a link, which is used up by that.',
      body: openBody,
      answer: openedSchema,
      run: async ({ body, peer }) =>
        answerWith(await throttled(failures, clock, peer, () => guests.open(parse(openBody, body).secret, peer))),
    },
    {
      method: 'GET',
      path: PATH,
      access: 'guest',
      summary: 'How the sign-in of a guest goes.',
      answer: viewSchema,
      run: (request) => Promise.resolve(answerWith(guests.look(tokenOf(request)))),
    },
    {
      method: 'POST',
      path: `${PATH}/sign-in`,
      access: 'guest',
      summary: 'Begin to sign in as the mailbox: the answer says what to open.',
      body: wayBody,
      answer: viewSchema,
      run: async (request) => answerWith(await guests.start(tokenOf(request), parse(wayBody, request.body).way)),
    },
    {
      method: 'POST',
      path: `${PATH}/address`,
      access: 'guest',
      summary: 'Bring the address where the browser has ended.',
      body: pasteBody,
      answer: viewSchema,
      run: (request) => Promise.resolve(answerWith(guests.paste(tokenOf(request), parse(pasteBody, request.body).address))),
    },
  ];
}

const tokenOf = ({ headers }: ApiRequest): string => {
  const token = headers['x-guest-token'];
  return typeof token === 'string' ? token : '';
};

/** A secret cannot be guessed; whoever tries all the same is slowed down. @throws ApiRefusal */
async function throttled<Answer>(
  failures: LoginThrottle,
  clock: Pick<Clock, 'monotonic'>,
  peer: string,
  work: () => Promise<Answer>,
): Promise<Answer> {
  const address = addressOf(peer);
  const penalty = failures.penalty(address, USER, clock.monotonic());
  if (penalty > 0) {
    const wait = Math.ceil(penalty / 1000);
    throw new ApiRefusal(429, 'SIGN_IN_LINK_INVALID', `too many links that are not good; the next one counts in ${wait} s`, {
      'retry-after': String(wait),
    });
  }
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'SIGN_IN_LINK_INVALID')
      failures.noteFailure(address, USER, clock.monotonic());
    throw error;
  }
}

/**
 * Fetch rules over HTTP: how they are, and what an operator does to them.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { FetchControl, FetchView } from '../core/ports/fetch-control.ts';
import { ProblemError } from '../core/problem.ts';
import { absent, answerWith, type DocumentedRoute, parse } from './api.ts';

const moment = z.iso.datetime();

/** One rule. */
export const fetchViewSchema: z.ZodType<FetchView> = z.object({
  name: z.string(),
  account: z.string(),
  mailbox: z.string(),
  sink: z.string().describe('Where messages go.'),
  state: z.enum(['starting', 'working', 'waiting', 'backing-off', 'paused', 'stopped']),
  isPaused: z.boolean().describe('Whether it is to rest; `state` says `paused` once the message under way is finished.'),
  uidValidity: z.string().optional(),
  lastUid: z.number().describe('Up to here messages are settled, but for those held or set aside.').optional(),
  fetched: z.number().describe('Messages since this process began.'),
  held: z.number().describe('Messages that are offered again later.'),
  owed: z.number().describe('Messages that were handed on and are still to be marked, moved or deleted.'),
  aside: z.array(z.object({ uid: z.number(), at: moment, code: z.string(), cause: z.string() })),
  asideCount: z.number().describe('Messages that are not tried any more; `aside` has the first 100.'),
  lastFetchedAt: moment.optional(),
  lastLookAt: moment.describe('When everything in the mailbox had been seen.').optional(),
  lagSeconds: z.number().describe('From the arrival of the last message until it was handed on.').optional(),
  problem: z
    .object({ code: z.string(), cause: z.string(), heals: z.enum(['by-itself', 'after-repair', 'never']), remedy: z.string() })
    .optional(),
  nextAttemptAt: moment.optional(),
});

/** All rules. */
export const fetchViewsSchema = z.object({ items: z.array(fetchViewSchema) });

const runSchema = z.strictObject({
  aside: z.boolean().prefault(false).describe('Those set aside are tried again.'),
});
const pauseSchema = z.strictObject({ paused: z.boolean() });

/** All operations on `fetch`. */
export function fetchRoutes(rules: FetchControl): readonly DocumentedRoute[] {
  const change = (
    verb: 'run' | 'reset' | 'pause',
    summary: string,
    body: z.ZodType | undefined,
    work: (rule: string, body: unknown) => Promise<FetchView>,
  ): DocumentedRoute => ({
    method: 'POST',
    path: `/api/v1/fetch/:rule/${verb}`,
    summary,
    ...(body === undefined ? {} : { body }),
    answer: fetchViewSchema,
    run: async ({ parameters, body: given }) => answerWith(await known(() => work(parameters['rule'] ?? '', given))),
  });
  return [
    {
      method: 'GET',
      path: '/api/v1/fetch',
      summary: 'Fetch rules, in the order of the configuration.',
      answer: fetchViewsSchema,
      run: async () => answerWith({ items: await rules.list() }),
    },
    change('run', 'Look at the mailbox now.', runSchema, (rule, body) => rules.run(rule, parse(runSchema, body).aside)),
    change('reset', 'Begin as if the rule ran for the first time. Messages may come again.', undefined, (rule) => rules.reset(rule)),
    change('pause', 'Pause the rule, or let it go on.', pauseSchema, (rule, body) =>
      rules.setPaused(rule, parse(pauseSchema, body).paused),
    ),
  ];
}

async function known(work: () => Promise<FetchView>): Promise<FetchView> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof ProblemError && error.problem.code === 'FETCH_RULE_UNKNOWN') throw absent(error.problem.cause);
    throw error;
  }
}

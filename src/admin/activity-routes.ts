/**
 * What went through the relay lately, over HTTP, and a stream of events that says when to look again.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { seconds } from '../core/clock.ts';
import {
  type Activity,
  type Caller,
  MESSAGE_OUTCOMES,
  type Rate,
  RATE_WINDOWS,
  type SeenMessage,
  type SeenMessageInFull,
} from '../core/ports/activity.ts';
import type { Clock } from '../core/ports/clock.ts';
import { absent, answerWith, type DocumentedRoute, EVENT_STREAM, parseQuery } from './api.ts';
import { count, moment, problemSchema } from './shared-schemas.ts';

const MOST_LISTED = 500;
/** So that many messages at once are one event. */
const CALM = seconds(1);
/** Comments keep proxies and browsers from giving the stream up. */
const HEARTBEAT = seconds(15);

const messagesQuery = z.strictObject({
  text: z
    .string()
    .max(200)
    .describe('Part of a sender, recipient, subject, queue id, client, account, peer, Message-ID or reply, in any case of letters.')
    .optional(),
  subject: z.string().max(200).describe('Part of a subject, in any case of letters.').optional(),
  outcome: z.enum(MESSAGE_OUTCOMES).optional(),
  account: z.string().max(64).optional(),
  client: z.string().max(64).optional(),
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).prefault(50),
});

const messageSchema = z.object({
  queueId: z.string(),
  outcome: z.enum(MESSAGE_OUTCOMES),
  firstAt: moment,
  lastAt: moment,
  account: z.string().optional(),
  client: z.string().optional(),
  peer: z.string().optional(),
  reversePath: z.string().optional(),
  forwardPaths: z.array(z.string()),
  subject: z
    .string()
    .describe(
      'Decoded, at most 200 characters. Absent where it has none, where `admin.subjects` is off or there is no `admin` section, and where the message came before the start.',
    )
    .optional(),
  messageId: z.string().optional(),
  size: count.optional(),
  reply: z.string().optional(),
  problem: problemSchema.optional(),
});

const messageInFullSchema: z.ZodType<SeenMessageInFull> = messageSchema.extend({
  steps: z.array(
    z.object({
      at: moment,
      level: z.string(),
      event: z.string(),
      message: z.string(),
      forwardPaths: z.array(z.string()).optional(),
      upstream: z.string().optional(),
      reply: z.string().optional(),
      attempt: count.optional(),
      durationMs: count.optional(),
      problem: problemSchema.optional(),
    }),
  ),
  dropped: count.describe('Steps in the middle that are no longer kept.'),
}) as never;

const callerSchema = z.object({
  peer: z.string(),
  client: z.string().optional(),
  firstAt: moment,
  lastAt: moment,
  sessions: count,
  messages: count,
  refusals: count,
  tls: z.string().optional(),
  mechanism: z.string().optional(),
  refusal: z.object({ at: moment, problem: problemSchema }).optional(),
});

const rateQuery = z.strictObject({ window: z.enum(RATE_WINDOWS).prefault('1h') });
const rateSchema = z.object({ from: moment, relayed: count, queued: count, failed: count });

/** What the stream of events is timed by. */
export type EventClock = Pick<Clock, 'startTimer'>;

/** Operations on what was seen lately. */
export function activityRoutes(activity: Activity, clock: EventClock): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/messages',
      summary: 'Messages seen lately, newest first, whether they were queued or not. Kept in memory: 2,000 of them.',
      query: messagesQuery,
      answer: z.object({ items: z.array(messageSchema) as never as z.ZodType<readonly SeenMessage[]> }),
      run: ({ query }) => {
        const { limit, ...filter } = parseQuery(messagesQuery, query);
        return Promise.resolve(answerWith({ items: activity.messages(filter, limit) }));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/messages/:id',
      summary: 'One message, with its path through the relay.',
      answer: messageInFullSchema,
      run: ({ parameters }) => {
        const found = activity.message(parameters['id'] ?? '');
        if (found === undefined) throw absent('no message with this queue id was seen lately');
        return Promise.resolve(answerWith(found));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/callers',
      summary: 'Who connects, and who was refused; the one that came last first.',
      answer: z.object({ items: z.array(callerSchema) as never as z.ZodType<readonly Caller[]> }),
      run: () => Promise.resolve(answerWith({ items: activity.callers() })),
    },
    {
      method: 'GET',
      path: '/api/v1/rates',
      summary: 'Messages by minute or hour, oldest first.',
      query: rateQuery,
      answer: z.object({ items: z.array(rateSchema) as never as z.ZodType<readonly Rate[]> }),
      run: ({ query }) => Promise.resolve(answerWith({ items: activity.rates(parseQuery(rateQuery, query).window) })),
    },
    {
      method: 'GET',
      path: '/api/v1/events',
      summary: 'A stream of server-sent events: `changed` whenever there is something new to look at, at most once a second.',
      answer: EVENT_STREAM,
      run: () => Promise.resolve({ status: 200, type: EVENT_STREAM, chunks: events(activity, clock) }),
    },
  ];
}

/** Ends when the reader leaves, or the relay stops. */
async function* events(activity: Activity, clock: EventClock): AsyncGenerator<Uint8Array, void, undefined> {
  let known = 0;
  yield Buffer.from(': begun\n\n');
  for (;;) {
    const waiting = new AbortController();
    const timer = clock.startTimer(HEARTBEAT, () => waiting.abort(), { isBackground: true });
    const now = await activity.changed(known, waiting.signal);
    timer.cancel();
    if (activity.isClosed) return;
    if (now === known) yield Buffer.from(': still here\n\n');
    else yield Buffer.from(`event: changed\ndata: ${now}\n\n`);
    known = now;
    await new Promise<void>((resolve) => void clock.startTimer(CALM, resolve, { isBackground: true }));
  }
}

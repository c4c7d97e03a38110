/**
 * Traces over HTTP: begin one, look what it has heard, remove it.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { seconds } from '../core/clock.ts';
import type { TraceReading, Traces, TraceSubject, TraceView } from '../core/ports/traces.ts';
import { absent, answerWith, type DocumentedRoute, parse, parseQuery } from './api.ts';

const moment = z.iso.datetime();
const name = z.string().min(1).max(64);

const startSchema = z
  .strictObject({
    client: name.optional(),
    account: name.optional(),
    message: z
      .string()
      .regex(/^[0-9A-Z]{16}$/, { error: 'is not a queue id: 16 digits and capital letters' })
      .optional(),
    seconds: z.int().min(1).max(86_400).describe('How long it listens. Default: 900.').optional(),
  })
  .refine(({ client, account, message }) => [client, account, message].filter((one) => one !== undefined).length === 1, {
    error: 'must have exactly one of client, account and message',
  });

const readSchema = z.strictObject({
  after: z.coerce.number().int().min(0).prefault(0).describe('Number of the last line that is known: those that follow.'),
});

/** One trace. */
export const traceSchema: z.ZodType<TraceView> = z.object({
  id: z.string(),
  subject: z.object({ kind: z.enum(['client', 'account', 'message']), name: z.string() }),
  startedAt: moment,
  endsAt: moment,
  isListening: z.boolean(),
  heard: z.number(),
  dropped: z.number().describe('Lines heard that are no longer kept.'),
});

/** All traces. */
export const tracesSchema = z.object({ items: z.array(traceSchema) });

/** What a trace has heard. */
export const readingSchema: z.ZodType<TraceReading> = z.object({
  trace: traceSchema,
  lines: z.array(
    z.object({ number: z.number(), at: moment, level: z.string(), message: z.string(), fields: z.record(z.string(), z.unknown()) }),
  ),
});

/** The answer to a removal. */
export const removedSchema = z.object({ removed: z.literal(true) });

/** All operations on `traces`. */
export function traceRoutes(traces: Traces): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/traces',
      summary: 'Traces, oldest first.',
      answer: tracesSchema,
      run: async () => answerWith({ items: await traces.list() }),
    },
    {
      method: 'POST',
      path: '/api/v1/traces',
      summary: 'Trace a client, an account or a message: everything that is said about it is kept, without secrets.',
      body: startSchema,
      answer: traceSchema,
      run: async ({ body }) => {
        const asked = parse(startSchema, body);
        return answerWith(await traces.start(subjectOf(asked), asked.seconds === undefined ? undefined : seconds(asked.seconds)));
      },
    },
    {
      method: 'GET',
      path: '/api/v1/traces/:id',
      summary: 'What a trace has heard.',
      query: readSchema,
      answer: readingSchema,
      run: async ({ parameters, query }) => {
        const reading = await traces.read(parameters['id'] ?? '', parseQuery(readSchema, query).after);
        if (reading === undefined) throw noTrace();
        return answerWith(reading);
      },
    },
    {
      method: 'DELETE',
      path: '/api/v1/traces/:id',
      summary: 'Remove a trace, and what it has heard.',
      answer: removedSchema,
      run: async ({ parameters }) => {
        if (!(await traces.remove(parameters['id'] ?? ''))) throw noTrace();
        return answerWith({ removed: true });
      },
    },
  ];
}

const noTrace = () => absent('there is no such trace: it was removed, or Postern has restarted since');

function subjectOf({ client, account, message }: z.output<typeof startSchema>): TraceSubject {
  if (client !== undefined) return { kind: 'client', name: client };
  return account === undefined ? { kind: 'message', name: message ?? '' } : { kind: 'account', name: account };
}

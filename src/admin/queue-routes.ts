/**
 * The queue over HTTP: list, show, content, and one operation for each verb.
 *
 * They know nothing of the server they are mounted on, nor of the spool: a {@link QueueControl} does the work.
 *
 * @packageDocumentation
 */
import type { z } from 'zod';
import type { QueueControl, QueueFilter, QueueSelection, QueueVerb } from '../core/ports/queue-control.ts';
import { type ApiAnswer, type ApiRequest, invalid, type Route } from './api.ts';
import { describeIssues, listQuerySchema, selectionSchema } from './queue-schemas.ts';

const VERBS: readonly QueueVerb[] = ['retry', 'hold', 'release', 'drop'];

/** All operations on `queue`. */
export function queueRoutes(queue: QueueControl): readonly Route[] {
  return [
    { method: 'GET', path: '/api/v1/queue', run: (request) => list(queue, request) },
    { method: 'GET', path: '/api/v1/queue/:id', run: async ({ parameters }) => json(await queue.show(parameters['id'] ?? '')) },
    { method: 'GET', path: '/api/v1/queue/:id/content', run: ({ parameters }) => content(queue, parameters['id'] ?? '') },
    ...VERBS.map(
      (verb): Route => ({
        method: 'POST',
        path: `/api/v1/queue/${verb}`,
        run: async ({ body }) => json(await queue.change(verb, parse(selectionSchema, body) as QueueSelection)),
      }),
    ),
  ];
}

async function list(queue: QueueControl, { query }: ApiRequest): Promise<ApiAnswer> {
  const given = [...query.entries()];
  if (new Set(given.map(([name]) => name)).size < given.length) throw invalid('a parameter is given twice');
  const { limit, ...filter } = parse(listQuerySchema, Object.fromEntries(given));
  return json(await queue.list(filter as QueueFilter, limit));
}

/** The first chunk is waited for, so that a message that is not there is an answer and not a torn one. */
async function content(queue: QueueControl, queueId: string): Promise<ApiAnswer> {
  const iterator = queue.export(queueId)[Symbol.asyncIterator]();
  const first = await iterator.next();
  return { status: 200, type: 'message/rfc822', chunks: resumed(first, iterator) };
}

async function* resumed(
  first: IteratorResult<Uint8Array>,
  iterator: AsyncIterator<Uint8Array>,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    for (let next = first; next.done !== true; next = await iterator.next()) yield next.value;
  } finally {
    await iterator.return?.();
  }
}

const json = (document: unknown): ApiAnswer => ({ status: 200, json: document });

function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (!result.success) throw invalid(describeIssues(result.error));
  return result.data;
}

/**
 * The queue over HTTP: list, show, content, and one operation for each verb.
 *
 * They know nothing of the server they are mounted on, nor of the spool: a {@link QueueControl} does the work.
 *
 * @packageDocumentation
 */
import type { QueueControl, QueueFilter, QueueSelection, QueueVerb } from '../core/ports/queue-control.ts';
import { type ApiAnswer, type ApiRequest, answerWith, type DocumentedRoute, parse, parseQuery } from './api.ts';
import { changeSchema, itemInFullSchema, listingSchema, listQuerySchema, selectionSchema } from './queue-schemas.ts';

const VERBS: Readonly<Record<QueueVerb, string>> = {
  retry: 'Try messages now; takes a hold away.',
  hold: 'Put messages on hold: they are not tried until they are released.',
  release: 'Take a hold away; the time of the next attempt stays.',
  drop: 'Discard messages. Nobody gets a report.',
};

/** All operations on `queue`. */
export function queueRoutes(queue: QueueControl): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/queue',
      summary: 'Messages that wait, oldest first.',
      query: listQuerySchema,
      answer: listingSchema,
      run: (request) => list(queue, request),
    },
    {
      method: 'GET',
      path: '/api/v1/queue/:id',
      summary: 'One message, with its header section.',
      answer: itemInFullSchema,
      run: async ({ parameters }) => answerWith(await queue.show(parameters['id'] ?? '')),
    },
    {
      method: 'GET',
      path: '/api/v1/queue/:id/content',
      summary: 'The message as it was accepted.',
      answer: 'message/rfc822',
      run: ({ parameters }) => content(queue, parameters['id'] ?? ''),
    },
    ...(Object.keys(VERBS) as QueueVerb[]).map(
      (verb): DocumentedRoute => ({
        method: 'POST',
        path: `/api/v1/queue/${verb}`,
        summary: VERBS[verb],
        body: selectionSchema,
        answer: changeSchema,
        run: async ({ body }) => answerWith(await queue.change(verb, parse(selectionSchema, body) as QueueSelection)),
      }),
    ),
  ];
}

async function list(queue: QueueControl, { query }: ApiRequest): Promise<ApiAnswer> {
  const { limit, after, ...filter } = parseQuery(listQuerySchema, query);
  return answerWith(await queue.list(filter as QueueFilter, limit, after));
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

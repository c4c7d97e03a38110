/**
 * The last lines of the log, over HTTP.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { KEPT_LEVELS, type LogReader } from '../core/ports/log-reader.ts';
import { answerWith, type DocumentedRoute, parseQuery } from './api.ts';

const querySchema = z.strictObject({
  level: z.enum(KEPT_LEVELS).prefault('info').describe('Lines of this level and worse.'),
  limit: z.coerce.number().int().min(1).max(1_000).prefault(200),
});

const lineSchema = z.object({
  number: z.number().int(),
  at: z.iso.datetime(),
  level: z.enum(KEPT_LEVELS),
  message: z.string(),
  fields: z.record(z.string(), z.unknown()),
});

/** Operations on `log`. */
export function logRoutes(reader: LogReader): readonly DocumentedRoute[] {
  return [
    {
      method: 'GET',
      path: '/api/v1/log',
      summary: 'The last lines of the log, newest first, whatever `log.level` is. Kept in memory: 1,000 of them.',
      query: querySchema,
      answer: z.object({ items: z.array(lineSchema) }),
      run: ({ query }) => {
        const { level, limit } = parseQuery(querySchema, query);
        return Promise.resolve(answerWith({ items: reader.lines(level, limit) }));
      },
    },
  ];
}

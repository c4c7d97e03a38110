/**
 * The queue's documents as schemas: what requests may hold, and what answers do.
 *
 * Pure. Unknown keys in requests are refused, so that a filter with a slip in it does not match everything.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import type { DurationMs } from '../core/clock.ts';
import type { QueueId } from '../core/ids.ts';
import { MOST_LISTED, type QueueChange, type QueueItemInFull, type QueueListing } from '../core/ports/queue-control.ts';
import { PROBLEMS, type ProblemCode } from '../core/problem.ts';

const queueId = z.string().regex(/^[0-9A-Z]{16}$/, { error: 'is not a queue id: 16 digits and capital letters' });
const account = z.string().min(1).max(64);
const code = z.string().regex(/^[A-Z0-9_.]{1,64}$/, { error: 'is neither the code of a problem nor of a reply' });
const milliseconds = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const truth = z.enum(['true', 'false']).transform((word) => word === 'true');

/** Query of a listing; `olderThan` in milliseconds. */
export const listQuerySchema = z.strictObject({
  account: account.optional(),
  isHeld: truth.optional(),
  code: code.optional(),
  olderThan: milliseconds.transform((count) => count as DurationMs).optional(),
  limit: z.coerce.number().int().min(1).max(MOST_LISTED).prefault(100).describe('Most messages in the answer.'),
  after: z
    .string()
    .regex(/^\d{1,16}\.[0-9A-Z]{16}$/, { error: 'is not the `next` of a listing' })
    .describe('`next` of the listing before: those that follow.')
    .optional(),
});

const filterSchema = z
  .strictObject({
    account: account.optional(),
    isHeld: z.boolean().optional(),
    code: code.optional(),
    olderThan: z
      .int()
      .min(0)
      .transform((count) => count as DurationMs)
      .optional(),
  })
  .refine((filter) => Object.keys(filter).length > 0, { error: 'must not be empty: it would match every message' });

/** Body of a change. */
export const selectionSchema = z.union([
  // What is no queue id is answered like one that is unknown.
  z.strictObject({ ids: z.array(z.string().max(64)).min(1).max(MOST_LISTED) }),
  z.strictObject({ filter: filterSchema }),
]);

const replySchema = z.object({ code: z.number(), enhancedCode: z.string().optional(), text: z.array(z.string()) });
const moment = z.iso.datetime();
const problemCode = z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]);

const itemSchema = z.object({
  queueId: queueId.transform((id) => id as QueueId),
  account: z.string(),
  client: z.string(),
  acceptedAt: moment,
  reversePath: z.string(),
  messageId: z.string(),
  size: z.number(),
  recipients: z.array(
    z.object({
      address: z.string(),
      state: z.enum(['pending', 'delivered', 'failed', 'expired']),
      reply: replySchema.optional(),
      at: moment.optional(),
    }),
  ),
  attempts: z.number(),
  nextAttemptAt: moment.optional(),
  hold: z.object({ code: problemCode, since: moment, cause: z.string(), remedy: z.string() }).optional(),
  isAmbiguous: z.boolean(),
  warnedAt: moment.optional(),
});

/** Schemas for what comes back. Keys that a newer server adds are dropped. */
export const listingSchema: z.ZodType<QueueListing> = z.object({
  matching: z.number(),
  items: z.array(itemSchema),
  next: z.string().optional(),
}) as never;
export const itemInFullSchema: z.ZodType<QueueItemInFull> = itemSchema.extend({
  headers: z.string(),
  subject: z.string().describe('Decoded, at most 256 characters.').optional(),
}) as never;
export const changeSchema: z.ZodType<QueueChange> = z.object({
  changed: z.array(queueId.transform((id) => id as QueueId)),
  unknown: z.array(z.string()),
});

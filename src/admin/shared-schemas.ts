/**
 * Parts that documents of several operations have.
 *
 * @packageDocumentation
 */
import * as z from 'zod';
import { PROBLEMS, type ProblemCode } from '../core/problem.ts';

export const moment = z.iso.datetime();
export const count = z.number().int();

/** A problem as core/problem.ts has it. */
export const problemSchema = z.object({
  code: z.enum(Object.keys(PROBLEMS) as [ProblemCode, ...ProblemCode[]]),
  cause: z.string(),
  heals: z.enum(['by-itself', 'after-repair', 'never']),
  remedy: z.string(),
});

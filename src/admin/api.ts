/**
 * What a route of the API is, whichever server it is mounted on: the control socket or the admin port.
 *
 * @packageDocumentation
 */
import { type ProblemCode, PROBLEMS, ProblemError, problem } from '../core/problem.ts';

/** A request whose path has matched. */
export interface ApiRequest {
  /** Of the path, by name: `id` of `/api/v1/queue/:id`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON document that came with it; undefined where none did. */
  readonly body: unknown;
}

/** A JSON document, or octets of another type. */
export type ApiAnswer =
  | { readonly status: number; readonly json: unknown }
  | { readonly status: 200; readonly type: string; readonly chunks: AsyncIterable<Uint8Array> };

/** One operation. */
export interface Route {
  readonly method: 'GET' | 'POST';
  /** A part `:name` matches one part of a path. Versioned. */
  readonly path: `/api/v1/${string}`;
  /** @throws ProblemError, which becomes an answer by {@link failureAnswer}. */
  run(request: ApiRequest): Promise<ApiAnswer>;
}

/** HTTP status of problems that have one of their own; all others are 500. */
const STATUS: Readonly<Partial<Record<ProblemCode, number>>> = { API_REQUEST_INVALID: 400, SPOOL_ENTRY_UNKNOWN: 404, SPOOL_FULL: 507 };

/** The answer that an error becomes; `undefined` where it is a defect, which the log must hear of. */
export function failureAnswer(error: unknown): { readonly status: number; readonly json: unknown } | undefined {
  if (!(error instanceof ProblemError)) return undefined;
  const { code, cause, remedy } = error.problem;
  return { status: STATUS[code] ?? 500, json: { error: { code, cause, remedy } } };
}

/** The reverse of {@link failureAnswer}; undefined where the document is none. */
export function problemIn(document: unknown): ProblemError | undefined {
  if (typeof document !== 'object' || document === null || !('error' in document)) return undefined;
  const { error } = document;
  if (typeof error !== 'object' || error === null || !('code' in error) || !('cause' in error)) return undefined;
  const { code, cause } = error;
  if (typeof code !== 'string' || !isProblemCode(code) || typeof cause !== 'string') return undefined;
  const remedy = 'remedy' in error && typeof error.remedy === 'string' ? { remedy: error.remedy } : {};
  return new ProblemError(problem(code, cause, remedy));
}

/** A request that the caller has to correct. */
export const invalid = (what: string): ProblemError => new ProblemError(problem('API_REQUEST_INVALID', what));

const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

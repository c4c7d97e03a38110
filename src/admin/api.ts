/**
 * What a route of the API is, whichever server it is mounted on: the control socket or the admin port.
 *
 * Refusals are problem documents (RFC 9457) with the code, cause and remedy that the log would have.
 *
 * @packageDocumentation
 */
import type { IncomingHttpHeaders } from 'node:http';
import type * as z from 'zod';
import { type ProblemCode, PROBLEMS, ProblemError, problem } from '../core/problem.ts';

/** A request whose path has matched. */
export interface ApiRequest {
  /** Of the path, by name: `id` of `/api/v1/queue/:id`. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  /** The JSON document that came with it; undefined where none did. */
  readonly body: unknown;
  readonly headers: IncomingHttpHeaders;
  /** Address of whoever asks; empty on the control socket. */
  readonly peer: string;
}

type Headers = Readonly<Record<string, string>>;

/** A JSON document, a text, or octets of another type that come one after another. */
export type ApiAnswer =
  | { readonly status: number; readonly json: unknown; readonly headers?: Headers }
  | { readonly status: number; readonly type: string; readonly text: string; readonly headers?: Headers }
  | { readonly status: 200; readonly type: string; readonly chunks: AsyncIterable<Uint8Array> };

/** One operation. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** A part `:name` matches one part of a path. The API is versioned. */
  readonly path: `/${string}`;
  /**
   * `anybody`: says nothing worth keeping from anyone, and probes have neither a password nor a name for us. `guest`: whoever may ask, signed in or not.
   * `page`: the same, and a link on another site may lead here, since there is nothing in it but the page itself. Default: operators.
   */
  readonly access?: 'anybody' | 'guest' | 'page';
  /** @throws ProblemError, which becomes an answer by {@link failureAnswer}. */
  run(request: ApiRequest): Promise<ApiAnswer>;
}

/** What a server has, asked at each request: so that nothing of it need be there before the first one. */
export type Routes = () => Promise<readonly Route[]>;

/** A route of the API's description. */
export interface DocumentedRoute extends Route {
  /** What it does, in a sentence. */
  readonly summary: string;
  /** Of the parameters behind `?`; each value is a text. */
  readonly query?: z.ZodObject;
  readonly body?: z.ZodType;
  /** Of the document in an answer of 200; or the media type of something else. */
  readonly answer: z.ZodType | string;
}

/** HTTP status of problems that have one of their own; all others are 500. */
const STATUS: Readonly<Partial<Record<ProblemCode, number>>> = {
  API_REQUEST_INVALID: 400,
  API_UNAUTHORIZED: 401,
  API_FORBIDDEN: 403,
  SIGN_IN_LINK_INVALID: 403,
  SPOOL_ENTRY_UNKNOWN: 404,
  CONFIG_NOT_WRITTEN: 409,
  SPOOL_FULL: 507,
};

/** A request that is refused with a status of its own. */
export class ApiRefusal extends ProblemError {
  override readonly name = 'ApiRefusal';
  readonly status: number;
  readonly headers: Headers;
  constructor(status: number, code: ProblemCode, cause: string, headers: Headers = {}) {
    super(problem(code, cause));
    this.status = status;
    this.headers = headers;
  }
}

/** A problem document. `type` names the code; docs/errors.md has a section for each. */
export interface ProblemDocument {
  readonly type: string;
  /** What the code means. */
  readonly title: string;
  readonly status: number;
  /** What has happened here. */
  readonly detail: string;
  readonly code: ProblemCode;
  readonly heals: string;
  readonly remedy: string;
}

/** Media type of server-sent events. */
export const EVENT_STREAM = 'text/event-stream';

/** Media type of a {@link ProblemDocument}. */
export const PROBLEM_TYPE = 'application/problem+json';

/** The answer that an error becomes; `undefined` where it is a defect, which the log must hear of. */
export function failureAnswer(error: unknown): Extract<ApiAnswer, { json: unknown }> | undefined {
  if (!(error instanceof ProblemError)) return undefined;
  const status = error instanceof ApiRefusal ? error.status : (STATUS[error.problem.code] ?? 500);
  const headers = error instanceof ApiRefusal ? error.headers : {};
  return { status, json: problemDocument(error, status), headers };
}

/** The answer to a request that has met a defect; what it was stays in the log. */
export function defectAnswer(): Extract<ApiAnswer, { json: unknown }> {
  return { status: 500, json: problemDocument(new ProblemError(problem('INTERNAL')), 500) };
}

function problemDocument({ problem: { code, cause, heals, remedy } }: ProblemError, status: number): ProblemDocument {
  return { type: `urn:postern:problem:${code}`, title: PROBLEMS[code].summary, status, detail: cause, code, heals, remedy };
}

/** The reverse of {@link failureAnswer}; undefined where the document is none. */
export function problemIn(document: unknown): ProblemError | undefined {
  if (typeof document !== 'object' || document === null || !('code' in document) || !('detail' in document)) return undefined;
  const { code, detail } = document;
  if (typeof code !== 'string' || !isProblemCode(code) || typeof detail !== 'string') return undefined;
  const remedy = 'remedy' in document && typeof document.remedy === 'string' ? { remedy: document.remedy } : {};
  return new ProblemError(problem(code, detail, remedy));
}

/** A request that the caller has to correct. */
export const invalid = (what: string): ProblemError => new ProblemError(problem('API_REQUEST_INVALID', what));

/** A name that nothing has. */
export const absent = (what: string): ApiRefusal => new ApiRefusal(404, 'API_REQUEST_INVALID', what);

/** An answer of 200. */
export const answerWith = (json: unknown): ApiAnswer => ({ status: 200, json });

/** What a request holds, checked. @throws ProblemError `API_REQUEST_INVALID` */
export function parse<Schema extends z.ZodType>(schema: Schema, input: unknown): z.output<Schema> {
  const result = schema.safeParse(input);
  if (!result.success) throw invalid(describeIssues(result.error));
  return result.data;
}

/** The same, for what stands behind `?`. */
export function parseQuery<Schema extends z.ZodType>(schema: Schema, query: URLSearchParams): z.output<Schema> {
  const given = [...query.entries()];
  if (new Set(given.map(([name]) => name)).size < given.length) throw invalid('a parameter is given twice');
  return parse(schema, Object.fromEntries(given));
}

/** One line about what is wrong, with the place. */
function describeIssues({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => (path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`)).join('; ');
}

const isProblemCode = (code: string): code is ProblemCode => Object.hasOwn(PROBLEMS, code);

/**
 * What the sandbox answers an HTTP request: values, written to the socket in one place (./http-server.ts).
 *
 * @packageDocumentation
 */
import type { IncomingHttpHeaders } from 'node:http';

/** A request, read whole. */
export interface HttpRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  /** Named parts of the path, percent-decoded. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** An answer; or none: `hang` keeps the connection open, `reset` resets it. */
export type HttpAnswer =
  | {
      readonly kind: 'answer';
      readonly status: number;
      readonly headers: Readonly<Record<string, string>>;
      readonly body: string | Buffer;
    }
  | { readonly kind: 'hang' }
  | { readonly kind: 'reset' };

/** One path and method. */
export interface Route {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Matched against the whole path; named groups become parameters. */
  readonly path: RegExp;
  readonly handle: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>;
}

/** The request is answered with an error status and one line of text. */
export class HttpRefusal extends Error {
  override readonly name = 'HttpRefusal';
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  constructor(status: number, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message);
    this.status = status;
    this.headers = headers;
  }
}

export function json(status: number, value: unknown, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  const body = `${JSON.stringify(value, undefined, 2)}\n`;
  return { kind: 'answer', status, headers: { 'content-type': 'application/json; charset=utf-8', ...headers }, body };
}

export function plainText(status: number, body: string | Buffer, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { kind: 'answer', status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

export const noContent = (): HttpAnswer => ({ kind: 'answer', status: 204, headers: {}, body: '' });

/** 302, as Entra answers a sign-in. */
export const redirect = (location: string): HttpAnswer => ({ kind: 'answer', status: 302, headers: { location }, body: '' });

/** The body as JSON. @throws HttpRefusal 400 */
export function parseJsonBody({ body }: HttpRequest): unknown {
  try {
    return JSON.parse(body.toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw new HttpRefusal(400, 'The body is not JSON.');
    throw error;
  }
}

/** The fields of a body sent by a form; empty where it is not one. */
export function formBody({ headers, body }: HttpRequest): URLSearchParams {
  const isForm = /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '');
  return new URLSearchParams(isForm ? body.toString('utf8') : '');
}

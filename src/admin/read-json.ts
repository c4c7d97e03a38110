/**
 * Reads the JSON document of a request, within a bound.
 *
 * @packageDocumentation
 */
import type { IncomingMessage } from 'node:http';
import { invalid } from './api.ts';

/** Ten thousand queue ids take a quarter of it. */
const BODY_LIMIT = 1024 * 1024;

/** @returns Undefined where there is no body. @throws ProblemError `API_REQUEST_INVALID` */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  const chunks: Buffer[] = [];
  let length = 0;
  // Left open when it is left early: the answer goes out on the same connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > BODY_LIMIT) throw invalid(`the body is larger than ${BODY_LIMIT} octets`);
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  // A type that a form cannot send (Fetch standard, "CORS-safelisted"), should these routes ever be within reach of a browser.
  if (!/^application\/json(?:;|$)/i.test(type)) throw invalid('the body must be application/json');
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('the body is not JSON');
    throw error;
  }
}

/**
 * Reads the JSON document of a request, within a bound.
 *
 * @packageDocumentation
 */
import type { IncomingMessage } from 'node:http';
import { ApiRefusal, invalid } from './api.ts';

/** @param limit - In octets. @returns Undefined where there is no body. @throws ProblemError `API_REQUEST_INVALID` */
export async function readJson(request: IncomingMessage, limit: number): Promise<unknown> {
  const type = request.headers['content-type'] ?? '';
  const tooLarge = (): ApiRefusal => new ApiRefusal(413, 'API_REQUEST_INVALID', `the body is larger than ${limit} octets`);
  // Not one octet of what announces itself as too large is waited for.
  if (Number(request.headers['content-length'] ?? 0) > limit) throw tooLarge();
  const chunks: Buffer[] = [];
  let length = 0;
  // Left open when it is left early: the answer goes out on the same connection.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length > limit) throw tooLarge();
    chunks.push(chunk);
  }
  if (length === 0) return undefined;
  // A type that a form cannot send (Fetch standard, "CORS-safelisted"): no page of another origin gets this far without asking first.
  if (!/^application\/json(?:;|$)/i.test(type)) throw new ApiRefusal(415, 'API_REQUEST_INVALID', 'the body must be application/json');
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch (error) {
    if (error instanceof SyntaxError) throw invalid('the body is not JSON');
    throw error;
  }
}

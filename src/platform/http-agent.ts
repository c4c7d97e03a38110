/**
 * undici's Agent, loaded without the rest of undici: WebSocket, fetch, caches, mocks and proxies cost 100 ms and 13 MB, and nobody here asks for them.
 *
 * The two files are not a promised interface; test/contract/undici-parts.test.ts holds them against the version they were read in.
 *
 * @packageDocumentation
 */
import type { Agent, Dispatcher } from 'undici';

/** What of an Agent is used. */
export interface HttpAgent {
  request(options: Dispatcher.RequestOptions): Promise<Dispatcher.ResponseData>;
  /** Cuts what is in progress. */
  destroy(): Promise<void>;
}

/** @param options - See undici. */
export async function openHttpAgent(options: Agent.Options): Promise<HttpAgent> {
  const [{ default: UndiciAgent }, { default: request }] = await Promise.all([
    import('undici/lib/dispatcher/agent.js'),
    import('undici/lib/api/api-request.js'),
  ]);
  const agent = new UndiciAgent(options);
  return { request: (given) => request.call(agent, given), destroy: () => agent.destroy() };
}

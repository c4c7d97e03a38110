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

/** An agent that is opened with the first request. What could not be loaded, for want of file descriptors, is loaded for the next one. */
export class LaterAgent {
  readonly #open: () => Promise<HttpAgent>;
  #agent: Promise<HttpAgent> | undefined;

  /** @param options - See undici. @param open - Another one is for tests. */
  constructor(options: Agent.Options, open: (options: Agent.Options) => Promise<HttpAgent> = openHttpAgent) {
    this.#open = () => open(options);
  }

  get(): Promise<HttpAgent> {
    this.#agent ??= this.#open().catch((error: unknown) => {
      this.#agent = undefined;
      throw error;
    });
    return this.#agent;
  }

  /** Cuts what is in progress. Never rejects for an agent that could not be opened: whoever asked for it has heard of that. */
  async close(): Promise<void> {
    const agent = await this.#agent?.catch(() => undefined);
    this.#agent = undefined;
    await agent?.destroy();
  }
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

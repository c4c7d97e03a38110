/**
 * The parent's end of bench/upstream-server.ts, and the books that say of each message whether it came, once, twice or never.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { createTestAuthority } from '../../test/support/test-ca.ts';
import type { Ids } from './load.ts';

export interface UpstreamSettings {
  readonly certPem: string;
  readonly keyPem: string;
  /** Milliseconds; each gets a port of its own. */
  readonly roundTrips: readonly number[];
  /** Milliseconds that the answer to a message takes, and how many may be at that at a time; 0: none, and any number. */
  readonly service: number;
  readonly cap: number;
  /** Lifetime of an access token, in seconds, and how many milliseconds the endpoint takes. */
  readonly tokenSeconds: number;
  readonly tokenDelay: number;
}

export interface UpstreamReady {
  readonly plain: number;
  readonly starttls: number;
  readonly implicit: number;
  readonly tokens: number;
  /** `starttls` behind a round-trip time in milliseconds. */
  readonly distant: Readonly<Record<string, number>>;
}

/** Asks for the counts, and how often each number from `from` up to `to` has come. */
export interface UpstreamQuestion {
  readonly from: number;
  readonly to: number;
  /** Counts begin anew. */
  readonly isReset: boolean;
}

export interface UpstreamReport {
  readonly counts: {
    messages: number;
    /** Messages without a number. */
    unknown: number;
    /** Answers that a signed-in client had to wait for. */
    waits: number;
    /** Sessions that have signed in. */
    sessions: number;
    /** Messages turned away since too many were being served. */
    refusals: number;
    tokenRequests: number;
  };
  /** Base64 of an octet for each number. */
  readonly seen: string;
}

export type Counts = UpstreamReport['counts'];

export class BenchUpstream {
  readonly #child: ChildProcess;
  readonly ports: UpstreamReady;
  readonly caPem: string;

  private constructor(child: ChildProcess, ports: UpstreamReady, caPem: string) {
    this.#child = child;
    this.ports = ports;
    this.caPem = caPem;
  }

  static async start(settings: Partial<UpstreamSettings> = {}): Promise<BenchUpstream> {
    const authority = createTestAuthority();
    const { certPem, keyPem } = authority.issue({ hosts: ['localhost', '127.0.0.1'] });
    const all: UpstreamSettings = {
      certPem,
      keyPem,
      roundTrips: [0],
      service: 0,
      cap: 0,
      tokenSeconds: 86_400,
      tokenDelay: 0,
      ...settings,
    };
    const script = fileURLToPath(new URL('../upstream-server.ts', import.meta.url));
    const child = fork(script, [JSON.stringify(all)], { execArgv: ['--import', 'tsx'] });
    const ready = await answerOf<UpstreamReady>(child);
    return new BenchUpstream(child, ready, authority.caPem);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get tokenUrl(): string {
    return `http://127.0.0.1:${this.ports.tokens}/token`;
  }

  /** What came since the last reset. */
  async counts(): Promise<Counts> {
    return (await this.#ask({ from: 0, to: 0, isReset: false })).counts;
  }

  async reset(): Promise<void> {
    await this.#ask({ from: 0, to: 0, isReset: true });
  }

  /**
   * Holds the books of a load against what came.
   *
   * @throws Error where a message that was acknowledged did not come, or where any came twice.
   */
  async audit(ids: Ids): Promise<void> {
    const { from, to, acknowledged } = ids;
    const { counts, seen } = await this.#ask({ from, to, isReset: false });
    const times = Buffer.from(seen, 'base64');
    const lost = acknowledged.filter((id) => times[id - from] === 0).length;
    const doubled = times.filter((count) => count > 1).length;
    if (lost + doubled + counts.unknown > 0) {
      throw new Error(
        `of ${acknowledged.length} messages acknowledged ${lost} were lost; ${doubled} came twice, ${counts.unknown} without a number`,
      );
    }
  }

  /** Waits until all acknowledged messages have come. @throws Error after a minute in which none did. */
  async settle(ids: Ids): Promise<void> {
    let last = -1;
    for (let quiet = 0; quiet < 3_000; quiet += 1) {
      const { seen } = await this.#ask({ ...ids, isReset: false });
      const times = Buffer.from(seen, 'base64');
      const missing = ids.acknowledged.filter((id) => times[id - ids.from] === 0).length;
      if (missing === 0) return;
      if (missing !== last) quiet = 0;
      last = missing;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${last} acknowledged messages have not come within a minute`);
  }

  async stop(): Promise<void> {
    const ended = new Promise((resolve) => this.#child.once('exit', resolve));
    this.#child.disconnect();
    await ended;
  }

  #ask({ from, to, isReset }: UpstreamQuestion): Promise<UpstreamReport> {
    const answer = answerOf<UpstreamReport>(this.#child);
    this.#child.send({ from, to, isReset });
    return answer;
  }
}

function answerOf<Answer>(child: ChildProcess): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const fail = (code: number | null): void => reject(new Error(`the upstream of the benchmark has ended with ${code}`));
    child.once('exit', fail);
    child.once('message', (message) => {
      child.off('exit', fail);
      resolve(message as Answer);
    });
  });
}

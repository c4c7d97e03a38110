/**
 * Messages a second and processor time for each, with a connection for each message and with many per connection, for 2 KB, and for 100 KB; from 1 to 256
 * connections. The upstream has everything that was acknowledged, once, before the clock stops.
 */
import type { BenchCase } from '../kit/case.ts';
import { inTurns, withSystems } from '../kit/case.ts';
import { type Figures, type Measured, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { HAPROXY, load, missing, POSTFIX } from '../kit/machine.ts';
import { processorTime } from '../kit/processes.ts';
import {
  ceiling,
  MAILBOX,
  noProxy,
  startBareRelay,
  startHaproxy,
  startPlainRelay,
  startPostern,
  startPostfix,
  type System,
} from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const UPSTREAM_CONNECTIONS = 20;
const MILLISECONDS = 5_000;
/** V8 compiles for some 10,000 messages, which costs about as much again as they do; a relay in service has that behind it. */
const WARM_UP = { milliseconds: 30_000, messages: 12_000 };

/** What {@link ../bare-relay.mjs} takes is the machine's and Node's; the reach for processor time is some 1.6 times what such a script took where it was set. */
const OF_BARE = 1.6;

interface Extent {
  readonly milliseconds: number;
  readonly messages?: number;
}

interface Workload {
  readonly connections: number;
  readonly octets: number;
  readonly keepsConnection: boolean;
}

export const rateNew: BenchCase = {
  name: 'rate-new',
  summary: '64 connections, a connection for each message of 2 KB: messages/s, CPU per message',
  obstacle: () => missing(POSTFIX),
  run: (rounds) => measureRates({ connections: 64, octets: 2048, keepsConnection: false }, rounds),
};

export const rateKept: BenchCase = {
  name: 'rate-kept',
  summary: '64 connections, many messages of 2 KB per connection: messages/s, CPU per message',
  obstacle: () => missing(POSTFIX, HAPROXY),
  run: (rounds) => measureRates({ connections: 64, octets: 2048, keepsConnection: true }, rounds),
};

/** How the cost grows: Postern beside the two scripts. */
export const rateGrowth: BenchCase = {
  name: 'rate-growth',
  summary: '1, 8, 64, 256 connections, new and kept; 2 KB and 100 KB; auto, direct, queue',
  run: (rounds) =>
    withRelays([], async (upstream, systems) => {
      const workloads = [2048, 102_400].flatMap((octets) =>
        [1, 8, 64, 256].flatMap((connections) => [false, true].map((keepsConnection) => ({ octets, connections, keepsConnection }))),
      );
      for (const system of systems) await measure(upstream, system, { connections: 64, octets: 2048, keepsConnection: false }, WARM_UP);
      for (const workload of workloads) await measureInTurns(upstream, systems, workload, rounds, { milliseconds: 1000 });
    }),
};

type Start = (upstream: BenchUpstream) => Promise<System>;

async function measureRates(workload: Workload, rounds: number): Promise<void> {
  const { keepsConnection } = workload;
  const others: Start[] = [
    ({ ports, caPem }) => startPostfix({ upstreamPort: ports.starttls, caPem, connections: UPSTREAM_CONNECTIONS }),
    ...(keepsConnection ? [({ ports, caPem }: BenchUpstream) => startHaproxy(ports.implicit, caPem)] : []),
    ({ ports }) => Promise.resolve(noProxy(ports.starttls)),
  ];
  await withRelays(others, async (upstream, systems) => {
    const figures = await measureInTurns(upstream, systems, workload, rounds, WARM_UP);
    const ratio = (other: string): number[] => figures.ratios('postern auto', other, 'messages/s');
    verdict('messages/s (auto) relative to the plain relay', ratio('plain relay'), { atLeast: keepsConnection ? 2.5 : 6 });
    if (keepsConnection) verdict('messages/s (auto) relative to haproxy', ratio('haproxy'), { atLeast: 0.6 });
    else verdict('messages/s (auto) relative to Postfix, delivered', ratio('postfix'), { atLeast: 5 });
    verdict('CPU ms per message (auto)', figures.of('postern auto', 'CPU ms'), { atMost: keepsConnection ? 0.11 : 0.25 });
    const ofBare = figures.ratios('postern auto', 'bare relay', 'CPU ms');
    verdict('CPU per message (auto) relative to the bare relay', ofBare, { atMost: OF_BARE });
  });
}

/** Postern in its three modes, the two scripts, `others`, and the upstream itself. */
async function withRelays(
  others: readonly Start[],
  use: (upstream: BenchUpstream, systems: readonly System[]) => Promise<void>,
): Promise<void> {
  const upstream = await BenchUpstream.start();
  const connections = UPSTREAM_CONNECTIONS;
  const starts: Start[] = [
    () => startPostern({ upstream, delivery: 'auto', connections }),
    () => startPostern({ upstream, delivery: 'direct', connections }),
    () => startPostern({ upstream, delivery: 'queue', connections }),
    () => startPlainRelay(upstream, connections),
    () => startBareRelay(upstream, connections),
    ...others,
    () => Promise.resolve(ceiling(upstream)),
  ];
  try {
    await withSystems(
      starts.map((start) => () => start(upstream)),
      (systems) => use(upstream, systems),
    );
  } finally {
    await upstream.stop();
  }
}

async function measureInTurns(
  upstream: BenchUpstream,
  systems: readonly System[],
  workload: Workload,
  rounds: number,
  warmUp: Extent,
): Promise<Figures> {
  const kind = workload.keepsConnection ? 'many messages per connection' : 'a connection for each message';
  console.log(`${workload.connections} connections, ${kind}, ${workload.octets} octets; ${load()}`);
  const figures = await inTurns(systems, rounds, (system, isWarmUp) =>
    measure(upstream, system, workload, isWarmUp ? warmUp : { milliseconds: MILLISECONDS }),
  );
  figures.print();
  return figures;
}

async function measure(upstream: BenchUpstream, system: System, workload: Workload, extent: Extent): Promise<Measured> {
  const { port, signsIn, pid } = system;
  await upstream.reset();
  const before = pid === 0 ? 0 : processorTime(pid);
  const began = performance.now();
  const outcome = await runLoad({ ...workload, ...extent, port, signsIn, from: MAILBOX, to: 'to@bench.test' });
  await upstream.settle(outcome);
  const seconds = system.isQueueing === true ? (performance.now() - began) / 1000 : outcome.seconds;
  const used = pid === 0 ? Number.NaN : processorTime(pid) - before;
  await upstream.audit(outcome);
  const { waits, messages } = await upstream.counts();
  const count = outcome.acknowledged.length;
  return {
    'messages/s': count / seconds,
    'CPU ms': used / count,
    'p50 ms': outcome.waits[outcome.waits.length >> 1] ?? Number.NaN,
    'p99 ms': outcome.waits[Math.floor(outcome.waits.length * 0.99)] ?? Number.NaN,
    'waits upstream': waits / messages,
  };
}

/**
 * How long an application waits for one message on a connection of its own, with the provider 0, 20 and 100 ms away; and what Postern adds to the time that the
 * same dialogue takes with the upstream itself.
 */
import type { BenchCase } from '../kit/case.ts';
import { inTurns, withSystems } from '../kit/case.ts';
import { Figures, median, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { ceiling, MAILBOX, noProxy, startBareRelay, startPlainRelay, startPostern, type System } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const ROUND_TRIPS = [0, 20, 100];
/** Of one system in one round. */
const MESSAGES = { 0: 400, 20: 20, 100: 8 };
/** In the round that nobody counts, over several connections: code that has been compiled is what is measured, and V8 compiles for some thousand messages. */
const WARM_UP = { messages: 3_000, connections: 16 };
const UPSTREAM_CONNECTIONS = 16;

export const latency: BenchCase = {
  name: 'latency',
  summary: 'one message on a new connection, round trip to the provider 0, 20, 100 ms',
  async run(rounds) {
    const upstream = await BenchUpstream.start({ roundTrips: ROUND_TRIPS });
    try {
      for (const roundTrip of ROUND_TRIPS) await measureAt(upstream, roundTrip, rounds);
    } finally {
      await upstream.stop();
    }
  },
};

async function measureAt(upstream: BenchUpstream, roundTrip: number, rounds: number): Promise<void> {
  const upstreamPort = upstream.ports.distant[String(roundTrip)] ?? 0;
  const starts: (() => Promise<System>)[] = [
    () => startPostern({ upstream, upstreamPort, delivery: 'auto', connections: UPSTREAM_CONNECTIONS }),
    () => startPostern({ upstream, upstreamPort, delivery: 'direct', connections: UPSTREAM_CONNECTIONS }),
    () => startPlainRelay(upstream, UPSTREAM_CONNECTIONS, upstreamPort),
    () => startBareRelay(upstream, UPSTREAM_CONNECTIONS, upstreamPort),
    () => Promise.resolve(noProxy(upstreamPort)),
    ...(roundTrip === 0 ? [() => Promise.resolve(ceiling(upstream))] : []),
  ];
  await withSystems(starts, async (systems) => {
    console.log(`round trip ${roundTrip} ms; milliseconds an application waits for a message, connection included`);
    const figures = await inTurns(systems, rounds, (system, isWarmUp) => {
      const messages = MESSAGES[roundTrip as keyof typeof MESSAGES];
      if (!isWarmUp) return measure(upstream, system, messages, 1);
      // The plain relay greets after 100 ms, and without a relay each message signs in: their own code is a small part of what they take.
      const isWarmedUp = system.name.startsWith('postern') || system.name === 'bare relay';
      return measure(upstream, system, isWarmedUp ? WARM_UP.messages : WARM_UP.connections, WARM_UP.connections);
    });
    figures.print();
    judge(figures, roundTrip);
  });
}

async function measure(upstream: BenchUpstream, system: System, messages: number, connections: number) {
  const { port, signsIn } = system;
  await upstream.reset();
  const outcome = await runLoad({
    port,
    connections,
    milliseconds: 60_000,
    messages,
    octets: 2048,
    keepsConnection: false,
    from: MAILBOX,
    to: 'to@bench.test',
    signsIn,
  });
  await upstream.settle(outcome);
  await upstream.audit(outcome);
  const { waits, messages: received } = await upstream.counts();
  return {
    p50: median(outcome.waits),
    p95: outcome.waits[Math.floor(outcome.waits.length * 0.95)] ?? Number.NaN,
    'waits upstream': waits / received,
  };
}

function judge(figures: Figures, roundTrip: number): void {
  const own = figures.of('postern auto', 'p50');
  if (roundTrip > 0)
    return verdict(
      `p50 beyond 2 round trips of ${roundTrip} ms`,
      own.map((value) => value - 2 * roundTrip),
      { atMost: 2 },
    );
  const bare = figures.of('ceiling of the load', 'p50');
  verdict(
    'added p50 at round trip 0 (auto)',
    own.map((value, round) => value - (bare[round] ?? Number.NaN)),
    { atMost: 0.5 },
  );
  verdict('upstream replies waited for per message (auto)', figures.of('postern auto', 'waits upstream'), { atMost: 2.05 });
}

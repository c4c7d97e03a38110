/**
 * Messages of 10 MB: processor time for each, and the memory that 64 in flight add.
 */
import { type BenchCase, inTurns, withSystems } from '../kit/case.ts';
import { type Measured, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { load } from '../kit/machine.ts';
import { forgetPeak, memory, processorTime } from '../kit/processes.ts';
import { MAILBOX, startPlainRelay, startPostern, type System } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const MEGA = 1024 * 1024;
const OCTETS = 10 * MEGA;

export const large: BenchCase = {
  name: 'large',
  summary: 'messages of 10 MB, 64 in flight (the plain relay: 8): CPU per message, memory added',
  async run(rounds) {
    const upstream = await BenchUpstream.start();
    try {
      const starts: (() => Promise<System>)[] = [
        () => startPostern({ upstream, delivery: 'direct', connections: 64 }),
        () => startPostern({ upstream, delivery: 'auto', connections: 64 }),
        () => startPlainRelay(upstream, 8),
      ];
      await withSystems(starts, async (systems) => {
        console.log(load());
        const figures = await inTurns(systems, rounds, (system) => measure(upstream, system, system.name === 'plain relay' ? 8 : 64));
        figures.print();
        verdict('CPU ms per message (direct)', figures.of('postern direct', 'CPU ms'), { atMost: 12 });
        verdict('RSS that 64 in flight add, MB (direct)', figures.of('postern direct', 'RSS added MB'), { atMost: 64 });
      });
    } finally {
      await upstream.stop();
    }
  },
};

async function measure(upstream: BenchUpstream, { port, pid }: System, connections: number): Promise<Measured> {
  await upstream.reset();
  const rest = memory(pid, 'status', 'VmRSS');
  forgetPeak(pid);
  const before = processorTime(pid);
  const messages = connections;
  const common = { keepsConnection: true, from: MAILBOX, to: 'to@bench.test', octets: OCTETS };
  const outcome = await runLoad({ ...common, port, connections, milliseconds: 120_000, messages });
  await upstream.settle(outcome);
  await upstream.audit(outcome);
  const used = processorTime(pid) - before;
  const peak = memory(pid, 'status', 'VmHWM');
  return { 'CPU ms': used / messages, 'RSS added MB': (peak - rest) / MEGA, 'MB/s': (messages * 10) / outcome.seconds };
}

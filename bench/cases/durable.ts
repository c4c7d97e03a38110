/**
 * Durable accepts a second beside Debian's Postfix: the same load on both, in turns, on the same file system, with nothing delivered by either.
 *
 * Both answer 250 after the message would survive a power cut: Postern after its group commit (fdatasync of the log), Postfix after cleanup(8) has called
 * fsync for the queue file. Postfix puts its messages on hold, so that neither qmgr nor delivery takes processor time. Postern's account has no refresh token
 * yet, so its mail waits as well. Every acknowledged message has to be in the queue afterwards. Each round has fresh servers.
 */
import { readdirSync } from 'node:fs';
import { lowPort } from '../../test/support/real/ports.ts';
import type { BenchCase } from '../kit/case.ts';
import { inTurns } from '../kit/case.ts';
import { type Measured, verdict } from '../kit/figures.ts';
import { runLoad } from '../kit/load.ts';
import { load, missing, POSTFIX } from '../kit/machine.ts';
import { processorTime } from '../kit/processes.ts';
import { MAILBOX, startPostern, startPostfix, type System } from '../kit/systems.ts';
import { BenchUpstream } from '../kit/upstream.ts';

const MILLISECONDS = 4_000;
const WARM_UP = 2_000;

/** A system and what is in its queue. */
interface Keeper extends System {
  queued(): Promise<number>;
}

export const durable: BenchCase = {
  name: 'durable',
  summary: 'accepted and synced, 64 connections, 4 KB, new and kept, beside Postfix',
  obstacle: () => missing(POSTFIX),
  async run(rounds) {
    const upstream = await BenchUpstream.start();
    try {
      for (const keepsConnection of [false, true]) {
        const starts = [
          { name: 'postern queue', start: () => startKeepingPostern(upstream) },
          { name: 'postfix', start: startKeepingPostfix },
        ];
        console.log(`${keepsConnection ? 'many messages per connection' : 'a connection for each message'}; ${load()}`);
        const figures = await inTurns(starts, rounds, ({ start }, isWarmUp) =>
          isWarmUp ? Promise.resolve({}) : measure(start, keepsConnection),
        );
        figures.print();
        verdict('durable accepts/s relative to Postfix', figures.ratios('postern queue', 'postfix', 'messages/s'), { atLeast: 5 });
      }
    } finally {
      await upstream.stop();
    }
  },
};

async function measure(start: () => Promise<Keeper>, keepsConnection: boolean): Promise<Measured> {
  const keeper = await start();
  const { port, pid, name } = keeper;
  const options = { port, connections: 64, octets: 4096, keepsConnection, from: MAILBOX, to: 'to@bench.test' };
  try {
    const warm = await runLoad({ ...options, milliseconds: WARM_UP });
    const before = processorTime(pid);
    const outcome = await runLoad({ ...options, milliseconds: MILLISECONDS });
    const used = processorTime(pid) - before;
    const acknowledged = warm.acknowledged.length + outcome.acknowledged.length;
    const queued = await keeper.queued();
    if (queued !== acknowledged) throw new Error(`${name} acknowledged ${acknowledged} messages and has ${queued} in its queue`);
    const count = outcome.acknowledged.length;
    return { 'messages/s': count / outcome.seconds, 'CPU ms': used / count, 'p50 ms': outcome.waits[count >> 1] ?? Number.NaN };
  } finally {
    await keeper.stop();
  }
}

async function startKeepingPostern(upstream: BenchUpstream): Promise<Keeper> {
  const adminPort = await lowPort();
  const auth = { grant: 'refresh_token', tenant: 'bench.test', clientId: '11111111-2222-3333-4444-555555555555' };
  const more = {
    admin: { host: '127.0.0.1', port: adminPort },
    accounts: [{ name: 'bench', provider: 'bench', mailbox: MAILBOX, auth }],
  };
  const system = await startPostern({ upstream, delivery: 'queue', connections: 3, more });
  const queued = async (): Promise<number> => {
    const response = await fetch(`http://127.0.0.1:${adminPort}/api/v1/status`);
    return ((await response.json()) as { queue: { messages: number } }).queue.messages;
  };
  return { ...system, queued };
}

async function startKeepingPostfix(): Promise<Keeper> {
  const system = await startPostfix({});
  const filesInHold = (): number =>
    readdirSync(system.folder.file('queue/hold'), { withFileTypes: true, recursive: true }).filter((entry) => entry.isFile()).length;
  return { ...system, queued: () => Promise.resolve(filesInHold()) };
}

/**
 * How commands reach the queue: through the control socket of the relay that runs (./control-door.ts), else by opening the spool in their own process.
 *
 * @packageDocumentation
 */
import { access } from 'node:fs/promises';
import { connect } from 'node:net';
import { ControlClient } from '../admin/control-client.ts';
import { SpoolQueue } from '../admin/spool-queue.ts';
import type { Config } from '../config/config.ts';
import type { Log } from '../core/ports/log.ts';
import type { QueueControl } from '../core/ports/queue-control.ts';
import { ProblemError, problem } from '../core/problem.ts';
import { createLog, type LineSink } from '../observability/log.ts';
import { Scrubber } from '../observability/scrubber.ts';
import { openSocketPath } from '../platform/socket-path.ts';
import { systemClock } from '../platform/system-clock.ts';
import { controlSocket } from './control-socket.ts';
import { openSpool, spoolDirectory } from './open-spool.ts';
import { refuseForeignState } from './state-owner.ts';

/** A queue to work on. */
export interface OpenQueue {
  readonly queue: QueueControl;
  /** A relay runs, and does at once what follows from a change. */
  readonly isServed: boolean;
}

/** @throws ProblemError `CONTROL_UNREACHABLE`, `SPOOL_LOCKED`, and what `use` throws. */
export async function withQueue<Result>(config: Config, use: (open: OpenQueue) => Promise<Result>): Promise<Result> {
  const path = controlSocket(config);
  if (await isServed(path)) return use({ queue: new ControlClient({ path, clock: systemClock }), isServed: true });
  return withSpool(config, (queue) => use({ queue, isServed: false }));
}

/** @throws ProblemError `CONTROL_UNREACHABLE` where something is there that this user may not use. */
async function isServed(path: string): Promise<boolean> {
  try {
    const socket = await openSocketPath(path);
    try {
      await knock(socket.path);
      return true;
    } finally {
      await socket.close();
    }
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'ENOENT' || code === 'ECONNREFUSED') return false;
    const why = error instanceof Error ? error.message : String(error);
    throw new ProblemError(problem('CONTROL_UNREACHABLE', `${path}: ${why}`), { cause: error });
  }
}

function knock(path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve();
    });
    socket.once('error', reject);
  });
}

async function withSpool<Result>(config: Config, use: (queue: QueueControl) => Promise<Result>): Promise<Result> {
  // A queue that was never used is not made for being looked at.
  if (!(await exists(spoolDirectory(config)))) return use(NOTHING_QUEUED);
  await refuseForeignState(config.state.dir, 'SPOOL_FAILED');
  const log = errorLog(config);
  const spool = await openSpool(config, log);
  try {
    return await use(new SpoolQueue({ spool, clock: systemClock, log }));
  } finally {
    await spool.close();
  }
}

/** Standard output is for what the command prints. */
function errorLog(config: Config): Log {
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  const sink: LineSink = { write: (line) => void process.stderr.write(line) };
  return createLog({ level: 'warn', format: 'pretty' }, scrubber, sink);
}

const absent = (queueId: string): ProblemError =>
  new ProblemError(problem('SPOOL_ENTRY_UNKNOWN', `there is no message ${queueId} in the queue`));

const NOTHING_QUEUED: QueueControl = {
  list: () => Promise.resolve({ matching: 0, items: [] }),
  show: (queueId) => Promise.reject(absent(queueId)),
  change: (_, selection) => Promise.resolve({ changed: [], unknown: 'ids' in selection ? selection.ids : [] }),
  export: (queueId) => ({ [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(absent(queueId)) }) }),
};

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return false;
    throw error;
  }
}

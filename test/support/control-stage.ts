/**
 * A control server over a queue, in a folder of its own, for tests.
 *
 * @packageDocumentation
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Route } from '../../src/admin/api.ts';
import { ControlServer } from '../../src/admin/control-server.ts';
import { queueRoutes } from '../../src/admin/queue-routes.ts';
import { SpoolQueue } from '../../src/admin/spool-queue.ts';
import { seconds } from '../../src/core/clock.ts';
import type { Spool } from '../../src/core/ports/spool.ts';
import { FakeClock } from './fake-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { MemorySpool } from './memory-spool.ts';
import { START } from './spool-messages.ts';

const folders: string[] = [];
const servers: Pick<ControlStage, 'server' | 'clock'>[] = [];

/** Folder that {@link cleanUp} removes. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'postern-control-'));
  folders.push(folder);
  return folder;
}

export interface ControlStage {
  readonly server: ControlServer;
  readonly queue: SpoolQueue;
  readonly spool: Spool;
  readonly clock: FakeClock;
  readonly log: MemoryLog;
  readonly path: string;
}

/** Not opened. */
export function controlStage(
  changes: { readonly path?: string; readonly routes?: readonly Route[]; readonly spool?: Spool; readonly clock?: FakeClock } = {},
): ControlStage {
  const clock = changes.clock ?? new FakeClock(START);
  const log = new MemoryLog();
  const spool = changes.spool ?? new MemorySpool(clock);
  const queue = new SpoolQueue({ spool, clock, log });
  const path = changes.path ?? join(newFolder(), 'control.sock');
  const server = new ControlServer({ path, routes: () => Promise.resolve(changes.routes ?? queueRoutes(queue)), clock, log });
  servers.push({ server, clock });
  return { server, queue, spool, clock, log, path };
}

export async function openControlStage(changes: Parameters<typeof controlStage>[0] = {}): Promise<ControlStage> {
  const stage = controlStage(changes);
  await stage.server.open();
  return stage;
}

/** Closes every server and removes every folder. */
export async function cleanUp(): Promise<void> {
  await Promise.all(
    servers.splice(0).map(async ({ server, clock }) => {
      const closed = server.close(seconds(1));
      await clock.advance(seconds(1));
      await closed;
    }),
  );
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

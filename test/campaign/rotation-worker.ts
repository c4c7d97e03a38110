/**
 * The process that is stopped: it refreshes again and again, and dies with SIGKILL at the point it was told. Two points it cannot see itself, the
 * endpoint does. Bundled and run by {@link ./token-rotation.ts}.
 *
 * @packageDocumentation
 */
import { type FileHandle, link, open, rename, unlink } from 'node:fs/promises';
import type { TokenStore } from '../../src/core/ports/token-store.ts';
import type { FileOperations } from '../../src/platform/atomic-file.ts';
import type { TokenEndpoint } from '../../src/token/token-answer.ts';
import type { RotationPoint } from './rotation-points.ts';
import { openEndpoint, openManager, openStore, rotatingAccount } from './rotation-tokens.ts';

/** What the worker is told. */
export interface WorkerSettings {
  readonly directory: string;
  readonly tokenUrl: string;
  /** Where to die. */
  readonly point: RotationPoint;
  /** At which time of passing it. */
  readonly passing: number;
  /** For the controls. */
  readonly without?: 'sync' | 'directory-sync';
}

const settings = JSON.parse(process.argv[2] ?? '') as WorkerSettings;
let passings = 0;

function reach(point: RotationPoint): void {
  if (point !== settings.point) return;
  passings += 1;
  if (passings === settings.passing) process.kill(process.pid, 'SIGKILL');
}

const calls = ['open', 'write', 'sync', 'close'] as const;
type Call = `${'file' | 'directory'}/${(typeof calls)[number]}` | 'rename';

/** A call passes three points; those that are in no list are passed for nothing. */
async function around<Result>(call: Call, action: () => Promise<Result>): Promise<Result> {
  reach(`${call}/before` as RotationPoint);
  const result = action();
  reach(`${call}/during` as RotationPoint);
  const value = await result;
  reach(`${call}/after` as RotationPoint);
  return value;
}

/** The system's calls with points around them, and without syncs where a control is wanted. */
const operations: FileOperations = {
  link,
  unlink,
  rename: (from, to) => around('rename', () => rename(from, to)),
  open: async (path, flags, mode) => {
    const kind = path.endsWith('.tmp') ? 'file' : 'directory';
    const handle = await around(`${kind}/open`, () => open(path, flags, mode));
    if (settings.without === 'sync' || (settings.without === 'directory-sync' && kind === 'directory')) {
      handle.sync = () => Promise.resolve();
    }
    for (const call of calls.slice(1)) watch(handle, call, `${kind}/${call}`);
    return handle;
  },
};

function watch(handle: FileHandle, name: (typeof calls)[number], call: Call): void {
  const original = (Reflect.get(handle, name) as (...args: unknown[]) => Promise<unknown>).bind(handle);
  Reflect.set(handle, name, (...args: unknown[]) => around(call, () => original(...args)));
}

function watchedStore(store: TokenStore): TokenStore {
  return {
    load: (account) => store.load(account),
    markOf: (account) => store.markOf(account),
    save: async (account, grant) => {
      await store.save(account, grant);
      reach('saved');
    },
    exclusively: async (account, action) => {
      reach('lock/before');
      const underLock = store.exclusively(account, () => {
        reach('lock/held');
        return action();
      });
      setImmediate(() => reach('lock/during'));
      const result = await underLock;
      reach('lock/released');
      return result;
    },
  };
}

function watchedEndpoint(endpoint: TokenEndpoint): TokenEndpoint {
  return {
    request: async (request) => {
      reach('request/before');
      const answer = await endpoint.request(request);
      reach('request/after');
      return answer;
    },
    close: () => endpoint.close(),
  };
}

async function refreshAgainAndAgain(): Promise<void> {
  const account = rotatingAccount(settings.tokenUrl);
  const manager = openManager(account, watchedStore(openStore(settings.directory, operations)), watchedEndpoint(openEndpoint()));
  for (let round = 0; round < settings.passing; round += 1) {
    await manager.refresh(account.name);
    reach('handed-out');
  }
  await manager.close();
}

void refreshAgainAndAgain();

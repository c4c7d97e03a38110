/**
 * A process that refreshes again and again, with a provider that rotates refresh tokens, is stopped at every point of a rotation: by SIGKILL, and
 * by power cuts. Each time what is stored must be the newest refresh token that the endpoint has handed out or the one it was traded for; the
 * newest, wherever an access token has been used that came with it; and a refresh with it must work.
 *
 * A kill proves little about syncing, since what a process has written stays. Power cuts do: the same with a store that leaves out its syncs, or
 * those of directories, must lose tokens; if it does not, this campaign is blind.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Account } from '../../src/core/account.ts';
import { ProblemError } from '../../src/core/problem.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { storeNewGrant } from '../../src/token/new-grant.ts';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { DiskImage, diskImageObstacle } from './disk-image.ts';
import { RotatingEndpoint } from './rotating-endpoint.ts';
import { ALL_POINTS, CONTROL_POINTS, ROTATION_POINTS, type RotationPoint } from './rotation-points.ts';
import { openEndpoint, openManager, openStore, rotatingAccount } from './rotation-tokens.ts';
import type { WorkerSettings } from './rotation-worker.ts';

/** A refresh before the one that is stopped, at most so many. */
const MOST_BEFORE = 4;

/** How many stops of each kind. */
export interface RotationOptions extends CampaignOptions {
  /** 50 unless told. `count` says how many kills. */
  readonly powerCuts?: number;
}

/** A series of stops on one store. */
interface Series extends CampaignOptions {
  readonly points: readonly RotationPoint[];
  readonly without?: WorkerSettings['without'];
  /** What happens to the store's directory after each kill. */
  readonly afterKill?: () => Promise<void>;
}

/** What a series has found. */
interface Findings {
  stops: number;
  readonly pointsReached: Set<RotationPoint>;
  /** Stops after which the newest was stored. */
  newest: number;
  /** Stops after which the one it was traded for was stored. */
  previous: number;
  /** Neither, or none. */
  lost: number;
  rotations: number;
  readonly broken: string[];
}

/** Kills, then power cuts where they can be simulated. */
export async function runTokenRotation({ powerCuts = 50, ...options }: RotationOptions): Promise<CampaignOutcome> {
  const kills = await runTokenKills(options);
  const obstacle = powerCuts === 0 ? 'none were asked for' : await diskImageObstacle();
  if (obstacle !== undefined) {
    options.print?.(`no power cuts: ${obstacle}`);
    return kills;
  }
  const cuts = await runTokenPowerCuts({ ...options, count: powerCuts });
  return { counts: { ...kills.counts, ...cuts.counts }, broken: [...kills.broken, ...cuts.broken] };
}

/** Stops by SIGKILL. */
export async function runTokenKills(options: CampaignOptions): Promise<CampaignOutcome> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-rotation-'));
  try {
    return outcomeOf('kills', await runSeries(join(directory, 'tokens'), { ...options, points: ALL_POINTS }));
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** Stops by power cuts, and one control of each kind for every ten of them, at least three. */
export async function runTokenPowerCuts(options: CampaignOptions): Promise<CampaignOutcome> {
  const { counts, broken } = outcomeOf('power cuts', await runOnImage({ ...options, points: ALL_POINTS }));
  const control = { seed: options.seed, count: Math.max(CONTROL_POINTS.length, Math.round(options.count / 10)), points: CONTROL_POINTS };
  const unsynced = await runOnImage({ ...control, without: 'sync' });
  const unsyncedNames = await runOnImage({ ...control, without: 'directory-sync' });
  const blind = 'power cuts: the control %s lost nothing: this campaign is blind';
  if (unsynced.lost === 0) broken.push(blind.replace('%s', 'without syncs'));
  if (unsyncedNames.lost === 0) broken.push(blind.replace('%s', 'without directory syncs'));
  return {
    broken,
    counts: {
      ...counts,
      'control: power cuts each': control.count,
      'control without syncs: tokens lost': unsynced.lost,
      'control without directory syncs: tokens lost': unsyncedNames.lost,
    },
  };
}

async function runOnImage(series: Series): Promise<Findings> {
  const image = await DiskImage.make();
  try {
    const directory = join(image.mountPoint, 'tokens');
    const afterKill = async (): Promise<void> => {
      await image.cutPower();
      // The lock file may be empty now; it would be watched for five seconds.
      for (const name of await readdir(directory)) if (name.includes('.lock')) await rm(join(directory, name));
    };
    return await runSeries(directory, { ...series, afterKill });
  } finally {
    await image.remove();
  }
}

async function runSeries(directory: string, series: Series): Promise<Findings> {
  const { count, seed, points, print = () => undefined } = series;
  const program = await buildWorker();
  const endpoint = await RotatingEndpoint.listen(seed);
  const found: Findings = { stops: 0, pointsReached: new Set(), newest: 0, previous: 0, lost: 0, rotations: 0, broken: [] };
  const random = seededRandom(seed);
  const account = rotatingAccount(endpoint.url);
  try {
    await storeNewest(directory, account, endpoint);
    for (let stop = 0; stop < count; stop += 1) {
      const point = points[stop % points.length] ?? 'saved';
      const passing = 2 + Math.floor(random.fraction() * MOST_BEFORE);
      await stopAt(program.path, endpoint, { directory, tokenUrl: endpoint.url, point, passing, ...withoutOf(series) });
      await series.afterKill?.();
      found.stops += 1;
      found.pointsReached.add(point);
      await examine(directory, point, account, endpoint, found);
      if (found.stops % 50 === 0) print(`${found.stops} stops`);
    }
    found.rotations = endpoint.handedOut;
    return found;
  } finally {
    await endpoint.close();
    await program.remove();
  }
}

const withoutOf = ({ without }: Series): Pick<WorkerSettings, 'without'> => (without === undefined ? {} : { without });

/** As `postern login` would. */
async function storeNewest(directory: string, account: Account, endpoint: RotatingEndpoint): Promise<void> {
  await storeNewGrant(openStore(directory), account, { refreshToken: endpoint.newest }, systemClock.now());
}

/** What is on the disk now, and whether the account still works with it. A series goes on after a loss, as after a new sign-in. */
async function examine(
  directory: string,
  point: RotationPoint,
  account: Account,
  endpoint: RotatingEndpoint,
  found: Findings,
): Promise<void> {
  const stored = await storedToken(directory, account);
  if (stored === endpoint.newest) found.newest += 1;
  else if (stored !== undefined && stored === endpoint.previous) found.previous += 1;
  else {
    found.lost += 1;
    found.broken.push(`stopped at ${point}: ${stored === undefined ? 'no refresh token' : 'an outdated refresh token'} is stored`);
    await storeNewest(directory, account, endpoint);
  }
  if (ROTATION_POINTS[point] === 'newest' && stored === endpoint.previous) {
    found.broken.push(`stopped at ${point}: the newest refresh token is not stored`);
  }
  const problem = await refreshOnce(directory, account);
  if (problem !== undefined) found.broken.push(`stopped at ${point}: the refresh afterwards failed: ${problem}`);
  else if ((await storedToken(directory, account)) !== endpoint.newest)
    found.broken.push(`stopped at ${point}: the refresh afterwards was not stored`);
}

/** Undefined where there is none, or none that can be read. */
async function storedToken(directory: string, account: Account): Promise<string | undefined> {
  try {
    return (await openStore(directory).load(account.name))?.refreshToken;
  } catch (error) {
    if (error instanceof ProblemError) return undefined;
    throw error;
  }
}

/** @returns What went wrong. */
async function refreshOnce(directory: string, account: Account): Promise<string | undefined> {
  const manager = openManager(account, openStore(directory), openEndpoint());
  try {
    await manager.refresh(account.name);
    return undefined;
  } catch (error) {
    if (error instanceof ProblemError) return `${error.problem.code}: ${error.problem.cause}`;
    throw error;
  } finally {
    await manager.close();
  }
}

/** @throws Error where the worker ended otherwise than by the kill. */
async function stopAt(program: string, endpoint: RotatingEndpoint, settings: WorkerSettings): Promise<void> {
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const end = new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => resolve(how));
  });
  let passings = 0;
  endpoint.watcher = async (point) => {
    if (point === settings.point) passings += 1;
    if (point !== settings.point || passings !== settings.passing) return;
    child.kill('SIGKILL');
    await end;
  };
  try {
    const [code, signal] = await end;
    if (signal !== 'SIGKILL') throw new Error(`the worker ended with ${code ?? signal} before ${settings.point}: ${complaint}`);
  } finally {
    endpoint.watcher = () => undefined;
  }
}

/** One bundle, so that hundreds of processes start fast. */
async function buildWorker(): Promise<{ readonly path: string; readonly remove: () => Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-worker-'));
  const path = join(directory, 'worker.cjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./rotation-worker.ts', import.meta.url))],
    outfile: path,
    bundle: true,
    format: 'cjs',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'error',
  });
  return { path, remove: () => rm(directory, { recursive: true, force: true }) };
}

function outcomeOf(
  what: string,
  { stops, pointsReached, newest, previous, lost, rotations, broken }: Findings,
): CampaignOutcome & { broken: string[] } {
  const counts = {
    [what]: stops,
    [`${what}: points`]: pointsReached.size,
    [`${what}: rotations`]: rotations,
    [`${what}: newest stored`]: newest,
    [`${what}: previous stored`]: previous,
    [`${what}: tokens lost`]: lost,
  };
  return { counts, broken: broken.map((each) => `${what}: ${each}`) };
}

/**
 * The power is cut under a spool: it lies on an ext4 in an image file, and at the moment its process is killed the image is copied. What the file system had
 * not written by then is not in the copy. The next run goes on from the copy.
 *
 * The same with a worker that leaves out its syncs, or those of directories, must lose messages; if it does not, this campaign is blind.
 *
 * @packageDocumentation
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';
import { type Account, accountOf, Ledger } from './spool-ledger.ts';
import { SPOOL_POINTS } from './spool-points.ts';
import { openWorkshop, type Workshop } from './spool-process.ts';
import type { WorkerSettings } from './spool-worker.ts';

const execute = promisify(execFile);

/** Of the points, those that come late enough for something to be promised. */
const POINTS = SPOOL_POINTS.filter((point) => !point.startsWith('start/'));
/** Soon after something was promised, when a control has the most to lose. */
const CONTROL_POINTS = ['accepted'] as const;
const MOST_TRIES = 3;

/** In memory where there is room, since copying is most of the work; what ext4 has written is what counts, not where its image lies. */
async function roomyDirectory(): Promise<string> {
  const inMemory = '/dev/shm';
  const free = await statfs(inMemory).then(
    ({ bavail, bsize, type }) => (type === TMPFS ? bavail * bsize : 0),
    () => 0, // There is no such thing here.
  );
  return free > 300e6 ? inMemory : tmpdir();
}
const TMPFS = 0x01021994;

/** A file system in a file, mounted. */
class Image {
  readonly mountPoint: string;
  readonly #directory: string;
  #number = 0;

  private constructor(directory: string) {
    this.#directory = directory;
    this.mountPoint = join(directory, 'mounted');
  }

  static async make(): Promise<Image> {
    const image = new Image(await mkdtemp(join(await roomyDirectory(), 'postern-image-')));
    try {
      await image.#make();
      return image;
    } catch (error) {
      await image.remove();
      throw error;
    }
  }

  async #make(): Promise<void> {
    await mkdir(this.mountPoint);
    await execute('truncate', ['-s', '48M', this.#path()]);
    await execute('mkfs.ext4', ['-q', '-F', this.#path()]);
    await this.#mount();
  }

  /** From now on only what was on the disk is there. */
  async cutPower(): Promise<void> {
    const before = this.#path();
    this.#number += 1;
    await execute('cp', ['--sparse=always', before, this.#path()]);
    await execute('umount', [this.mountPoint]);
    await rm(before);
    await this.#mount();
    await rm(join(this.mountPoint, 'spool', 'lock'), { force: true }); // Perhaps empty now, which would be watched for some seconds.
  }

  async remove(): Promise<void> {
    await execute('umount', [this.mountPoint]).catch(() => undefined); // It may never have been mounted.
    await rm(this.#directory, { recursive: true, force: true });
  }

  async #mount(): Promise<void> {
    await execute('mount', ['-o', 'loop', this.#path(), this.mountPoint]);
  }

  #path(): string {
    return join(this.#directory, `${this.#number}.img`);
  }
}

/** Why images cannot be mounted here; undefined where they can. */
export async function powerCutObstacle(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'mounting an image needs root';
  try {
    await (await Image.make()).remove();
    return undefined;
  } catch (error) {
    return `no image can be mounted: ${error instanceof Error ? error.message.trim() : String(error)}`;
  }
}

/** Cuts the power `count` times. */
export async function cutPower(options: CampaignOptions & { readonly without?: WorkerSettings['without'] }): Promise<Account> {
  const workshop = await openWorkshop();
  try {
    const image = await Image.make();
    try {
      return await cutRepeatedly(workshop, image, options);
    } finally {
      await image.remove();
    }
  } finally {
    await workshop.remove();
  }
}

async function cutRepeatedly(workshop: Workshop, image: Image, options: Parameters<typeof cutPower>[0]): Promise<Account> {
  const { count, seed, without, print = () => undefined } = options;
  const random = seededRandom(seed);
  const settings = {
    dir: join(image.mountPoint, 'spool'),
    ledger: join(workshop.directory, 'ledger'),
    ...(without === undefined ? {} : { without }),
  };
  const ledger = new Ledger(settings.ledger);
  const points = without === undefined ? POINTS : CONTROL_POINTS;
  let cuts = 0;
  for (let run = 0; cuts < count && run < count * MOST_TRIES; run += 1) {
    const point = points[run % points.length] ?? 'accepted';
    const passing = 1 + Math.floor(random.fraction() * 6);
    const isKilled = await workshop.run({ ...settings, seed: seed + run, run, point, passing });
    if (!isKilled) continue;
    await image.cutPower();
    ledger.write({ event: 'stopped', point });
    cuts += 1;
    if (cuts % 50 === 0) print(`${cuts} power cuts`);
  }
  await workshop.run({ ...settings, seed, run: -1 });
  return accountOf(ledger.lines());
}

/** One control for every ten cuts, at least six. */
export async function runPowerCutCampaign({ count, seed, print }: CampaignOptions): Promise<CampaignOutcome> {
  const account = await cutPower({ count, seed, ...(print && { print }) });
  const controls = Math.max(6, Math.round(count / 10));
  const unsynced = await cutPower({ count: controls, seed, without: 'sync' });
  const unsyncedNames = await cutPower({ count: controls, seed, without: 'directory-sync' });
  const broken: string[] = [];
  if (account.stops < count) broken.push(`only ${account.stops} of ${count} power cuts took place`);
  if (account.lost > 0) broken.push(`${account.lost} accepted messages were lost`);
  if (account.altered > 0) broken.push(`${account.altered} messages were delivered with other content`);
  if (account.revived > 0) broken.push(`${account.revived} messages were delivered after they were settled or rejected`);
  if (account.duplicates > account.stops) broken.push(`${account.duplicates} duplicates after ${account.stops} power cuts`);
  if (account.reportedTwice > 0) broken.push(`${account.reportedTwice} messages were reported on twice`);
  if (account.quarantined > 0) broken.push(`${account.quarantined} entries were quarantined`);
  if (unsynced.lost === 0) broken.push('the control without syncs lost nothing: this campaign is blind');
  if (unsyncedNames.lost === 0) broken.push('the control without directory syncs lost nothing: this campaign is blind');
  const counts = {
    ...account,
    'control: cuts each': controls,
    'control without syncs: accepted': unsynced.accepted,
    'control without syncs: lost': unsynced.lost,
    'control without directory syncs: accepted': unsyncedNames.accepted,
    'control without directory syncs: lost': unsyncedNames.lost,
  };
  return { counts, broken };
}

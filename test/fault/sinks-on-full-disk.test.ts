/** Sinks of fetched mail on a disk that is full: nothing is taken in part, the room is given back, and the next message that fits is taken. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { minutes } from '../../src/core/clock.ts';
import type { SinkSettings } from '../../src/core/fetch-rule.ts';
import { openSink } from '../../src/fetch/sinks/open-sink.ts';
import { dial } from '../../src/platform/dial.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { DiskImage, diskImageObstacle } from '../campaign/disk-image.ts';
import { fetched, largeMessage, ODD } from '../support/fetched-message.ts';

const obstacle = await diskImageObstacle();
const never = new AbortController().signal;
/** Larger than the disk. */
const TOO_MUCH_MIB = 24;

describe.skipIf(obstacle !== undefined)(`a full disk under a sink${obstacle === undefined ? '' : `: not run: ${obstacle}`}`, () => {
  let disk: DiskImage;
  beforeAll(async () => {
    disk = await DiskImage.make();
  });
  afterAll(async () => disk?.remove());

  const under = (name: string): string => join(disk.mountPoint, name);
  const copy = (path: string): SinkSettings => ({
    kind: 'command',
    argv: ['sh', '-c', 'mkdir -p "$0" && cat > "$0/$POSTERN_KEY.eml"', path],
    directory: '/',
    timeoutMs: minutes(1),
  });
  it.each<[string, (path: string) => SinkSettings, (path: string) => string]>([
    ['maildir', (path) => ({ kind: 'maildir', path }), (path) => join(path, 'new')],
    ['directory', (path) => ({ kind: 'directory', path }), (path) => path],
    ['command', copy, (path) => path],
  ])('%s: later, then taken whole', async (name, settings, folder) => {
    const path = under(name);
    const sink = openSink(settings(path), { clock: systemClock, dial, scratch: under('scratch') });
    for (let offer = 0; offer < 3; offer += 1) {
      expect(await sink.deliver(largeMessage(TOO_MUCH_MIB).message, never)).toMatchObject({
        kind: 'later',
        problem: { code: 'FETCH_SINK_FAILED', cause: expect.stringMatching(/ENOSPC|wrote \d+ of/) as string },
      });
    }
    const message = fetched([ODD], { key: 'c'.repeat(40) });
    expect(await sink.deliver(message, never)).toMatchObject({ kind: 'stored' });
    const names = readdirSync(folder(path)).filter((file) => !file.endsWith('.json'));
    expect(names).toEqual([expect.stringContaining(message.key)]);
    expect(readFileSync(join(folder(path), names[0] ?? ''))).toEqual(ODD);
  });
});

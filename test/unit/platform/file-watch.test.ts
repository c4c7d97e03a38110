import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import { FileWatch } from '../../../src/platform/file-watch.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let folder: string;
let watch: FileWatch;
let changes: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-watch-'));
  changes = 0;
  watch = new FileWatch({
    clock: systemClock,
    onChange: async () => {
      changes += 1;
    },
  });
});
afterEach(() => {
  watch.close();
  rmSync(folder, { recursive: true, force: true });
});

const path = (name: string): string => join(folder, name);

async function reaches(count: number): Promise<void> {
  while (changes < count) await sleep(5);
}

async function watching(...names: string[]): Promise<void> {
  await watch.watch(names.map(path));
}

describe('a change is seen', () => {
  it('where a file is written in place', async () => {
    writeFileSync(path('secret'), 'one');
    await watching('secret');
    writeFileSync(path('secret'), 'two');
    await reaches(1);
  });

  it('where an editor renames a new file into place', async () => {
    writeFileSync(path('secret'), 'one');
    await watching('secret');
    writeFileSync(path('secret.new'), 'two');
    renameSync(path('secret.new'), path('secret'));
    await reaches(1);
  });

  it('where a file appears, and where it goes', async () => {
    await watching('secret');
    writeFileSync(path('secret'), 'one');
    await reaches(1);
    unlinkSync(path('secret'));
    await reaches(2);
  });

  it('where it may no longer be read, or be written by others', async () => {
    writeFileSync(path('secret'), 'one', { mode: 0o600 });
    await watching('secret');
    chmodSync(path('secret'), 0o666);
    // The kernel tells of a folder only what is done to its entries; others see it in time.
    writeFileSync(path('beside'), '');
    await reaches(1);
  });

  it('K10 where Kubernetes exchanges the folder behind the link, twice within a second', async () => {
    const publish = (version: string): void => {
      mkdirSync(path(version));
      writeFileSync(join(folder, version, 'token'), version);
      symlinkSync(version, path('..next'));
      renameSync(path('..next'), path('..data'));
    };
    publish('v1');
    symlinkSync('..data/token', path('token'));
    await watching('token');
    publish('v2');
    await reaches(1);
    publish('v3');
    await reaches(2);
  });

  it('by the poll alone, where the folder did not exist when the watch began', async () => {
    await watch.watch([join(folder, 'later', 'secret')]);
    mkdirSync(path('later'));
    writeFileSync(join(folder, 'later', 'secret'), 'one');
    await reaches(1);
  }, 15_000);

  it('while the last one is being dealt with', async () => {
    writeFileSync(path('secret'), 'one');
    const seen: string[] = [];
    let go = (): void => {};
    const gate = new Promise<void>((resolve) => {
      go = resolve;
    });
    const slow = new FileWatch({
      clock: systemClock,
      onChange: async () => {
        seen.push('change');
        if (seen.length === 1) await gate;
      },
    });
    await slow.watch([path('secret')]);
    writeFileSync(path('secret'), 'two');
    while (seen.length < 1) await sleep(5);
    writeFileSync(path('secret'), 'three');
    await sleep(50);
    expect(seen).toHaveLength(1);
    go();
    while (seen.length < 2) await sleep(5);
    slow.close();
  });
});

describe('nothing is told', () => {
  it('where a file is touched, or another one in its folder is written', async () => {
    writeFileSync(path('secret'), 'one');
    await watching('secret');
    utimesSync(path('secret'), 1, 1);
    writeFileSync(path('other'), 'x');
    await sleep(500);
    expect(changes).toBe(0);
  });

  it('before what is being written is whole', async () => {
    writeFileSync(path('config'), 'accounts: [a]');
    const seen: string[] = [];
    const clock = new FakeClock();
    const careful = new FileWatch({ clock, onChange: async () => void seen.push(readFileSync(path('config'), 'utf8')) });
    await careful.watch([path('config')]);
    for (const part of ['', 'accounts: ', 'accounts: [a, ', 'accounts: [a, b]']) {
      writeFileSync(path('config'), part);
      await sleep(20);
      await clock.advance(milliseconds(100));
    }
    while (seen.length === 0) {
      await clock.advance(milliseconds(100));
      await sleep(5);
    }
    careful.close();
    expect(seen).toEqual(['accounts: [a, b]']);
  });
});

it('says of which files nobody could know whether they have changed', async () => {
  writeFileSync(path('one'), '1');
  expect(await watch.watch([path('one')])).toBe(true);
  expect(await watch.watch([path('one')])).toBe(false);
  expect(await watch.watch([path('one'), path('two')])).toBe(true);
  expect(await watch.watch([path('two')])).toBe(false);
});

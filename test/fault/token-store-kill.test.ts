/** A process that saves grants in a loop is killed again and again: what it said was durable is there, whole. */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openSaverStore, SAVER_ACCOUNT, saveForever, saverGrant } from '../support/token-saver.ts';

const KILLS = 30;
let directory: string;
let program: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-kill-'));
  program = join(directory, 'saver.mjs');
  await build({
    stdin: {
      contents: `import { ${saveForever.name} as save } from './token-saver.ts'; await save(process.argv[2]);`,
      resolveDir: fileURLToPath(new URL('../support', import.meta.url)),
      loader: 'ts',
    },
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    logLevel: 'error',
  });
});
afterAll(async () => {
  await rm(directory, { recursive: true });
});

/** Kills with SIGKILL as soon as `saves` saves were reported; the process is somewhere in the next one then. */
async function killAfter(saves: number): Promise<number> {
  const child = spawn(process.execPath, [program, join(directory, 'tokens')], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output += text;
    if (output.split('\n').length > saves) child.kill('SIGKILL');
  });
  const signal = await new Promise((resolve) => child.once('close', (_code, by) => resolve(by)));
  expect(signal).toBe('SIGKILL');
  return Number(output.split('\n').at(-2));
}

it(`after each of ${KILLS} kills the newest durable grant, or the one being written, is there`, async () => {
  const store = openSaverStore(join(directory, 'tokens'));
  for (let kill = 0; kill < KILLS; kill += 1) {
    const acknowledged = await killAfter(1 + (kill % 5));
    const found = await store.load(SAVER_ACCOUNT);
    const generation = found?.generation ?? 0;
    expect([acknowledged, acknowledged + 1]).toContain(generation);
    expect(found).toEqual(saverGrant(generation));
  }
}, 180_000); // Thirty processes, on a busy machine.

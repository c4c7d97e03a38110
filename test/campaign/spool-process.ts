/**
 * Bundles {@link ./spool-worker.ts} and runs it as a process of its own.
 *
 * @packageDocumentation
 */
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { WorkerSettings } from './spool-worker.ts';

/** A directory of its own, on the machine's disk, with the worker in it. */
export interface Workshop {
  readonly directory: string;
  /** @returns True where it was killed, false where it came to its end. @throws Error where it failed. */
  readonly run: (settings: WorkerSettings) => Promise<boolean>;
  readonly remove: () => Promise<void>;
}

export async function openWorkshop(): Promise<Workshop> {
  const directory = await mkdtemp(join(tmpdir(), 'postern-campaign-'));
  const program = join(directory, 'worker.mjs');
  await build({
    entryPoints: [fileURLToPath(new URL('./spool-worker.ts', import.meta.url))],
    outfile: program,
    bundle: true,
    format: 'esm',
    platform: 'node',
    target: 'node20.19',
    logLevel: 'error',
  });
  return { directory, run: (settings) => run(program, settings), remove: () => rm(directory, { recursive: true, force: true }) };
}

async function run(program: string, settings: WorkerSettings): Promise<boolean> {
  const child = spawn(process.execPath, [program, JSON.stringify(settings)], { stdio: ['ignore', 'ignore', 'pipe'] });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  const [code, signal] = await new Promise<[number | null, string | null]>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (...how) => resolve(how));
  });
  if (signal === 'SIGKILL') return true;
  if (code !== 0) throw new Error(`the worker ended with ${code ?? signal}: ${complaint}`);
  return false;
}

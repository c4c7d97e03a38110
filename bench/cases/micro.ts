/**
 * Measurements that are programs of their own: of one part beside another, or of IMAP sessions. `npm run bench` runs them one after another; each says at its top what it
 * compares and what it takes.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { BenchCase } from '../kit/case.ts';

const run = promisify(execFile);

/** @param args - For each round. */
const program = (name: string, summary: string, args: readonly string[] = [], isRepeated = false): BenchCase => ({
  name,
  summary,
  async run(rounds) {
    const script = fileURLToPath(new URL(`../${name}.ts`, import.meta.url));
    for (let round = 0; round < (isRepeated ? rounds : 1); round += 1) {
      const { stdout } = await run(process.execPath, ['--import', 'tsx', script, ...args]);
      console.log(stdout.trimEnd());
    }
  },
});

export const MICRO: readonly BenchCase[] = [
  program(
    'mailboxes',
    'IMAP: memory of 1,000 sessions in IDLE, a reader that stalls, notices; beside socat',
    ['--client', 'plain', '--sessions', '1000', '--stall', '10'],
    true,
  ),
  program('spool', 'durable accepts of the spool beside a file per message (best of three rounds)'),
  program('wire-form', 'content into wire form beside a copy and nodemailer (least of 15 rounds)'),
];

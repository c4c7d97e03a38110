/** A network that swallows every packet of connections that are open, and of those that are to be: real packets, in networks of their own. */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';

const run = promisify(execFile);

interface Outcome {
  readonly what: string;
  readonly tookMs: number;
}

it('N01 N04 is noticed within a minute by every kind of session, and its place is free again', { timeout: 120_000 }, async (context) => {
  const obstacle = await run('unshare', ['-n', 'sh', '-c', 'ip link add near type veth peer name far']).then(
    () => undefined,
    (error: Error) => error.message.trim().split('\n').at(-1),
  );
  if (obstacle !== undefined) context.skip(`not run: networks of one's own need root, unshare and ip (${obstacle})`);
  const program = ['-n', process.execPath, '--import', 'tsx', join(projectRoot, 'test/support/vanishing-network.ts')];
  const { stdout } = await run('unshare', program, { cwd: projectRoot, maxBuffer: 1_000_000 });
  const outcomes = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Outcome);
  const of = (name: string): Outcome | undefined => outcomes.find(({ what }) => what === name);
  expect(of('final reply')).toMatchObject({ stage: 'final-reply', problem: 'UPSTREAM_AMBIGUOUS', code: 451, enhancedCode: '4.4.2' });
  expect(of('content of a slow application')).toMatchObject({
    stage: 'content',
    problem: 'UPSTREAM_LOST',
    code: 451,
    enhancedCode: '4.4.2',
  });
  expect(of('connection')).toMatchObject({ stage: 'connect', problem: 'UPSTREAM_UNREACHABLE', code: 451, enhancedCode: '4.4.1' });
  expect(of('idle mailbox')).toMatchObject({ sessions: 0 });
  for (const { what, tookMs } of outcomes.slice(0, 4))
    expect([what, tookMs < (what === 'connection' ? 31_000 : 60_000)]).toEqual([what, true]);
  expect(of('left')).toMatchObject({ connections: 0, sessions: 0 });
});

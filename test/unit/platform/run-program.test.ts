/** What becomes of a program that has to be killed, that cannot be, or that cannot be started. */
import { afterEach, describe, expect, it, vi } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import { octets } from '../../../src/core/octets.ts';
import { type ProgramRequest, runProgram } from '../../../src/platform/run-program.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { projectRoot, RunningProcess } from '../../support/process.ts';

afterEach(() => vi.restoreAllMocks());

const request: ProgramRequest = {
  program: process.execPath,
  args: ['-e', 'setTimeout(() => {}, 20_000)'],
  directory: process.cwd(),
  env: {},
  deadline: milliseconds(50),
  mostOutput: octets(1024),
  clock: systemClock,
};

/** Processes that the system would not let us kill, as it does not where a program runs as another user (sudo). */
function refuseToKill(): number[] {
  const asked: number[] = [];
  vi.spyOn(process, 'kill').mockImplementation((pid) => {
    asked.push(pid);
    throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
  });
  return asked;
}

function killAfterAll(groups: readonly number[]): void {
  vi.restoreAllMocks();
  for (const group of groups) process.kill(group, 'SIGKILL');
}

describe('a program that cannot be killed', () => {
  it('is reported at the deadline, and nothing is thrown at a timer', async () => {
    const asked = refuseToKill();
    const result = await runProgram(request);
    killAfterAll(asked);
    expect(result).toEqual({ kind: 'timeout', after: 50, errors: '', survivor: { pid: -(asked[0] ?? 0), reason: 'EPERM' } });
  });

  it('is reported where it is called off', async () => {
    const asked = refuseToKill();
    const ending = new AbortController();
    const running = runProgram({ ...request, deadline: milliseconds(20_000), signal: ending.signal });
    ending.abort();
    const result = await running;
    killAfterAll(asked);
    expect(result).toMatchObject({ kind: 'called-off', survivor: { reason: 'EPERM' } });
  });

  it('is reported where it prints too much', async () => {
    const asked = refuseToKill();
    const args = ['-e', 'process.stdout.write("x".repeat(5000)); setTimeout(() => {}, 20_000)'];
    const result = await runProgram({ ...request, args, deadline: milliseconds(20_000) });
    killAfterAll(asked);
    expect(result).toMatchObject({ kind: 'too-much-output', survivor: { reason: 'EPERM' } });
  });
});

describe('a program that has to be killed', () => {
  it('has no survivor', async () => {
    const result = await runProgram(request);
    expect(result).toEqual({ kind: 'timeout', after: 50, errors: '' });
  });

  it('counts as killed where it had ended already', async () => {
    vi.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error('kill ESRCH'), { code: 'ESRCH' });
    });
    const result = await runProgram({ ...request, args: ['-e', 'setTimeout(() => {}, 500)'] });
    expect(result).toEqual({ kind: 'timeout', after: 50, errors: '' });
  });
});

it('without a file descriptor for its pipes is not started, and ends nothing else', async () => {
  const script = `${projectRoot}test/support/run-without-descriptors.ts`;
  const command = `ulimit -n 100; exec "${process.execPath}" --import tsx "${script}"`;
  const { code, stdout, stderr } = await new RunningProcess('/bin/sh', ['-c', command]).end();
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({ kind: 'not-started', reason: 'EMFILE' });
});

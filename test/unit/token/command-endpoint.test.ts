/** Programs that print tokens, with real processes; deadlines by a clock that the test moves. */
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import type { CommandAuth } from '../../../src/core/account.ts';
import { seconds } from '../../../src/core/clock.ts';
import type { Problem } from '../../../src/core/problem.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { CommandEndpoint } from '../../../src/token/command-endpoint.ts';
import type { TokenAnswer } from '../../../src/token/token-answer.ts';
import { testAccount } from '../../support/accounts.ts';
import { FakeClock } from '../../support/fake-clock.ts';

let folder: string;
let endpoint: CommandEndpoint;
const ENV = { PATH: process.env['PATH'], HOME: '/home/postern', ERP_PASSWORD: 'canary~secret', VAULT_ADDR: 'https://vault.lab.test' };

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-command-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  endpoint = new CommandEndpoint({ clock: systemClock, env: ENV });
});
afterEach(() => endpoint.close());

const ask = (command: CommandAuth['command'], changes: Partial<CommandAuth> = {}, by = endpoint): Promise<TokenAnswer> =>
  by.request({
    account: testAccount({ auth: { grant: 'command', command, directory: folder, timeout: seconds(10), passEnvironment: [], ...changes } }),
  });

/** The program is a shell script that the test names; nothing here goes through a shell of Postern's. */
const sh = (script: string, changes: Partial<CommandAuth> = {}): Promise<TokenAnswer> => ask(['sh', '-c', script], changes);

async function problemOf(answer: Promise<TokenAnswer>): Promise<Problem> {
  const found = await answer;
  if (found.kind !== 'problem') throw new Error(`a problem was expected and ${found.kind} came`);
  return found.problem;
}

describe('output', () => {
  it('is the token alone, which is asked for again soon', async () => {
    expect(await sh('echo ya29.token')).toEqual({ kind: 'granted', accessToken: 'ya29.token', expiresIn: seconds(300) });
  });

  it('is JSON as a token endpoint sends it; a refresh token in it is not ours', async () => {
    const json = '{"access_token":"abc","expires_in":"1800","token_type":"Bearer","refresh_token":"r"}';
    expect(await ask(['printf', '%s', json])).toEqual({ kind: 'granted', accessToken: 'abc', expiresIn: seconds(1800) });
  });

  it('of 60 KB of JSON is read whole', async () => {
    const json = `{"access_token":"${'a'.repeat(16_000)}","other":"${'b'.repeat(44_000)}"}`;
    writeFileSync(join(folder, 'large.json'), json);
    expect(await ask(['cat', 'large.json'])).toMatchObject({ kind: 'granted', accessToken: 'a'.repeat(16_000) });
  });

  it.each([
    ['nothing', 'true', 'printed nothing'],
    ['blank lines', 'printf "\\n\\n"', 'printed nothing'],
    ['a sentence', 'echo please sign in first', 'no token'],
    ['two lines', 'echo first; echo second', 'no token'],
    ['a control character', 'printf "abc\\001auth=Bearer x"', 'no token'],
    ['a carriage return inside', 'printf "abc\\rdef"', 'no token'],
    ['an escape', 'printf "\\033[31mabc"', 'no token'],
    ['letters beyond ASCII', 'printf "t\\303\\266ken"', 'no token'],
    ['a token of 20 KB', 'head -c 20000 /dev/zero | tr "\\0" a', 'no token'],
    ['JSON without a token', 'echo \'{"token":"canary~token"}\'', 'without a usable access_token'],
    ['JSON with a dead token', 'echo \'{"access_token":"canary~token","expires_in":0}\'', 'without a usable access_token'],
    ['broken JSON', 'echo \'{"access_token": canary~token\'', 'without a usable access_token'],
  ])('that is %s is no token, and is not shown', async (_what, script, why) => {
    const problem = await problemOf(sh(script));
    expect(problem).toMatchObject({ code: 'TOKEN_COMMAND_FAILED', heals: 'by-itself', cause: expect.stringContaining(why) as string });
    expect(JSON.stringify(problem)).not.toMatch(/canary|sign in first|aaaa/);
  });

  it('without end is cut off, and the program killed', async () => {
    const problem = await problemOf(ask(['sh', '-c', 'echo $$ > endless.pid; exec cat /dev/zero']));
    expect(problem).toMatchObject({ code: 'TOKEN_COMMAND_FAILED', cause: expect.stringContaining('more than 65536 octets') as string });
    await gone(Number(readFileSync(join(folder, 'endless.pid'), 'utf8')));
  });
});

describe('a program that fails', () => {
  it('is told with its exit code and the last line of its errors', async () => {
    const { code, cause } = await problemOf(sh('echo first >&2; echo "vault: permission denied" >&2; echo >&2; exit 3'));
    expect(code).toBe('TOKEN_COMMAND_FAILED');
    expect(cause).toBe('sh ended with exit code 3: vault: permission denied');
  });

  it.each([
    [77, 'TOKEN_REAUTH_REQUIRED', 'after-repair'],
    [78, 'TOKEN_MISCONFIGURED', 'after-repair'],
    [64, 'TOKEN_MISCONFIGURED', 'after-repair'],
    [75, 'TOKEN_COMMAND_FAILED', 'by-itself'],
    [1, 'TOKEN_COMMAND_FAILED', 'by-itself'],
  ] as const)('with exit code %i is %s', async (code, expected, heals) => {
    expect(await problemOf(sh(`exit ${code}`))).toMatchObject({ code: expected, heals });
  });

  it('is told where a signal ended it', async () => {
    expect((await problemOf(sh('kill -TERM $$'))).cause).toBe('sh was ended by SIGTERM');
  });

  it('shows nothing that may be a secret', async () => {
    const jwt = `eyJhbGciOiJSUzI1NiJ9.${'Q'.repeat(60)}.sig`;
    const script = `echo printed~token; echo "refused: printed~token ${jwt} \\033[31m key=AKIA0123456789ABCDEF0123456789ABCDEF" >&2; exit 1`;
    const { cause } = await problemOf(sh(script));
    expect(cause).toMatch(/refused: \[secret\]/);
    expect(cause).not.toMatch(/printed~token|eyJ|AKIA|\u001b/);
    expect(cause.length).toBeLessThan(300);
  });

  it('does not fill the memory with its errors', async () => {
    const { cause } = await problemOf(sh('head -c 5000000 /dev/zero | tr "\\0" x >&2; echo >&2; echo last >&2; exit 1'));
    expect(cause).toBe('sh ended with exit code 1: last');
  });

  it.each([
    ['is not there', '/nowhere/program', 'ENOENT'],
    ['is a name that nobody has', 'no-such-program-anywhere', 'ENOENT'],
    ['may not be run', '/etc/passwd', 'EACCES'],
  ])('since it %s is for the operator', async (_what, program, reason) => {
    const problem = await problemOf(ask([program]));
    expect(problem).toMatchObject({ code: 'TOKEN_MISCONFIGURED', heals: 'after-repair' });
    expect(problem.cause).toContain(`${program} could not be started (${reason})`);
  });
});

describe('a program that hangs', () => {
  it('is killed at the deadline, and all that it started', async () => {
    const clock = new FakeClock();
    const hanging = new CommandEndpoint({ clock, env: ENV });
    writeFileSync(
      join(folder, 'hang.sh'),
      '#!/bin/sh\ntrap "" TERM INT\nsleep 600 &\necho "$! $$" > hang.pids.new\nmv hang.pids.new hang.pids\nwait\n',
    );
    chmodSync(join(folder, 'hang.sh'), 0o755);
    const answer = ask(['./hang.sh'], { timeout: seconds(7) }, hanging);
    const pids = await pidsIn(join(folder, 'hang.pids'));
    await clock.advance(seconds(8));
    expect(await problemOf(answer)).toMatchObject({
      code: 'TOKEN_COMMAND_FAILED',
      cause: './hang.sh did not end within 7 s and was killed',
    });
    for (const pid of pids) await gone(pid);
  });

  it('is killed when Postern stops', async () => {
    const clock = new FakeClock();
    const stopping = new CommandEndpoint({ clock, env: ENV });
    const answer = ask(['sh', '-c', 'echo $$ > stop.pids; exec sleep 600'], {}, stopping);
    const [pid = 0] = await pidsIn(join(folder, 'stop.pids'));
    await stopping.close();
    expect((await problemOf(answer)).cause).toContain('Postern is stopping');
    await gone(pid);
  });

  it('and cannot be killed is named, so that the operator can', async () => {
    const clock = new FakeClock();
    const answer = ask(['sh', '-c', 'echo $$ > sudo.pids; exec sleep 600'], {}, new CommandEndpoint({ clock, env: ENV }));
    const [pid = 0] = await pidsIn(join(folder, 'sudo.pids'));
    const kill = vi.spyOn(process, 'kill').mockImplementation(() => {
      throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' });
    });
    await clock.advance(seconds(11));
    kill.mockRestore();
    const cause = `sh did not end within 10 s and could not be killed (EPERM): process ${pid} may still run, perhaps as another user`;
    expect(await problemOf(answer)).toMatchObject({ code: 'TOKEN_COMMAND_FAILED', cause });
    process.kill(pid, 'SIGKILL');
    await gone(pid);
  });

  it('is not waited for where it left a child behind that keeps its output open', async () => {
    const script = 'sleep 600 & echo $! > left.pids; echo token';
    expect(await sh(script)).toMatchObject({ kind: 'granted', accessToken: 'token' });
    const [pid = 0] = await pidsIn(join(folder, 'left.pids'));
    process.kill(pid, 'SIGKILL'); // A daemon of its own, such as gpg-agent, lives on; this one belongs to the test.
    await gone(pid);
  });
});

it('runs for twenty accounts at once without a warning of a leak', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): number => warnings.push(warning);
  process.on('warning', note);
  await Promise.all(Array.from({ length: 20 }, () => sh('echo token')));
  process.off('warning', note);
  expect(warnings).toEqual([]);
});

describe('what it gets', () => {
  it('is a small environment: no secret of ours, and what the account names', async () => {
    await sh('env > env.txt; echo token', { passEnvironment: ['VAULT_ADDR', 'NOT_SET'] });
    const names = readFileSync(join(folder, 'env.txt'), 'utf8').split('\n');
    expect(names).toContain('HOME=/home/postern');
    expect(names).toContain('VAULT_ADDR=https://vault.lab.test');
    expect(names.join('\n')).not.toContain('canary');
    expect(names.join('\n')).not.toContain('NOT_SET');
  });

  it('is its arguments as they stand, without a shell', async () => {
    expect(await ask(['printf', '%s', '$HOME;`id`$(id)'])).toMatchObject({ kind: 'granted', accessToken: '$HOME;`id`$(id)' });
  });

  it('is an empty input, the folder of the configuration, and a process group of its own', async () => {
    const answer = await sh('cat; pwd > pwd.txt; echo "pgid:$(ps -o pgid= -p $$ | tr -d " "):$$"');
    expect(readFileSync(join(folder, 'pwd.txt'), 'utf8').trim()).toBe(folder);
    const [, group, pid] = answer.kind === 'granted' ? answer.accessToken.split(':') : [];
    expect(group).toBe(pid);
  });

  it('is no token of ours: its command line holds what the configuration says, and nothing else', async () => {
    const answer = await sh('tr "\\0" " " < /proc/$$/cmdline > cmdline.txt; echo token');
    expect(answer.kind).toBe('granted');
    expect(readFileSync(join(folder, 'cmdline.txt'), 'utf8')).not.toMatch(/refresh|canary/);
  });
});

async function pidsIn(file: string): Promise<number[]> {
  while (!existsSync(file) || readFileSync(file, 'utf8').trim() === '') await new Promise((resolve) => setTimeout(resolve, 2));
  return readFileSync(file, 'utf8').trim().split(' ').map(Number);
}

/** A killed process is a zombie until its parent has looked: dead all the same. */
async function gone(pid: number): Promise<void> {
  for (;;) {
    const status = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'utf8') : ') Z';
    if (/\) Z/.test(status)) return;
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

/** What systemd hears of a relay (sd_notify), through systemd-notify as it is on this machine. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { postern, projectRoot, RunningProcess } from '../support/process.ts';

const missing = ['systemd-notify', 'python3'].filter((program) => spawnSync(program, ['--version']).error !== undefined);
const why = missing.length === 0 ? '' : ` (not run: ${missing.join(' and ')} not found)`;

vi.setConfig({ testTimeout: 90_000 });

let folder: string;
let port: number;
let adminPort: number;
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-manager-'));
  [port, adminPort] = [await freePort(), await freePort()];
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** @param env - In place of what a service manager sets. */
function serve(env: NodeJS.ProcessEnv): RunningProcess {
  const file = join(folder, 'postern.yaml');
  const yaml = `listeners: { smtp: [{ port: ${port} }] }\nstate: { dir: ${folder}/state }\nadmin: { port: ${adminPort} }\nlog: { format: json }\n`;
  writeFileSync(file, yaml, { mode: 0o600 });
  return postern(['serve', '--config', file], { env });
}

describe.skipIf(missing.length > 0)(`a service manager${why}`, () => {
  it('hears that the relay is up once its listeners are open, and that it stops', async () => {
    const socket = join(folder, 'notify');
    const manager = new RunningProcess('python3', [join(projectRoot, 'test/support/service-manager.py'), socket]);
    await manager.until(/listening/);
    const relay = serve({ NOTIFY_SOCKET: socket });
    try {
      await manager.until(/READY=1/);
      await new Promise<void>((resolve, reject) => connect({ host: '127.0.0.1', port }, resolve).once('error', reject).unref());
      expect((await relay.end('SIGTERM')).code).toBe(0);
      await manager.until(/STOPPING=1/);
      expect(relay.stdout).not.toContain('SERVICE_MANAGER_NOT_TOLD');
    } finally {
      await manager.end('SIGKILL');
    }
  });
});

it.each([
  ['the socket is not there', {}, /systemd-notify (ended with|could not be started)/],
  ['there is no systemd-notify', { PATH: '/nowhere' }, /could not be started: ENOENT/],
])('a relay goes on where %s, and says so', async (_, env, cause) => {
  const relay = serve({ NOTIFY_SOCKET: join(folder, 'nobody'), ...env });
  const line = await relay.until(/^.*SERVICE_MANAGER_NOT_TOLD.*$/m);
  expect(line[0]).toMatch(cause);
  expect((await relay.end('SIGTERM')).code).toBe(0);
});

/** What the README promises of `npm start`: the printed line, pasted into a shell, sends a message that is seen to arrive. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { projectRoot, RunningProcess } from '../support/process.ts';

let folder: string;
let relay: RunningProcess;

/** The shipped file, but for the ports, which may be taken on this machine. */
async function shippedConfig(): Promise<string> {
  const text = readFileSync(join(projectRoot, 'config/postern.yaml'), 'utf8');
  expect(text).toContain('2525');
  const file = join(folder, 'postern.yaml');
  writeFileSync(file, text.replaceAll('2525', String(await freePort())).replaceAll('8025', String(await freePort())));
  return file;
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'postern-start-'));
  relay = new RunningProcess('npm', ['start', '--', '--config', await shippedConfig()], {
    env: { POSTERN_STATE_DIR: join(folder, 'var') },
  });
  await relay.until(/ready/);
});

afterAll(async () => {
  await relay.end('SIGTERM');
  rmSync(folder, { recursive: true, force: true });
});

describe('npm start with the shipped configuration', () => {
  it('prints a line that sends a message, and shows it arriving with its XOAUTH2 user', async () => {
    const [line] = await relay.until(/^.*curl .*$/m);
    const sent = await new RunningProcess('bash', ['-c', line]).end();
    expect(sent).toMatchObject({ code: 0 });
    const [arrived] = await relay.until(/^.*sandbox received a message.*$/m);
    expect(arrived).toContain('user=relay@sandbox.test');
    await relay.until(/^.*message relayed.*$/m);
  });

  it('says that it is a sandbox and where to look', () => {
    expect(relay.stdout).toMatch(/sandbox/i);
    expect(relay.stdout).toMatch(/http:\/\/127\.0\.0\.1:\d+/);
  });
});

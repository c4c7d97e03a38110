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
  let changed = text;
  for (const port of ['2525', '8025', '1143', '1110']) changed = changed.replaceAll(port, String(await freePort()));
  writeFileSync(file, changed);
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

  it.each(['imap', 'pop3'])('prints a line that reads it back with %s', async (protocol) => {
    const [line] = await relay.until(new RegExp(`^.*curl .*${protocol}://.*$`, 'm'));
    const read = await new RunningProcess('bash', ['-c', line]).end();
    expect(read).toMatchObject({ code: 0 });
    const [, page] = await relay.until(/received mail +(http:\S+)/);
    const { messages } = (await (await fetch(`${page}messages`)).json()) as { messages: { id: string }[] };
    const arrived = await (await fetch(`${page}messages/${messages[0]?.id}/raw`)).text();
    expect(arrived).toMatch(/Subject: Hello from Postern\r\n\r\nIt works\.\r\n$/);
    expect(read.stdout).toBe(arrived);
  });

  it('warns of nothing, and says where to set up a real mailbox', () => {
    expect(relay.stdout).not.toMatch(/\bWARN\b/);
    expect(relay.stdout).toMatch(/open http:\/\/127\.0\.0\.1:\d+\/#\/setup or put an account into/);
  });

  it('says that it is a sandbox and where to look', () => {
    expect(relay.stdout).toMatch(/sandbox/i);
    expect(relay.stdout).toMatch(/http:\/\/127\.0\.0\.1:\d+/);
  });
});

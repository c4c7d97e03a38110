/** Signals that come before Postern has been loaded: it ends as it should, or goes on; without a listener they would do what they do by default. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { postern, type RunningProcess } from '../support/process.ts';

let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'postern-early-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** A relay that gets the signal as soon as anybody listens for it, which is long before its listeners are open. */
async function serveUnder(signal: NodeJS.Signals): Promise<RunningProcess> {
  const hook = join(folder, `${signal}.mjs`);
  const look = `if (process.listenerCount('${signal}') > 0) { clearInterval(timer); process.kill(process.pid, '${signal}'); }`;
  writeFileSync(hook, `const timer = setInterval(() => { ${look} }, 0);\n`);
  const file = join(folder, `${signal}.yaml`);
  const ports = { smtp: await freePort(), admin: await freePort() };
  const listeners = `listeners: { smtp: [{ port: ${ports.smtp} }] }\nadmin: { port: ${ports.admin} }\n`;
  writeFileSync(file, `${listeners}state: { dir: ${folder}/state }\nlog: { format: json }\n`, { mode: 0o600 });
  return postern(['serve', '--config', file], { env: { NODE_OPTIONS: `--import=${hook}` } });
}

it.each<NodeJS.Signals>(['SIGTERM', 'SIGINT'])(
  'X07 %s ends it with 0, and nothing has been opened',
  async (signal) => {
    const { code, stdout, stderr } = await (await serveUnder(signal)).end();
    expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: '', stderr: '' });
  },
  60_000,
);

it('X07 SIGHUP does not end it', async () => {
  const relay = await serveUnder('SIGHUP');
  await relay.until(/"event":"ready"/);
  expect((await relay.end('SIGTERM')).code).toBe(0);
}, 60_000);

/** A configuration that is wrong at the start: exit 78, every problem, and the first line says what it is about. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { freePort } from '../support/free-port.ts';
import { postern } from '../support/process.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-bad-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('X02 postern serve ends with 78 and lists all of it', async () => {
  const file = join(folder, 'postern.yaml');
  writeFileSync(
    file,
    'listeners:\n  smtp: [{ port: 99999 }]\naccounts:\n  - { name: a, mailbx: a@b.test, auth: { grant: basic, password: x } }\nlog: { level: loud }\n',
  );
  const { code, stderr } = await postern(['serve', '--config', file]).end();
  expect(code).toBe(78);
  expect(stderr.split('\n')[0]).toMatch(/^postern: \d problems in .*postern\.yaml \[CONFIG_INVALID\]$/);
  for (const place of ['listeners.smtp[0].port', 'mailbx', 'log.level']) expect(stderr).toContain(place);
});

it('postern health waits as long as it is told, and no longer', async () => {
  const port = await freePort();
  const file = join(folder, 'health.yaml');
  writeFileSync(file, `listeners: { smtp: [{ port: ${port} }] }\nclients: [{ name: a, networks: [127.0.0.1/32] }]\n`);
  expect(await postern(['health', '--wait', '1', '--config', file]).end()).toMatchObject({ code: 1 });
  expect(await postern(['health', '--wait', 'x', '--config', file]).end()).toMatchObject({ code: 2 });
  const waiting = postern(['health', '--wait', '60', '--config', file]);
  const relay = postern(['serve', '--config', file], { env: { POSTERN_STATE_DIR: join(folder, 'var') } });
  expect(await waiting.end()).toMatchObject({ code: 0 });
  await relay.end('SIGTERM');
});

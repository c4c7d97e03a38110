/** Settings of applications as they are shown, run by the programs that they are for: each brings a message to the provider. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { AppSettings } from '../../src/page/snippets/application.ts';
import { APPLICATIONS } from '../../src/page/snippets/applications.ts';
import { projectRoot } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { createTestAuthority } from '../support/test-ca.ts';

/** Python's smtplib takes no other characters than those of ASCII; Postern makes passwords of them. */
const PASSWORD = `local "password" 'of' \\ the lab`;
/** Takes the text of the settings from standard input. */
const RUNNERS: Readonly<Record<string, readonly string[]>> = {
  python: ['python3', '-'],
  nodejs: [process.execPath, '--input-type=module', '-'],
  curl: ['sh'],
};

const folder = mkdtempSync(join(tmpdir(), 'postern-clients-'));
let relay: RelayOnSandbox | undefined;

beforeAll(() => {
  const authority = createTestAuthority();
  const { certPem, keyPem } = authority.issue({ hosts: ['localhost'] });
  for (const [name, text] of Object.entries({ ca: authority.caPem, cert: certPem, key: keyPem }))
    writeFileSync(join(folder, `${name}.pem`), text);
});
afterEach(async () => {
  await relay?.close();
  relay = undefined;
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** @returns Why it cannot be run here; undefined where it can. */
async function whyNot(program: string): Promise<string | undefined> {
  const { code, stderr } = await run([program, '--version'], '');
  return code === 0 ? undefined : `${program} --version: ${stderr}`;
}

function run(command: readonly string[], input: string): Promise<{ code: number; stderr: string }> {
  const [program = '', ...args] = command;
  const ca = join(folder, 'ca.pem');
  const env = { PATH: process.env['PATH'], SSL_CERT_FILE: ca, NODE_EXTRA_CA_CERTS: ca, CURL_CA_BUNDLE: ca, LANG: 'C.UTF-8' };
  return new Promise((resolve) => {
    const child = execFile(program, args, { env, cwd: projectRoot, timeout: 60_000 }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1) || 1, stderr: `${stdout}${stderr}${error?.message ?? ''}` }),
    );
    child.stdin?.on('error', () => undefined); // One that is not there reads nothing, which the code says.
    child.stdin?.end(input);
  });
}

const missing = new Map(await Promise.all(['python3', 'curl'].map(async (program) => [program, await whyNot(program)] as const)));
for (const [program, why] of missing)
  if (why !== undefined) process.stderr.write(`client-settings.test.ts leaves ${program} out: ${why}\n`);

describe.each(['off', 'starttls', 'implicit'] as const)('with TLS %s', (tls) => {
  it.each(Object.keys(RUNNERS))(
    'the settings for %s bring a message to the provider, by password and by address',
    async (id) => {
      const program = id === 'python' ? 'python3' : id;
      if (missing.get(program) !== undefined) return expect(missing.get(program)).toContain(program);
      const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
      relay = await startRelayOnSandbox({
        listener: tls === 'off' ? {} : { tls, ...files },
        clients: [
          { name: 'quoting', username: 'quo"ting', password: PASSWORD, account: 'billing' },
          { name: 'known', networks: ['127.0.0.1/32', '::1/128'], account: 'billing' },
        ],
      });
      const settings: AppSettings = {
        host: 'localhost',
        port: String(relay.port),
        tls,
        from: 'billing@sandbox.test',
        username: 'quo"ting',
        password: PASSWORD,
      };
      const { render } = APPLICATIONS.find((application) => application.id === id)!;
      const shown = [render(settings), render({ ...settings, username: undefined })];
      for (const [index, text] of shown.entries()) {
        expect(await run(RUNNERS[id] ?? [], `${text}\n`), text).toMatchObject({ code: 0 });
        expect(relay.log.of('message-relayed').at(-1)).toMatchObject({ client: ['quoting', 'known'][index] });
      }
      const received = relay.sandbox.messages.list();
      return expect(received.map(({ reversePath }) => reversePath)).toEqual(['billing@sandbox.test', 'billing@sandbox.test']);
    },
    60_000,
  );
});

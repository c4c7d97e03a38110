/**
 * A CA is added to a context by a method that Node does not promise (src/platform/tls-contexts.ts). This holds it against the Node that runs here: the CA is trusted by that context
 * alone, and what Node trusts anyway, a file of roots standing for those it brings along, still is.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { projectRoot } from '../support/process.ts';
import { createTestAuthority } from '../support/test-ca.ts';

const [own, extra] = [createTestAuthority('own'), createTestAuthority('extra')];
const servers: Server[] = [];
let folder: string;
beforeAll(() => (folder = mkdtempSync(join(tmpdir(), 'postern-context-'))));
afterAll(() => {
  for (const server of servers) server.close();
  rmSync(folder, { recursive: true, force: true });
});

/** In a process of its own, which is told where its roots are: `true` or the error's code for each context and each server. */
const LOOK = `
import { connect } from 'node:tls';
import { clientTrust } from './src/platform/tls-contexts.ts';
const { ca, ports } = JSON.parse(process.argv[1]);
const seen = (secureContext, port) => new Promise((resolve) => {
  const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', secureContext }, () => { socket.destroy(); resolve(socket.authorized); });
  socket.on('error', ({ code }) => resolve(code));
});
const table = {};
for (const [name, context] of [['with', clientTrust(ca).context], ['without', clientTrust(undefined).context]]) {
  table[name] = {};
  for (const [server, port] of Object.entries(ports)) table[name][server] = await seen(context, port);
}
console.log(JSON.stringify(table));
`;

it('trusts an additional CA in its own context, and the roots everywhere', async () => {
  const ports = { own: await serve(own), extra: await serve(extra) };
  writeFileSync(join(folder, 'extra.pem'), extra.caPem);
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ['--use-openssl-ca', '--import', 'tsx', '--input-type=module', '-e', LOOK, JSON.stringify({ ca: own.caPem, ports })],
    { cwd: projectRoot, env: { ...process.env, SSL_CERT_FILE: join(folder, 'extra.pem') } },
  );
  const untrusted = expect.stringMatching(/^(SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_)/);
  expect(JSON.parse(stdout)).toEqual({ with: { own: true, extra: true }, without: { own: untrusted, extra: true } });
}, 60_000);

async function serve(authority: typeof own): Promise<number> {
  const { certPem: cert, keyPem: key } = authority.issue({ hosts: ['localhost'] });
  const server = createServer({ cert, key }, (socket) => socket.on('error', () => undefined).end());
  servers.push(server);
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/**
 * Makes postern.js.cache: what V8 has compiled of the bundle by the time a relay has passed on its first message, so that a start compiles none of it again.
 *
 * A process of its own runs `postern serve` on its sandbox, in a folder that is removed, on loopback, and submits a message to it: functions that have been called are in the cache,
 * others are compiled when they are. Usage, by itself: node scripts/code-cache.mjs DIST
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const here = fileURLToPath(import.meta.url);
/** Longest that it may take, on a slow machine. */
const LIMIT_MS = 120_000;

/** Puts the cache for `dist`/postern.js beside it. @throws Error where Postern does not run here; nothing is put there then. */
export async function makeCodeCache(dist) {
  const folder = mkdtempSync(join(tmpdir(), 'postern-code-cache-'));
  try {
    await promisify(execFile)(process.execPath, [here, dist, folder], { timeout: LIMIT_MS });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** In the process of its own: the relay, which ends itself once it has relayed. */
async function runOnce(dist, folder) {
  const config = join(folder, 'postern.yaml');
  const [smtp, imap, pop3, admin] = await freePorts(4);
  const listeners = `listeners: { smtp: [{ port: ${smtp} }], imap: [{ port: ${imap} }], pop3: [{ port: ${pop3} }] }\nadmin: { port: ${admin} }\n`;
  const clients = `clients: [{ name: application, networks: [127.0.0.0/8] }, { name: reader, username: reader, password: reader-of-the-build }]\n`;
  writeFileSync(config, `${listeners}${clients}state: { dir: ${JSON.stringify(join(folder, 'var'))} }\n`, { mode: 0o600 });
  leaveUsualPorts();
  process.argv = [process.argv[0], join(dist, 'main.js'), 'serve', '--config', config];
  const { script } = createRequire(here)(join(dist, 'main.js'));
  process.once('exit', (code) => {
    if (code === 0) writeFileSync(join(dist, 'postern.js.cache'), script.createCachedData());
  });
  await submit(smtp);
  process.kill(process.pid, 'SIGTERM');
}

/** Of the sandbox, which has no setting for them: a relay that starts on this machine meanwhile would be told that they are taken. Any free one will do here. */
function leaveUsualPorts() {
  const usual = [8026, 2587, 2993, 2995];
  const { value: listen } = Object.getOwnPropertyDescriptor(Server.prototype, 'listen');
  Server.prototype.listen = function (where, ...rest) {
    const isUsual = usual.includes(typeof where === 'object' ? where.port : where);
    return listen.call(this, !isUsual ? where : typeof where === 'object' ? { ...where, port: 0 } : 0, ...rest);
  };
}

async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => once(server.close(), 'close')));
  return ports;
}

/** @throws Error where it is refused. */
async function submit(port) {
  const socket = await connected(port);
  const commands = [
    'EHLO build',
    'MAIL FROM:<relay@sandbox.test>',
    'RCPT TO:<relay@sandbox.test>',
    'DATA',
    'Subject: build\r\n\r\nbuild\r\n.',
    'QUIT',
  ];
  for await (const line of createInterface(socket)) {
    if (/^\d{3}-/.test(line)) continue;
    if (!/^[23]/.test(line)) throw new Error(`the relay answers ${line}`);
    const next = commands.shift();
    if (next === undefined) break;
    socket.write(`${next}\r\n`);
  }
  socket.destroy();
  if (commands.length > 0) throw new Error(`the relay has hung up before ${commands[0]}`);
}

/** Tries until the port is open. @throws Error where the relay has ended before. */
async function connected(port) {
  for (;;) {
    if (process.exitCode !== undefined) throw new Error('the relay could not start');
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return socket;
    } catch {
      await new Promise((done) => setTimeout(done, 20));
    }
  }
}

const [, program = '', dist, folder] = process.argv;
if (resolve(program) === here && dist !== undefined)
  await (folder === undefined ? makeCodeCache(resolve(dist)) : runOnce(resolve(dist), folder));

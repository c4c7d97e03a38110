/**
 * A whole Postern in this process, composed as `postern serve` composes it, with the sandbox as its provider.
 *
 * @packageDocumentation
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { Relay } from '../../src/app/compose.ts';
import { loadConfig } from '../../src/config/load.ts';
import { seconds } from '../../src/core/clock.ts';
import { Scrubber } from '../../src/observability/scrubber.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { type Sandbox, startSandbox } from '../../src/sandbox/sandbox.ts';
import { freePort } from './free-port.ts';
import { MemoryLog } from './memory-log.ts';

/** Keys take most of a sandbox's start; the sandboxes of one test file share theirs. */
const sandboxState = mkdtempSync(join(tmpdir(), 'postern-sandbox-'));
process.once('exit', () => rmSync(sandboxState, { recursive: true, force: true }));

export interface RelayOnSandbox {
  readonly sandbox: Sandbox;
  readonly log: MemoryLog;
  readonly scrubber: Scrubber;
  readonly port: number;
  readonly stateDir: string;
  /** The secrets that must not be seen anywhere. */
  readonly secrets: readonly string[];
  close(): Promise<void>;
}

/** Client `erp` (password), client `printers` (no password, from 127.0.0.2) and account `billing` with a refresh token. */
export async function startRelayOnSandbox(changes: { listener?: object; auth?: object; smtp?: object } = {}): Promise<RelayOnSandbox> {
  const log = new MemoryLog();
  const folder = mkdtempSync(join(tmpdir(), 'postern-relay-'));
  const sandbox = await startSandbox({
    clock: systemClock,
    random: systemRandom,
    log,
    stateDir: sandboxState,
    ports: { http: 0, smtp: 0 },
  });
  sandbox.faults.submission.messagesPerMinute = 0;
  const refreshToken = sandbox.mint.refreshToken('billing@sandbox.test');
  const port = await freePort();
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem);
  const document = {
    listeners: { smtp: [{ host: '127.0.0.1', port, ...changes.listener }] },
    state: { dir: './var', keyFile: './var/master.key' },
    providers: {
      lab: {
        extends: 'sandbox',
        tokenUrl: sandbox.tokenUrl,
        smtp: { ...sandbox.smtp, tls: 'starttls', ...changes.smtp },
        caFile: './ca.pem',
      },
    },
    accounts: [
      {
        name: 'billing',
        provider: 'lab',
        mailbox: 'billing@sandbox.test',
        auth: {
          grant: 'refresh_token',
          tenant: sandbox.tenant,
          clientId: sandbox.clientId,
          clientSecret: sandbox.clientSecret,
          refreshToken,
          ...changes.auth,
        },
      },
    ],
    clients: [
      { name: 'erp', username: 'erp', password: 'local-pässword 1', account: 'billing' },
      { name: 'printers', networks: ['127.0.0.2/32'], account: 'billing' },
    ],
  };
  writeFileSync(join(folder, 'postern.yaml'), stringify(document));
  const loaded = await loadConfig({ file: join(folder, 'postern.yaml'), env: {}, cwd: folder });
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  const { config } = loaded;
  const scrubber = new Scrubber();
  for (const secret of config.secrets) scrubber.add(secret);
  const relay = await Relay.compose(config, { log, scrubber, accounts: config.accounts, clients: config.clients });
  await relay.start();
  return {
    sandbox,
    log,
    scrubber,
    port,
    stateDir: join(folder, 'var'),
    secrets: ['local-pässword 1', refreshToken, sandbox.clientSecret],
    async close(): Promise<void> {
      await relay.stop(seconds(5));
      await sandbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

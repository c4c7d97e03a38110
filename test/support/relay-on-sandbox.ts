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
  /** Relative paths in the configuration start here. */
  readonly folder: string;
  /** The secrets that must not be seen anywhere. */
  readonly secrets: readonly string[];
  /** Stop it and start it again on the same state; from now on with other settings under `auth`, and of the provider, where they are given. */
  restart(auth?: object, provider?: object): Promise<void>;
  close(): Promise<void>;
}

/** What differs from the usual configuration. */
interface RelayChanges {
  readonly listener?: object;
  readonly auth?: object;
  readonly smtp?: object;
  readonly alerts?: readonly object[];
  readonly admin?: object;
  /** Mode of the account; `direct` unless told. */
  readonly mode?: 'auto' | 'direct' | 'queue';
  readonly delivery?: object;
  readonly limits?: object;
  /** Where IMAP is spoken; absent: nowhere. */
  readonly imapPort?: number;
  readonly pop3Port?: number;
  readonly fetch?: readonly object[];
  /** Besides those that are always there. */
  readonly clients?: readonly object[];
  /** For how long an access token is good; as at Microsoft unless told. */
  readonly tokenSeconds?: number;
  /** Variables of the process, as far as the relay itself looks at them. */
  readonly environment?: Readonly<Record<string, string>>;
}

/** Client `erp` (password), clients `printers` and `scanners` (no password, from 127.0.0.2 and .3; the latter's senders are rewritten) and account `billing` with a refresh token. */
export async function startRelayOnSandbox(changes: RelayChanges = {}): Promise<RelayOnSandbox> {
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
  if (changes.tokenSeconds !== undefined) sandbox.faults.token.accessTokenLifetimeSeconds = changes.tokenSeconds;
  const refreshToken = sandbox.mint.refreshToken('billing@sandbox.test');
  const port = await freePort();
  writeFileSync(join(folder, 'ca.pem'), sandbox.caPem);
  const documentWith = (auth: object | undefined, provider: object | undefined) => ({
    listeners: {
      smtp: [{ host: '127.0.0.1', port, ...changes.listener }],
      ...(changes.imapPort === undefined ? {} : { imap: [{ host: '127.0.0.1', port: changes.imapPort }] }),
      ...(changes.pop3Port === undefined ? {} : { pop3: [{ host: '127.0.0.1', port: changes.pop3Port }] }),
    },
    state: { dir: './var', keyFile: './var/master.key' },
    ...(changes.fetch === undefined ? {} : { fetch: changes.fetch }),
    providers: {
      lab: {
        extends: 'sandbox',
        tokenUrl: sandbox.tokenUrl,
        smtp: { ...sandbox.smtp, tls: 'starttls', ...changes.smtp },
        ...(changes.imapPort === undefined && changes.fetch === undefined ? {} : { imap: { ...sandbox.imap, tls: 'implicit' } }),
        ...(changes.pop3Port === undefined
          ? {}
          : { imap: { ...sandbox.imap, tls: 'implicit' }, pop3: { ...sandbox.pop3, tls: 'implicit' } }),
        caFile: './ca.pem',
        limits: { messagesPerMinute: 100_000, ...changes.limits },
        ...provider,
      },
    },
    accounts: [
      {
        name: 'billing',
        provider: 'lab',
        mailbox: 'billing@sandbox.test',
        delivery: changes.mode ?? 'direct',
        auth: {
          grant: 'refresh_token',
          tenant: sandbox.tenant,
          clientId: sandbox.clientId,
          clientSecret: sandbox.clientSecret,
          refreshToken,
          ...changes.auth,
          ...auth,
        },
      },
    ],
    clients: [
      { name: 'erp', username: 'erp', password: 'local-pässword 1', account: 'billing' },
      { name: 'printers', networks: ['127.0.0.2/32'], account: 'billing' },
      { name: 'scanners', networks: ['127.0.0.3/32'], account: 'billing', onOtherSender: 'rewrite' },
      ...(changes.clients ?? []),
    ],
    ...(changes.alerts === undefined ? {} : { alerts: changes.alerts }),
    ...(changes.admin === undefined ? {} : { admin: changes.admin }),
    ...(changes.delivery === undefined ? {} : { delivery: changes.delivery }),
  });
  const scrubber = new Scrubber();
  const start = async (auth: object | undefined, provider: object | undefined): Promise<Relay> => {
    writeFileSync(join(folder, 'postern.yaml'), stringify(documentWith(auth, provider)));
    const loaded = await loadConfig({ file: join(folder, 'postern.yaml'), env: { PATH: process.env['PATH'] }, cwd: folder });
    if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
    const { config } = loaded;
    for (const secret of config.secrets) scrubber.add(secret);
    const composed = await Relay.compose(config, {
      log,
      scrubber,
      accounts: config.accounts,
      clients: config.clients,
      ...(changes.environment === undefined ? {} : { environment: changes.environment }),
    });
    await composed.start();
    return composed;
  };
  let newest: object | undefined;
  let newestProvider: object | undefined;
  let relay = await start(newest, newestProvider);
  return {
    sandbox,
    log,
    scrubber,
    port,
    stateDir: join(folder, 'var'),
    folder,
    secrets: ['local-pässword 1', refreshToken, sandbox.clientSecret],
    async restart(auth, provider): Promise<void> {
      await relay.stop(seconds(5));
      newest = auth ?? newest;
      newestProvider = provider ?? newestProvider;
      relay = await start(newest, newestProvider);
    },
    async close(): Promise<void> {
      await relay.stop(seconds(5));
      await sandbox.close();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

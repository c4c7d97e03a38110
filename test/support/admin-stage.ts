/**
 * An admin port over a queue and a relay that is made up, on a free port, for tests.
 *
 * @packageDocumentation
 */
import { request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { type AdminLimits, AdminServer } from '../../src/admin/admin-server.ts';
import type { Route } from '../../src/admin/api.ts';
import { Doorkeeper } from '../../src/admin/doorkeeper.ts';
import { descriptionRoute } from '../../src/admin/openapi.ts';
import { queueRoutes } from '../../src/admin/queue-routes.ts';
import { healthRoutes, metricsRoute, relayRoutes } from '../../src/admin/relay-routes.ts';
import { sessionRoutes } from '../../src/admin/session-routes.ts';
import { SpoolQueue } from '../../src/admin/spool-queue.ts';
import type { PlainSecret } from '../../src/core/client.ts';
import { seconds } from '../../src/core/clock.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import type { Readiness, RelayView } from '../../src/core/ports/relay-view.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { MemorySpool } from './memory-spool.ts';

export const ADMIN_PASSWORD = 'correct horse: bättery';

export interface AdminStage {
  readonly port: number;
  readonly url: string;
  readonly spool: MemorySpool;
  readonly log: MemoryLog;
  readonly view: ScriptedView;
}

interface StageChanges {
  /** Default: {@link ADMIN_PASSWORD}; `none` asks for none. */
  readonly secret?: PlainSecret | 'none';
  readonly hostnames?: readonly string[];
  readonly limits?: Partial<AdminLimits>;
  readonly clock?: Clock;
  readonly routes?: readonly Route[];
  readonly tls?: { readonly cert: string; readonly key: string };
}

/** A relay that is as a test says. */
export class ScriptedView implements RelayView {
  state: Readiness = { isReady: true, reasons: [] };

  readiness(): Readiness {
    return this.state;
  }

  status() {
    return Promise.resolve({
      ...this.state,
      version: '1.2.3',
      startedAt: '2026-01-01T00:00:00.000Z',
      uptimeSeconds: 1,
      source: '/etc/postern.yaml',
      configuration: { loadedAt: '2026-01-01T00:00:00.000Z', reloads: 0 },
      listeners: [{ name: '127.0.0.1:2525', protocol: 'smtp', tls: 'off' as const, isOpen: true, sessions: 0 }],
      accounts: { total: 1, open: 1 },
      queue: { messages: 0, held: 0, octets: 0, limitOctets: 1, quarantined: 0 },
    });
  }

  accounts() {
    return Promise.resolve([
      {
        name: 'billing',
        provider: 'microsoft365',
        mailbox: 'billing@contoso.com',
        smtpUser: 'billing@contoso.com',
        grant: 'refresh_token',
        delivery: 'auto',
        state: 'open',
        queue: { messages: 0, held: 0 },
        connections: { open: 0, limit: 3 },
        pace: { messagesLeft: 30, recipientsLeft: 10_000 },
        secrets: [],
      },
    ]);
  }

  clients() {
    const senders = ['billing@contoso.com'];
    return [
      { name: 'erp', account: 'billing', username: 'erp', hasPassword: true, networks: [], senders, onOtherSender: 'refuse' as const },
    ];
  }

  refreshToken(account: string): Promise<string | undefined> {
    return Promise.resolve(account === 'billing' ? '2026-01-01T01:00:00.000Z' : undefined);
  }
}

const servers: AdminServer[] = [];

export async function openAdminStage(changes: StageChanges = {}): Promise<AdminStage> {
  const { clock = systemClock, hostnames = ['relay.example.com'], tls } = changes;
  const log = new MemoryLog();
  const spool = new MemorySpool(systemClock);
  const view = new ScriptedView();
  const secret = changes.secret === 'none' ? undefined : (changes.secret ?? { kind: 'password', password: ADMIN_PASSWORD });
  const door = new Doorkeeper({ secret, hostnames, isTls: tls !== undefined, clock, log });
  const operations = [...relayRoutes(view), ...queueRoutes(new SpoolQueue({ spool, clock, log })), ...sessionRoutes(door)];
  const metrics = metricsRoute({ contentType: 'text/plain', render: () => Promise.resolve('postern_build_info 1\n') });
  const usual = [...healthRoutes(view), metrics, ...operations, descriptionRoute(operations, '1.2.3')];
  const server = new AdminServer({
    settings: {
      name: '127.0.0.1:0',
      host: '127.0.0.1',
      port: 0,
      minTls: 'TLSv1.2',
      hostnames,
      ...(tls === undefined ? { tls: 'off' } : { tls: 'implicit', ...tls }),
    },
    routes: () => Promise.resolve([...(changes.routes ?? []), ...usual]),
    door,
    clock: systemClock,
    log,
    ...(changes.limits === undefined ? {} : { limits: changes.limits }),
  });
  servers.push(server);
  const { port } = await server.open();
  return { port, url: `http://127.0.0.1:${port}`, spool, log, view };
}

/** Closes every server. */
export async function closeAdminStages(): Promise<void> {
  await Promise.all(servers.splice(0).map((server) => server.close(seconds(0))));
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Of the JSON document. */
  readonly document: Readonly<Record<string, unknown>>;
}

/** One request as it is written here: Node's own client adds only Host (unless given) and Connection. */
export function ask(
  { port }: Pick<AdminStage, 'port'>,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  body?: string,
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const outgoing = httpRequest({ host: '127.0.0.1', port, method, path, headers, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('error', reject);
      response.on('end', () => {
        const isJson = /json/.test(response.headers['content-type'] ?? '') && text !== '';
        const document = isJson ? (JSON.parse(text) as Record<string, unknown>) : {};
        resolve({ status: response.statusCode ?? 0, headers: response.headers, text, document });
      });
    });
    outgoing.on('error', reject);
    outgoing.end(body);
  });
}

/** Octets as they are; what comes back until the server closes. The own side stays open unless `isHalf`. */
export function talk({ port }: Pick<AdminStage, 'port'>, text: string, isHalf = false): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (part: string) => (answer += part));
    socket.on('error', () => undefined); // A reset is an end like any other: `close` follows.
    socket.on('close', () => resolve(answer));
    if (isHalf) socket.end(text);
    else socket.write(text);
  });
}

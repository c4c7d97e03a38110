/**
 * A listener engine on a free port of this machine, with clients, a scripted delivery and a log to look into.
 *
 * @packageDocumentation
 */
import type { AddressInfo } from 'node:net';
import type { Client } from '../../src/core/client.ts';
import type { SmtpListenerSettings } from '../../src/core/listener.ts';
import { octets } from '../../src/core/octets.ts';
import type { Clock } from '../../src/core/ports/clock.ts';
import { ListenerEngine } from '../../src/listener/listener-engine.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import type { PlaceLimits } from '../../src/policy/peer-places.ts';
import { testClient } from './accounts.ts';
import { EagerClock } from './eager-clock.ts';
import { MemoryLog } from './memory-log.ts';
import { ScriptedSubmission } from './scripted-submission.ts';
import { createTestAuthority, type IssuedCertificate, type TestAuthority } from './test-ca.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';

let authority: TestAuthority | undefined;
let certificate: IssuedCertificate | undefined;

/** One certificate for `relay.test` and 127.0.0.1 per test process; making one takes a while. */
export function stageCertificate(): IssuedCertificate & { readonly caPem: string } {
  authority ??= createTestAuthority();
  certificate ??= authority.issue({ hosts: ['relay.test', '127.0.0.1'] });
  return { ...certificate, caPem: authority.caPem };
}

export function stageSettings(changes: Partial<SmtpListenerSettings> = {}): SmtpListenerSettings {
  const pem = changes.tls === undefined || changes.tls === 'off' ? undefined : stageCertificate();
  return {
    name: '127.0.0.1:0',
    host: '127.0.0.1',
    port: 0,
    tls: 'off',
    minTls: 'TLSv1.2',
    requireAuth: false,
    requireTls: false,
    maxSize: octets(20_000),
    maxRecipients: 100,
    ...(pem === undefined ? {} : { cert: pem.certPem, key: pem.keyPem }),
    ...changes,
  };
}

/** The clients that dialogues know. */
export const STAGE_CLIENTS: readonly Client[] = [
  testClient({ senders: ['billing@postern.test', '*@contoso.test'] }),
  testClient({ name: 'printers', account: 'scans', networks: ['10.9.0.0/16'], senders: ['*@postern.test'] }),
  testClient({ name: 'scanners', networks: ['10.7.0.0/16'], onOtherSender: { rewriteTo: 'billing@postern.test' } }),
  testClient({ name: 'tricky', login: { username: 'tricky', secret: { kind: 'password', password: ' sp:ace"\\ü ' } } }),
  testClient({
    name: 'metered',
    login: { username: 'metered', secret: { kind: 'password', password: 'local-password' } },
    messagesPerMinute: 2,
  }),
];

export interface StageOptions {
  readonly settings?: Partial<SmtpListenerSettings>;
  readonly clients?: readonly Client[];
  readonly clock?: Clock;
  /** Where connections seem to come from; 127.0.0.1 unless told. */
  readonly peer?: string;
  /** How many connections there may be; as in production unless told. */
  readonly places?: PlaceLimits;
}

export interface SmtpStage {
  readonly engine: ListenerEngine;
  readonly port: number;
  readonly submission: ScriptedSubmission;
  readonly log: MemoryLog;
  readonly clock: Clock;
  close(): Promise<void>;
}

export async function openSmtpStage(options: StageOptions = {}): Promise<SmtpStage> {
  const submission = new ScriptedSubmission();
  const log = new MemoryLog();
  const clock = options.clock ?? new EagerClock();
  const engine = new ListenerEngine({
    settings: stageSettings(options.settings),
    submission,
    clients: new ClientDirectory(options.clients ?? STAGE_CLIENTS),
    passwords: new PasswordCheck({ clock, random: systemRandom }),
    clock,
    random: systemRandom,
    log,
    hostname: 'relay.test',
    unconfirmed: new UnconfirmedAnswers(clock),
    ...(options.places === undefined ? {} : { places: options.places }),
  });
  if (options.peer !== undefined) {
    engine.server.prependListener('connection', (socket) => Object.defineProperty(socket, 'remoteAddress', { value: options.peer }));
  }
  await new Promise<void>((resolve) => void engine.server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  return {
    engine,
    port: (engine.server.address() as AddressInfo).port,
    submission,
    log,
    clock,
    close: async () => {
      const closed = new Promise<void>((resolve) => void engine.server.close(() => resolve()));
      for (const session of engine.sessions) session.socket.destroy();
      await closed;
    },
  };
}

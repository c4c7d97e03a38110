/**
 * What the fuzz campaign talks to: the fronts of the relay over connections within this process, the admin port over the network, the readers of addresses and of the
 * configuration by a call. Each says what went wrong in a sentence; a defect that was caught and logged went wrong, too.
 *
 * @packageDocumentation
 */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { hours, minutes } from '../../src/core/clock.ts';
import { parsePath } from '../../src/listener/address-parser.ts';
import { ListenerEngine } from '../../src/listener/listener-engine.ts';
import { parseAddressList } from '../../src/message/address-list.ts';
import { duplexPair } from '../../src/platform/duplex-pair.ts';
import { PasswordCheck } from '../../src/platform/password-check.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { ClientDirectory } from '../../src/policy/client-directory.ts';
import { FrontSession } from '../../src/proxy/front-session.ts';
import { closeAdminStages, openAdminStage, talk } from '../support/admin-stage.ts';
import { ConfigFolder } from '../support/config-folder.ts';
import { EagerClock } from '../support/eager-clock.ts';
import { MAILBOX_CLIENTS } from '../support/mailbox-stage.ts';
import { MemoryLog } from '../support/memory-log.ts';
import { MemorySocket } from '../support/memory-socket.ts';
import { ScriptedSubmission } from '../support/scripted-submission.ts';
import { STAGE_CLIENTS, stageSettings } from '../support/smtp-stage.ts';
import { dialogueSeeds } from './mutations.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';

/** Something that takes octets from strangers. */
export interface Target {
  readonly seeds: readonly Buffer[];
  /** One session. Resolves with what went wrong, if anything. */
  play(segments: readonly Buffer[]): Promise<string | undefined>;
  /** Sessions so far that got through: a message, a login, an address, a configuration, an answer of 2yz. None would mean that nothing deep was reached. */
  reached(): number;
  /** What went wrong over all sessions, found at the end. */
  close(): Promise<readonly string[]>;
}

/** A session that goes on for longer, once its client has closed its side, hangs. */
const LONGEST_END = 2_000;

/** Send it all, close our side, and let the other side come to its end. */
async function converse(socket: MemorySocket, segments: readonly Buffer[]): Promise<string | undefined> {
  socket.on('error', () => undefined);
  for (const segment of segments) {
    if (socket.destroyed) break;
    socket.push(segment);
    await nextTurn();
  }
  if (!socket.destroyed) socket.push(null);
  for (let turns = 0; turns < LONGEST_END; turns += 1) {
    if (socket.destroyed || socket.writableEnded) break;
    await nextTurn();
  }
  const isOver = socket.destroyed || socket.writableEnded;
  socket.destroy();
  return isOver ? undefined : 'does not end behind the end of its client';
}

/** Lines that do not look as they must; none where all do. */
function strangeLine(written: string, line: RegExp): string | undefined {
  const lines = written.split('\r\n').slice(0, -1);
  const strange = lines.find((each) => !line.test(each));
  return strange === undefined ? undefined : `says ${JSON.stringify(strange.slice(0, 200))}`;
}

const defectsOf = (log: MemoryLog): string[] => log.of('defect').map(({ message, error }) => `defect: ${message} ${String(error)}`);

export function smtpTarget(): Target {
  const log = new MemoryLog();
  const clock = new EagerClock();
  const submission = new ScriptedSubmission();
  const engine = new ListenerEngine({
    settings: stageSettings(),
    submission,
    clients: new ClientDirectory(STAGE_CLIENTS),
    passwords: new PasswordCheck({ clock, random: systemRandom }),
    clock,
    random: systemRandom,
    log,
    hostname: 'relay.test',
    unconfirmed: new UnconfirmedAnswers(clock),
  });
  return {
    seeds: dialogueSeeds('smtp'),
    async play(segments) {
      const socket = new MemorySocket();
      engine.connect(socket.asSocket);
      const fault = await converse(socket, segments);
      // RFC 5321 §4.2: printable ASCII behind three digits.
      return fault ?? strangeLine(socket.written, /^[2-5]\d\d[ -][\u0020-\u007e]*$/);
    },
    reached: () => submission.submitted.length,
    async close() {
      for (let turns = 0; engine.sessions.size > 0 && turns < LONGEST_END; turns += 1) await nextTurn();
      const left = engine.sessions.size === 0 ? [] : [`${engine.sessions.size} sessions are left`];
      const smuggled = submission.transactions.filter(({ outcome }) => outcome === 'open').map(() => 'a transaction is left open');
      // Scripted by a field of content, and logged as it should be.
      const defects = defectsOf(log).filter((text) => !text.includes('scripted defect'));
      return [...left, ...smuggled, ...defects];
    },
  };
}

export function mailboxTarget(protocol: 'imap' | 'pop3'): Target {
  const log = new MemoryLog();
  const clock = new EagerClock();
  let entered = 0;
  const deps = {
    settings: {
      protocol,
      name: 'fuzz',
      host: '127.0.0.1',
      port: 0,
      tls: 'off',
      minTls: 'TLSv1.2',
      loginTimeout: minutes(1),
      idleTimeout: hours(1),
    } as const,
    secureContext: undefined,
    clients: new ClientDirectory(MAILBOX_CLIENTS),
    passwords: new PasswordCheck({ clock, random: systemRandom }),
    clock,
    random: systemRandom,
    log,
    mailboxes: {
      open: () => {
        entered += 1;
        const [ours, theirs] = duplexPair();
        for (const side of [ours, theirs]) side.on('error', () => undefined);
        theirs.on('data', () => {
          if (theirs.writable) theirs.write(protocol === 'imap' ? '* 1 EXISTS\r\n' : '+OK\r\n');
        });
        theirs.on('end', () => theirs.end());
        return Promise.resolve({
          protocol,
          upstream: 'imap.lab.test:993',
          user: 'billing@postern.test',
          socket: ours.pause(),
          rest: Buffer.alloc(0),
          capabilities: ['IMAP4rev1', 'IDLE'],
          close: () => void ours.destroy(),
        });
      },
    },
  };
  let open = 0;
  return {
    seeds: dialogueSeeds(protocol),
    reached: () => entered,
    async play(segments) {
      // Passwords in clear text are taken from this machine.
      const socket = new MemorySocket('127.0.0.1');
      open += 1;
      const session = new FrontSession(socket.asSocket, deps);
      void session.run().finally(() => (open -= 1));
      return converse(socket, segments);
    },
    async close() {
      for (let turns = 0; open > 0 && turns < LONGEST_END; turns += 1) await nextTurn();
      return [...(open === 0 ? [] : [`${open} sessions are left`]), ...defectsOf(log)];
    },
  };
}

const texts = (...values: string[]): Buffer[] => values.map((value) => Buffer.from(value));

export function addressTarget(): Target {
  let read = 0;
  return {
    reached: () => read,
    seeds: texts(
      '<a@b.test> SIZE=1 BODY=8BITMIME',
      ' "Room 2, left" <"a b"@xn--bcher-kva.test>',
      '<@r1.test,@r2.test:ä@bücher.test>',
      'Some (comment (nested)) Body <a@[IPv6:2001:db8::1]>, "x\\"y" <b@c>, group: c@d, e@f;',
      '=?utf-8?q?x?= <a@b>, <>, undisclosed-recipients:;',
    ),
    play(segments) {
      const text = Buffer.concat(segments).toString('utf8');
      const path = parsePath(text);
      // RFC 5321 §4.1.2: what goes on in a command must not end it, nor its brackets.
      const isSafe = path.kind !== 'path' || /^[^\u0000-\u001f\u007f-\u009f<>]*$/.test(path.address);
      parseAddressList(text);
      if (path.kind === 'path') read += 1;
      return Promise.resolve(isSafe ? undefined : `an address was made of ${JSON.stringify(text)}`);
    },
    close: () => Promise.resolve([]),
  };
}

export function configTarget(): Target {
  const folder = new ConfigFolder();
  let loaded = 0;
  return {
    reached: () => loaded,
    seeds: texts(
      'listeners: { smtp: [{ host: 127.0.0.1, port: 2525, tls: off }] }\nclients: [{ name: a, networks: [10.0.0.0/8], account: b }]\n',
      'accounts:\n  - name: b\n    provider: microsoft365\n    mailbox: b@contoso.com\n    auth: { grant: refresh_token, tenant: contoso.com, clientId: 0b9a5b7e-0000-4000-8000-000000000000 }\n',
      'log: { level: ${env:LEVEL}, format: json }\nadmin: { port: 8025, password: "${file:secret}" }\ndelivery: { mode: auto, budget: 15s }\n',
      'a: &a [1, 2]\nb: *a\nc: !!binary aGVsbG8=\nd: |\n  text\n  more\n? e\n: f\n',
    ),
    async play(segments) {
      const text = Buffer.concat(segments).toString('latin1');
      const result = await folder.load(text, { LEVEL: 'info' });
      if (result.ok) {
        loaded += 1;
        return undefined;
      }
      return result.problems.length > 0 && result.problems.every(({ message }) => message !== '') ? undefined : 'refused without a word';
    },
    close() {
      folder.remove();
      return Promise.resolve([]);
    },
  };
}

const json = (method: string, path: string, body: string): string =>
  `${method} ${path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

export async function adminTarget(): Promise<Target> {
  const stage = await openAdminStage({ secret: 'none' });
  let served = 0;
  return {
    reached: () => served,
    seeds: texts(
      'GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46eA==\r\n\r\n',
      'GET /api/v1/queue?limit=2&after=1.Q000000000000001 HTTP/1.1\r\nHost: localhost\r\nCookie: postern_session=abc\r\n\r\n',
      json('POST', '/api/v1/queue/drop', '{"filter":{"code":1}}'),
      json('POST', '/api/v1/session', '{"password":"x","__proto__":{}}'),
      'POST /api/v1/queue/hold HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n0\r\n\r\n',
      'DELETE /api/v1/traces/0123456789ab HTTP/1.1\r\nHost: [::1]:1\r\nOrigin: http://evil.example\r\n\r\n',
    ),
    async play(segments) {
      const answer = await talk(stage, Buffer.concat(segments).toString('latin1'), true);
      if (answer.startsWith('HTTP/1.1 2')) served += 1;
      return answer === '' || /^HTTP\/1\.1 (?:[234]\d\d|50[13]) /.test(answer) ? undefined : `says ${JSON.stringify(answer.slice(0, 200))}`;
    },
    async close() {
      await closeAdminStages();
      return defectsOf(stage.log);
    },
  };
}

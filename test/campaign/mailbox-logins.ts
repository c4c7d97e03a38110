/**
 * Logins of every dialect, right and wrong, whole and broken, cut into random segments and sent without waiting, at the IMAP and the POP3 front. Whatever comes
 * of them, the upstream must hear none of it: not the local password in any encoding, and no line but those that were meant for it.
 *
 * @packageDocumentation
 */
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type MailboxStage, openMailboxStage } from '../support/mailbox-stage.ts';
import { seededRandom } from '../support/open-spool.ts';
import type { CampaignOptions, CampaignOutcome } from './campaign.ts';

type Random = () => number;
type Protocol = 'imap' | 'pop3';

const USER = 'app';
const PASSWORD = 'local-password';
/** What the upstream may hear: commands from behind a login, and what is left of a second one. */
const MEANT: Readonly<Record<Protocol, RegExp>> = {
  imap: /^(?:m\d+ (?:NOOP|LOGOUT)|t\d+ (?:LOGIN|AUTHENTICATE))$/i,
  pop3: /^(?:NOOP|STAT|QUIT|USER|PASS|AUTH \*)$/i,
};
/** A new stage after so many sessions, so that what it has recorded stays small. */
const SESSIONS_OF_STAGE = 500;

/** `count` logins, half of them with each protocol. */
export async function runMailboxLogins({ count, seed, print = () => undefined }: CampaignOptions): Promise<CampaignOutcome> {
  const random = seededFloat(seed);
  const counts = { logins: 0, sessions: 0, 'signed in': 0, 'octets at the upstream': 0 };
  const broken: string[] = [];
  while (counts.logins < count && broken.length < 10) {
    for (const protocol of ['imap', 'pop3'] as const) {
      const stage = await openMailboxStage({ protocol });
      try {
        for (let session = 0; session < SESSIONS_OF_STAGE && counts.logins < count; session += 1) {
          const attempts = 1 + Math.floor(random() * 3);
          await talk(stage, dialogue(protocol, attempts, random), random);
          counts.logins += attempts;
          counts.sessions += 1;
        }
        counts['signed in'] += stage.upstreams.length;
        counts['octets at the upstream'] += stage.upstreamText().length;
        broken.push(...leaks(protocol, stage.upstreamText()));
      } finally {
        await stage.close();
      }
    }
    print(`${counts.logins} logins`);
  }
  return { counts, broken };
}

function seededFloat(seed: number): Random {
  const source = seededRandom(seed);
  return () => Buffer.from(source.octets(4)).readUInt32BE() / 2 ** 32;
}

/** What the upstream has heard and should not have. */
function leaks(protocol: Protocol, text: string): string[] {
  const secrets = [
    PASSWORD,
    ...[0, 1, 2].map((shift) =>
      Buffer.from('x'.repeat(shift) + PASSWORD)
        .toString('base64')
        .slice(shift === 0 ? 0 : 4, -4),
    ),
  ];
  const found = secrets.filter((secret) => text.includes(secret)).map((secret) => `${protocol}: the upstream was sent ${secret}`);
  const strange = text.split('\r\n').filter((line) => line !== '' && !MEANT[protocol].test(line));
  return [...found, ...strange.map((line) => `${protocol}: the upstream was sent ${JSON.stringify(line)}`)];
}

function dialogue(protocol: Protocol, attempts: number, random: Random): string {
  const login = protocol === 'imap' ? imapLogin : pop3Login;
  const parts: string[] = [];
  for (let attempt = 0; attempt < attempts; attempt += 1) {
    if (random() < 0.2) parts.push(pick(protocol === 'imap' ? IMAP_NOISE : POP3_NOISE, random));
    parts.push(login(attempt, random));
  }
  const rest = protocol === 'imap' ? 'm1 NOOP\r\nm2 LOGOUT\r\n' : 'NOOP\r\nQUIT\r\n';
  return parts.join('') + rest;
}

/** Nothing in here is meant for the upstream, and where it comes behind a login by chance it says no more than these words. */
const IMAP_NOISE = ['m3 NOOP\r\n', 'm4 NOOP\r\nm5 NOOP\r\n'];
const POP3_NOISE = ['NOOP\r\n', 'STAT\r\n'];

function imapLogin(attempt: number, random: Random): string {
  const tag = `t${attempt}`;
  const [user, password] = credentials(random);
  const off = random() < 0.15 ? Math.floor(random() * 7) - 3 : 0;
  const literal = (text: string, plus: string): string => `{${Math.max(0, text.length + off)}${plus}}\r\n${text}`;
  const quoted = (text: string): string => `"${text.replace(/[\\"]/g, '\\$&')}"`;
  const plus = random() < 0.5 ? '+' : '';
  const words = [(text: string) => text, quoted, (text: string) => literal(text, plus)];
  const plain = base64(`\0${user}\0${password}`);
  return pick(
    [
      () => `${tag} LOGIN ${pick(words, random)(user)} ${pick(words, random)(password)}\r\n`,
      () => `${tag} login ${pick(words, random)(user)} ${pick(words, random)(password)}\r\n`,
      () => `${tag} AUTHENTICATE PLAIN ${plain}\r\n`,
      () => `${tag} AUTHENTICATE PLAIN\r\n${plain}\r\n`,
      () => `${tag} AUTHENTICATE LOGIN\r\n${base64(user)}\r\n${base64(password)}\r\n`,
      () => `${tag} AUTHENTICATE LOGIN ${base64(user)}\r\n${base64(password)}\r\n`,
      () => `${tag} AUTHENTICATE LOGIN\r\n${base64(user)}\r\n*\r\n`,
    ],
    random,
  )();
}

function pop3Login(_attempt: number, random: Random): string {
  const [user, password] = credentials(random);
  const plain = base64(`\0${user}\0${password}`);
  return pick(
    [
      () => `USER ${user}\r\nPASS ${password}\r\n`,
      () => `PASS ${password}\r\nUSER ${user}\r\nPASS ${password}\r\n`,
      () => `user ${user}\r\npass ${password}\r\n`,
      () => `AUTH PLAIN ${plain}\r\n`,
      () => `AUTH PLAIN\r\n${plain}\r\n`,
      () => `AUTH LOGIN\r\n${base64(user)}\r\n${base64(password)}\r\n`,
      () => `AUTH LOGIN ${base64(user)}\r\n${base64(password)}\r\n`,
      () => `AUTH LOGIN\r\n${base64(user)}\r\n*\r\n`,
    ],
    random,
  )();
}

/** Mostly right; else of somebody unknown, so that the throttle does not end the campaign. */
function credentials(random: Random): [user: string, password: string] {
  return random() < 0.6 ? [USER, PASSWORD] : [`nobody-${Math.floor(random() * 1e9)}`, PASSWORD];
}

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function pick<Value>(values: readonly Value[], random: Random): Value {
  const value = values[Math.floor(random() * values.length)];
  if (value === undefined) throw new Error('nothing to pick from');
  return value;
}

/** Send it in random segments, and read until the session is over. */
async function talk({ port }: MailboxStage, text: string, random: Random): Promise<void> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  socket.on('error', () => undefined); // The server may have closed in the middle of it.
  const closed = new Promise<void>((resolve) => void socket.once('close', () => resolve()));
  socket.resume();
  for (let rest = text; rest !== ''; ) {
    const size = random() < 0.3 ? 1 + Math.floor(random() * 20) : rest.length;
    if (!socket.writable) break;
    socket.write(rest.slice(0, size));
    rest = rest.slice(size);
    if (rest !== '') await nextTurn();
  }
  socket.end();
  await closed;
}

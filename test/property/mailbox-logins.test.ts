/** The local dialogue of IMAP and POP3 does not depend on how it is cut into segments, and nothing of it reaches the upstream. */
import { connect } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { runMailboxLogins } from '../campaign/mailbox-logins.ts';
import { type MailboxStage, openMailboxStage } from '../support/mailbox-stage.ts';

const plain = Buffer.from('\0app\0local-password').toString('base64');
const [app, password] = ['app', 'local-password'].map((text) => Buffer.from(text).toString('base64'));

const COMMANDS = {
  imap: [
    'a LOGIN app local-password\r\n',
    'a LOGIN "app" "local-password"\r\n',
    'a LOGIN {3}\r\napp {14}\r\nlocal-password\r\n',
    'a LOGIN {3+}\r\napp {14+}\r\nlocal-password\r\n',
    'a LOGIN "tri\\"cky\\\\" " sp:ace\\"\\\\ü{3} "\r\n',
    `a AUTHENTICATE PLAIN ${plain}\r\n`,
    `a AUTHENTICATE PLAIN\r\n${plain}\r\n`,
    `a AUTHENTICATE LOGIN\r\n${app}\r\n${password}\r\n`,
    'a AUTHENTICATE PLAIN\r\n*\r\n',
    `a AUTHENTICATE LOGIN ${app}\r\n${password}\r\n`,
    'a LOGIN app {14}\r\nlocal-password\r\n',
    'a LOGIN {3+}\r\napp "local-password"\r\n',
    'a LOGIN app local-password\r\nb SELECT INBOX\r\nc UID SEARCH CHARSET UTF-8 UNSEEN\r\nd IDLE\r\nDONE\r\n',
    'a LOGIN app local-password\r\nb EXAMINE "IN\\"BOX"\r\nc APPEND x {5+}\r\nabcde\r\nd CHECK\r\n',
    'a CAPABILITY\r\nb ID NIL\r\nc NOOP\r\n',
    'a LOGIN app {5+}\r\nwrong\r\nb LOGIN app local-password\r\nc LOGIN app local-password\r\n',
  ],
  pop3: [
    'USER app\r\nPASS local-password\r\n',
    `AUTH PLAIN ${plain}\r\n`,
    `AUTH PLAIN\r\n${plain}\r\n`,
    `AUTH LOGIN\r\n${app}\r\n${password}\r\n`,
    'CAPA\r\nAUTH\r\nUSER app\r\nPASS wrong\r\nUSER app\r\nPASS local-password\r\n',
    'USER app\r\nPASS local-password\r\nUSER app\r\nPASS local-password\r\n',
  ],
} as const;
const END = { imap: 'y NOOP\r\nz LOGOUT\r\n', pop3: 'NOOP\r\nQUIT\r\n' } as const;

/** What both sides hear when `octets` come in two segments. */
async function hear(stage: MailboxStage, octets: Buffer, cut: number): Promise<{ app: string; upstream: string }> {
  const before = stage.upstreamText().length;
  const socket = connect({ host: '127.0.0.1', port: stage.port, noDelay: true });
  let said = '';
  socket.on('data', (chunk: Buffer) => (said += chunk.toString('latin1')));
  const closed = new Promise((resolve) => socket.once('close', resolve));
  socket.write(octets.subarray(0, cut));
  await nextTurn();
  await nextTurn();
  socket.write(octets.subarray(cut));
  await closed;
  return { app: said, upstream: stage.upstreamText().slice(before) };
}

describe.each(['imap', 'pop3'] as const)('%s', (protocol) => {
  it.each(COMMANDS[protocol])('%j is the same dialogue wherever it is cut', async (command) => {
    const stage = await openMailboxStage({ protocol });
    try {
      const octets = Buffer.from(command + END[protocol]);
      const whole = await hear(stage, octets, octets.length);
      expect(whole.app).toMatch(protocol === 'imap' ? /^\* BYE/m : /^\+OK/m);
      for (let cut = 1; cut < octets.length; cut += 1) expect([cut, await hear(stage, octets, cut)]).toEqual([cut, whole]);
    } finally {
      await stage.close();
    }
  });
});

it('I03 no word of 2,000 logins reaches the upstream (short form of the campaign mailbox-logins)', async () => {
  const { counts, broken } = await runMailboxLogins({ count: 2000, seed: 20261127 });
  expect(broken).toEqual([]);
  expect(counts['signed in']).toBeGreaterThan(400);
}, 120_000);

/** What nobody should say at the IMAP and POP3 fronts, before the login and behind it, and what a provider should not either. */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { deflateRawSync } from 'node:zlib';
import { afterEach, describe, expect, it } from 'vitest';
import { seconds } from '../../src/core/clock.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { heldMemory } from '../support/held-memory.ts';
import { type MailboxStage, type MailboxStageOptions, openMailboxStage } from '../support/mailbox-stage.ts';
import { mailbox, ScriptedImap } from '../support/scripted-imap.ts';
import { stageCertificate } from '../support/smtp-stage.ts';
import { talk as talkPop3 } from '../unit/pop3-from-imap/stage.ts';

const MEGA = 1024 * 1024;

const stages: MailboxStage[] = [];
const apps: App[] = [];

afterEach(async () => {
  for (const app of apps.splice(0)) app.socket.destroy();
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

async function open(options: MailboxStageOptions): Promise<MailboxStage> {
  const stage = await openMailboxStage(options);
  stages.push(stage);
  return stage;
}

class App {
  socket: Socket;
  text = '';
  isClosed = false;

  constructor(port: number) {
    this.socket = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
    this.#listen();
    apps.push(this);
  }

  #listen(): void {
    const close = (): void => void (this.isClosed = true);
    this.socket.on('data', (octets: Buffer) => (this.text += octets.toString('latin1')));
    this.socket.on('error', close).on('end', close).on('close', close);
  }

  /** What was said up to the match, which is taken out. */
  async until(pattern: RegExp): Promise<string> {
    for (;;) {
      const match = pattern.exec(this.text);
      if (match !== null) {
        const end = match.index + match[0].length;
        const said = this.text.slice(0, end);
        this.text = this.text.slice(end);
        return said;
      }
      if (this.isClosed) throw new Error(`closed before ${pattern}: ${JSON.stringify(this.text.slice(-300))}`);
      await nextTurn();
    }
  }

  async ask(command: string, end: RegExp): Promise<string> {
    this.socket.write(command, 'latin1');
    return this.until(end);
  }

  async closed(): Promise<string> {
    while (!this.isClosed) await nextTurn();
    return this.text;
  }

  async upgrade(): Promise<void> {
    this.socket.removeAllListeners('data').removeAllListeners('end');
    this.socket = connectTls({ socket: this.socket, ca: stageCertificate().caPem, servername: 'relay.test' });
    this.#listen();
    await once(this.socket, 'secureConnect');
  }
}

const greeted = async (stage: MailboxStage): Promise<App> => {
  const app = new App(stage.port);
  await app.until(/^(?:\* OK|\+OK).*\r\n/);
  return app;
};

async function signedIn(stage: MailboxStage): Promise<App> {
  const app = await greeted(stage);
  await app.ask('a LOGIN app local-password\r\n', /^a OK .*\r\n/m);
  return app;
}

describe('I01 a literal before the login', () => {
  it.each([
    ['A LOGIN {2147483647}', /^A BAD .*\r\n$/m],
    ['A LOGIN {9999999999999999999}', /^A BAD .*\r\n$/m],
    ['A LOGIN {-1}', /^A (?:BAD|NO) .*\r\n$/m],
    ['A LOGIN app {4294967296}', /^A BAD .*\r\n$/m],
    ['A AUTHENTICATE PLAIN {2147483647}', /^A (?:BAD|NO) .*\r\n$/m],
    ['A SELECT {2147483647}', /^A BAD .*\r\n$/m],
    ['A LOGIN {100000000+}', /^\* BYE .*\r\n$/m],
    ['A SELECT {100000000+}', /^\* BYE .*\r\n$/m],
    ['A LOGIN {9999999999999999999+}', /^(?:\* BYE|A BAD) .*\r\n$/m],
  ])('%s is not waited for', async (command, expected) => {
    const stage = await open({ protocol: 'imap' });
    const app = await greeted(stage);
    const chunk = Buffer.alloc(MEGA, 'x');
    const before = heldMemory();
    expect(await app.ask(`${command}\r\n`, expected)).not.toContain('+ ');
    for (let sent = 0; sent < 20 && app.socket.writable; sent += 1) app.socket.write(chunk);
    while (!app.isClosed && app.socket.writableLength > 0) await nextTurn();
    app.socket.destroy();
    expect(heldMemory() - before).toBeLessThan(8 * MEGA);
    expect(stage.upstreams).toEqual([]);
  });
});

describe('I03 words that are none', () => {
  it.each([
    ['a quoted string with a line end', 'a LOGIN "app\r\nb" local-password\r\n', /^a BAD .*\r\n/m],
    ['8-bit in a quoted string', 'a LOGIN "\xe4\xff" "\xc3"\r\n', /^a NO \[AUTHENTICATIONFAILED\].*\r\n/m],
    ['a quote that is not closed', 'a LOGIN app "local-password\r\n', /^a BAD .*\r\n/m],
    ['no tag', 'LOGIN app local-password\r\n', /^(?:\*|LOGIN) BAD .*\r\n/m],
    ['a tag that is a star', '* LOGIN app local-password\r\n', /^\* BAD .*\r\n/m],
    ['a tag that is a plus', '+ LOGIN app local-password\r\n', /^\* BAD .*\r\n/m],
    ['a tag of 129 octets', `${'t'.repeat(129)} NOOP\r\n`, /^\* BAD .*\r\n/m],
    ['a tag with a NUL', 'a\0b NOOP\r\n', /^\* BAD .*\r\n/m],
    ['a tag of a megabyte', 't'.repeat(MEGA), /^\* BYE Line too long\r\n/m],
  ])('%s', async (_what, text, expected) => {
    const stage = await open({ protocol: 'imap' });
    const app = await greeted(stage);
    await app.ask(text, expected);
    expect(stage.upstreams).toEqual([]);
  });
});

describe('T04 commands in clear text behind STARTTLS', () => {
  it.each([
    ['imap', 'A STARTTLS\r\nB NOOP\r\nC LOGIN app local-password\r\n', /^A OK .*\r\n/, 'D NOOP\r\n', /^D OK NOOP completed\r\n$/],
    ['pop3', 'STLS\r\nCAPA\r\nUSER app\r\n', /^\+OK .*\r\n/, 'PASS local-password\r\n', /^-ERR USER comes first\r\n$/],
  ] as const)('%s: are never answered, neither before nor inside TLS', async (protocol, text, begin, next, answer) => {
    const stage = await open({ protocol, settings: { tls: 'starttls' } });
    const app = await greeted(stage);
    await app.ask(text, begin);
    expect(app.text).toBe('');
    await app.upgrade();
    expect(await app.ask(next, /\r\n$/)).toMatch(answer);
    expect(stage.upstreams).toEqual([]);
  });
});

describe('T14 silence where TLS comes first', () => {
  it.each(['imap', 'pop3'] as const)('%s: is closed after ten seconds, and its place is free', async (protocol) => {
    const clock = new FakeClock();
    const stage = await open({ protocol, clock, settings: { tls: 'implicit' } });
    const app = new App(stage.port);
    while (stage.listener.sessionCount === 0) await nextTurn();
    await clock.advance(seconds(9));
    expect(app.isClosed).toBe(false);
    await clock.advance(seconds(2));
    expect(await app.closed()).toBe('');
    while (stage.listener.sessionCount > 0) await nextTurn();
  });
});

describe('A01 a SASL response that is none', () => {
  const base64 = (text: string): string => Buffer.from(text, 'latin1').toString('base64');
  const RESPONSES: readonly (readonly [string, string, 'malformed' | 'wrong' | 'closed'])[] = [
    ['bad base64', '****', 'malformed'],
    ['a lone padding', '=', 'malformed'],
    ['one NUL', base64('\0'), 'malformed'],
    ['two NULs and nothing', base64('\0\0'), 'wrong'],
    ['four NULs', base64('\0\0\0\0'), 'malformed'],
    ['9 KB', base64(`\0app\0${'x'.repeat(9000)}`), 'wrong'],
    ['20 KB', base64(`\0app\0${'x'.repeat(15_000)}`), 'closed'],
  ];
  it.each(RESPONSES.flatMap((row) => [['imap', ...row] as const, ['pop3', ...row] as const]))(
    '%s, %s: refused, and the connection is of use',
    async (protocol, _what, response, outcome) => {
      const stage = await open({ protocol });
      const app = await greeted(stage);
      const command = protocol === 'imap' ? `a AUTHENTICATE PLAIN ${response}\r\n` : `AUTH PLAIN ${response}\r\n`;
      const answer = await app.ask(command, /\r\n$/);
      if (outcome === 'closed') expect(answer).toMatch(/^(?:\* BYE|-ERR \[SYS\/TEMP\]) Line too long/);
      else {
        expect(answer).toMatch(protocol === 'imap' ? /^a (?:BAD|NO \[AUTHENTICATIONFAILED\]) / : /^-ERR /);
        expect(/AUTH/.test(answer)).toBe(outcome === 'wrong');
        expect(await app.ask(protocol === 'imap' ? 'b NOOP\r\n' : 'CAPA\r\n', /^(?:b OK.*|\.)\r\n/m)).not.toContain('BAD');
      }
      expect(stage.upstreams).toEqual([]);
      expect(stage.log.of('defect')).toEqual([]);
    },
  );
});

describe('I05 a provider that goes in the middle of APPEND', () => {
  it.each(['bye', 'reset'] as const)('(%s): the application reads that its session is over, and never that it was stored', async (how) => {
    const stage = await open({ protocol: 'imap', answer: (line) => (/APPEND/.test(line) ? '+ go on\r\n' : '') });
    const app = await signedIn(stage);
    await app.ask('b APPEND INBOX {100000}\r\n', /^\+ go on\r\n/m);
    app.socket.write('x'.repeat(50_000));
    const [upstream] = stage.upstreams;
    while ((upstream?.bytesRead ?? 0) < 50_000) await nextTurn();
    if (how === 'bye') upstream?.end('* BYE Server is going down\r\n');
    else upstream?.resetAndDestroy();
    const said = await app.closed();
    expect(said).toMatch(/^\* BYE /m);
    expect(said).not.toMatch(/^b OK/m);
  });
});

describe('I06 COMPRESS=DEFLATE', () => {
  it('is not offered, and a bomb of it passes as the octets that it is', async () => {
    const bomb = deflateRawSync(Buffer.alloc(16 * MEGA));
    const stage = await open({ protocol: 'imap', serve: (socket) => void socket.on('data', () => socket.write(bomb)) });
    const app = await greeted(stage);
    expect(await app.ask('z CAPABILITY\r\n', /^z OK .*\r\n/m)).not.toContain('COMPRESS');
    const before = heldMemory();
    expect(await app.ask('a LOGIN app local-password\r\n', /^a OK .*\r\n/m)).toMatch(/IDLE MOVE\]/);
    app.socket.write('b COMPRESS DEFLATE\r\n');
    while (app.text.length < bomb.length) await nextTurn();
    expect(Buffer.from(app.text, 'latin1').equals(bomb)).toBe(true);
    expect(heldMemory() - before).toBeLessThan(4 * MEGA);
  });
});

describe('I10 names of mailboxes', () => {
  const NAMES = [
    '"../../etc/passwd"',
    '"/etc/passwd"',
    '"&AGE-&-&"',
    '"&"',
    '__proto__',
    'constructor',
    'prototype',
    '"hasOwnProperty"',
    `"${'n'.repeat(65_536)}"`,
    '"a\0b"',
  ];

  it("are the provider's business: they go as they are, and the session goes on", async () => {
    const stage = await open({ protocol: 'imap', answer: (line) => `${line.split(' ')[0]} NO no such mailbox\r\n` });
    const app = await signedIn(stage);
    for (const [index, name] of NAMES.entries()) {
      for (const verb of ['SELECT', 'STATUS', 'CREATE']) {
        const command = `${verb}${index} ${verb} ${name}${verb === 'STATUS' ? ' (MESSAGES)' : ''}\r\n`;
        expect(await app.ask(command, /\r\n$/)).toBe(`${verb}${index} NO no such mailbox\r\n`);
        expect(stage.upstreamText().endsWith(command)).toBe(true);
      }
    }
    expect(await app.ask('z NOOP\r\n', /\r\n$/)).toBe('z NO no such mailbox\r\n');
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined();
    expect(stage.log.of('defect')).toEqual([]);
  });

  it('before a login are refused here', async () => {
    const stage = await open({ protocol: 'imap' });
    for (const name of NAMES.filter((each) => each.length < 8000)) {
      const app = await greeted(stage);
      expect(await app.ask(`a SELECT ${name}\r\n`, /\r\n$/)).toMatch(/BAD /);
    }
    expect(stage.upstreams).toEqual([]);
  });
});

describe('I11 a message without measure', () => {
  const nested = (depth: number): string =>
    Array.from({ length: depth }, (_, level) => `Content-Type: multipart/mixed; boundary="b${level}"\r\n\r\n--b${level}\r\n`).join('');
  const MESSAGES: readonly (readonly [string, string])[] = [
    ['10,000 parts', `Content-Type: multipart/mixed; boundary=b\r\n\r\n${'--b\r\n\r\nx\r\n'.repeat(10_000)}--b--\r\n`],
    ['500 levels', `${nested(500)}\r\nx\r\n`],
    ['100,000 fields', `${'X: 1\r\n'.repeat(100_000)}\r\nx\r\n`],
  ];

  it.each(MESSAGES)('%s: passes as octets, over IMAP and over POP3', async (_what, message) => {
    const answer = (line: string): string => `* 1 FETCH (BODY[] {${message.length}}\r\n${message})\r\n${line.split(' ')[0]} OK done\r\n`;
    const stage = await open({ protocol: 'imap', answer });
    const app = await signedIn(stage);
    expect(await app.ask('b FETCH 1 BODY[]\r\n', /^b OK done\r\n/m)).toBe(answer('b'));
    const before = heldMemory();
    const { said } = await talkPop3(new ScriptedImap(mailbox(new Map([[1, message]]))), 'RETR 1', 'TOP 1 1', 'QUIT');
    expect(said.startsWith(`+OK ${message.length} octets\r\n${message}.\r\n+OK The top follows\r\n`)).toBe(true);
    expect(heldMemory() - before).toBeLessThan(16 * MEGA);
  });
});

describe('I12 an application that hardly reads', () => {
  it('an octet now and then of 50 MB: little is held for it, and others are served', async () => {
    const total = 50 * MEGA;
    const block = Buffer.alloc(65_536, 'x');
    const stage = await open({
      protocol: 'imap',
      serve: (socket) => {
        let sent = 0;
        const send = (): void => {
          while (sent < total && socket.write(block)) sent += block.length;
        };
        socket.on('data', (octets: Buffer) => {
          if (octets.includes('FETCH')) socket.on('drain', send).write(`* 1 FETCH (BODY[] {${total}}\r\n`, send);
          else socket.write('c OK done\r\n');
        });
      },
    });
    const [slow, other] = [await signedIn(stage), await signedIn(stage)];
    slow.socket.removeAllListeners('data').pause();
    const before = heldMemory();
    slow.socket.write('b FETCH 1 BODY[]\r\n');
    const [upstream] = stage.upstreams;
    for (let quiet = 0, last = -1; quiet < 200; ) {
      const { bytesWritten = 0 } = upstream ?? {};
      quiet = bytesWritten === last ? quiet + 1 : 0;
      last = bytesWritten;
      slow.socket.read(1);
      await nextTurn();
    }
    expect(upstream?.bytesWritten ?? 0).toBeLessThan(total);
    expect(heldMemory() - before).toBeLessThan(16 * MEGA);
    expect(await other.ask('c NOOP\r\n', /\r\n$/)).toBe('c OK done\r\n');
  });
});

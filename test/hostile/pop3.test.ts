/** POP3 that Postern serves from IMAP, and what applications and mailboxes do to it. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { Maildrop } from '../../src/pop3-from-imap/maildrop.ts';
import { servePop3Transaction } from '../../src/pop3-from-imap/transaction.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { heldMemory } from '../support/held-memory.ts';
import { type MailboxStage, openMailboxStage } from '../support/mailbox-stage.ts';
import { seededRandom } from '../support/open-spool.ts';
import { mailbox, pair, ScriptedImap } from '../support/scripted-imap.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { talk } from '../unit/pop3-from-imap/stage.ts';

const stages: MailboxStage[] = [];
const readers: Pop3Reader[] = [];

afterEach(async () => {
  for (const reader of readers.splice(0)) reader.end();
  await Promise.all(stages.splice(0).map((stage) => stage.close()));
});

async function open(imap?: ScriptedImap): Promise<MailboxStage> {
  const stage = await openMailboxStage({ protocol: 'pop3', ...(imap === undefined ? {} : { imap }) });
  stages.push(stage);
  return stage;
}

/** An application that reads line by line. */
class Pop3Reader {
  readonly #talk: SmtpTalk;

  constructor(port: number) {
    this.#talk = SmtpTalk.plain(port);
    readers.push(this);
  }

  async ask(command: string): Promise<string> {
    const { socket } = this.#talk;
    const before = this.#talk.unread.length;
    socket.write(`${command}\r\n`);
    while (!this.#talk.unread.slice(before).includes('\n') && !socket.destroyed && !socket.readableEnded) await nextTurn();
    return this.#talk.unread.slice(before).trimEnd();
  }

  async logIn(user: string): Promise<string> {
    while (!this.#talk.unread.includes('\n')) await nextTurn();
    await this.ask(`USER ${user}`);
    return this.ask('PASS local-password');
  }

  end(): void {
    this.#talk.destroy();
  }

  reset(): void {
    this.#talk.socket.resetAndDestroy();
  }
}

const CONTENTS = new Map([
  [5, 'Subject: one\r\n\r\n1\r\n'],
  [12, 'Subject: two\r\n\r\n2\r\n'],
  [13, 'Subject: three\r\n\r\n3\r\n'],
]);

describe('P08 a second session of a maildrop', () => {
  it('reads [IN-USE], and gets in once the first has quit', async () => {
    const { port } = await open();
    const [first, second] = [new Pop3Reader(port), new Pop3Reader(port)];
    expect(await first.logIn('served')).toBe('+OK Signed in');
    expect(await second.logIn('served')).toMatch(/^-ERR \[IN-USE\] another session reads the maildrop of account served/);
    expect(await first.ask('STAT')).toBe('+OK 2 47');
    expect(await first.ask('QUIT')).toMatch(/^\+OK/);
    expect(await second.logIn('served')).toBe('+OK Signed in');
  });

  it.each(['end', 'reset'] as const)('gets in after the first has crashed (%s)', async (how) => {
    const { port, log } = await open();
    const [first, second] = [new Pop3Reader(port), new Pop3Reader(port)];
    await first.logIn('served');
    first[how]();
    while (log.of('maildrop-closed').length === 0) await nextTurn();
    expect(await second.logIn('served')).toBe('+OK Signed in');
  });

  it('gets in after the first could not be opened', async () => {
    let isAway = true;
    const imap = new ScriptedImap((command) =>
      isAway && command.startsWith('SELECT') ? '%TAG% NO [UNAVAILABLE] later\r\n' : mailbox(CONTENTS)(command),
    );
    const { port } = await open(imap);
    const reader = new Pop3Reader(port);
    expect(await reader.logIn('served')).toMatch(/^-ERR \[SYS/);
    isAway = false;
    expect(await reader.logIn('served')).toBe('+OK Signed in');
  });
});

describe('P06 a mailbox that changes in a session', () => {
  it('keeps its numbers; what is gone is an error, and what is new is not there', async () => {
    const gone = (command: string): string | undefined => {
      if (!command.startsWith('UID FETCH 12 ')) return undefined;
      return '* 2 EXPUNGE\r\n* 7 EXISTS\r\n* 7 RECENT\r\n%TAG% OK done\r\n';
    };
    const { said } = await talk(
      new ScriptedImap(mailbox(CONTENTS, gone)),
      'STAT',
      'RETR 2',
      'LIST',
      'UIDL',
      'RETR 3',
      'TOP 2 0',
      'DELE 3',
      'QUIT',
    );
    const [stat, retr, ...rest] = said.split('\r\n');
    expect([stat, retr]).toEqual(['+OK 3 59', '-ERR The message is gone']);
    expect(rest.slice(0, 10)).toEqual([
      '+OK messages follow',
      '1 19',
      '2 19',
      '3 21',
      '.',
      '+OK unique ids follow',
      '1 77.5',
      '2 77.12',
      '3 77.13',
      '.',
    ]);
    expect(rest.slice(10)).toEqual([
      '+OK 21 octets',
      'Subject: three',
      '',
      '3',
      '.',
      '-ERR The message is gone',
      '+OK Marked as deleted',
      '+OK Postern says goodbye',
      '',
    ]);
  });
});

describe('P07 numbers of messages', () => {
  it.each([
    ['RETR 0', '-ERR No such message'],
    ['RETR -1', '-ERR No such message'],
    ['RETR 4294967296', '-ERR No such message'],
    ['RETR 99999999999999999999', '-ERR No such message'],
    ['RETR 1 2', '-ERR No such message'],
    ['RETR', '-ERR No such message'],
    ['RETR 1e0', '-ERR No such message'],
    ['RETR ٣', '-ERR No such message'],
    ['LIST 0', '-ERR No such message'],
    ['UIDL 4', '-ERR No such message'],
    ['DELE -1', '-ERR No such message'],
    ['TOP 1 -1', '-ERR Syntax: TOP message lines'],
    ['TOP 4 1', '-ERR No such message'],
    ['TOP 1', '-ERR Syntax: TOP message lines'],
  ])('that are none: %s', async (command, answer) => {
    const imap = new ScriptedImap(mailbox(CONTENTS));
    expect((await talk(imap, command, 'QUIT')).said).toBe(`${answer}\r\n+OK Postern says goodbye\r\n`);
    expect(imap.commands.filter((each) => /BODY|STORE/.test(each))).toEqual([]);
  });

  it('of a mailbox of 10,000 are all listed, in bounded memory', async () => {
    const many = new Map(Array.from({ length: 10_000 }, (_, index) => [index + 1, 'Subject: x\r\n\r\nx\r\n'] as const));
    const imap = new ScriptedImap(mailbox(many));
    const before = heldMemory();
    const began = process.cpuUsage();
    const { said } = await talk(imap, 'LIST', 'UIDL', 'STAT', 'QUIT');
    expect(process.cpuUsage(began).user / 1e6).toBeLessThan(2);
    expect(said.match(/^\d+ \d+\r$/gm)).toHaveLength(10_000);
    expect(said.match(/^\d+ 77\.\d+\r$/gm)).toHaveLength(10_000);
    expect(said).toContain('\r\n+OK 10000 170000\r\n');
    expect(heldMemory() - before).toBeLessThan(16 * 1024 * 1024);
  });
});

describe('P04 Postern is killed between QUIT and the deletion at the provider', () => {
  /** A mailbox that does what it is told; `cutAt` commands after QUIT has been read its client is gone, as a killed process is to it. */
  class Mailbox {
    readonly left: Set<number>;
    readonly flagged = new Set<number>();
    readonly #cutAt: number;
    #changes = 0;

    constructor(uids: readonly number[], cutAt: number) {
      this.left = new Set(uids);
      this.#cutAt = cutAt;
    }

    readonly answer = (command: string): string | undefined => {
      const store = /^UID STORE (\S+) \+FLAGS/.exec(command);
      const expunge = /^UID EXPUNGE (\S+)$/.exec(command);
      if (store === null && expunge === null) return undefined;
      this.#changes += 1;
      // The command that was on its way at the kill is carried out, or not: each in turn.
      if (this.#changes > this.#cutAt) return 'close';
      for (const uid of uidsOf(store?.[1] ?? '')) this.flagged.add(uid);
      for (const uid of uidsOf(expunge?.[1] ?? '')) if (this.flagged.has(uid)) this.left.delete(uid);
      return this.#changes === this.#cutAt ? 'close' : undefined;
    };
  }

  const uidsOf = (set: string): number[] =>
    set.split(',').flatMap((part) => {
      const [from = 0, to = from] = part.split(':').map(Number);
      return part === '' ? [] : Array.from({ length: to - from + 1 }, (_, index) => from + index);
    });

  it('100 times: what was not marked is there, and what was marked is gone or there', async () => {
    const random = seededRandom(20_261_130);
    const pick = (count: number): number => Math.floor(random.fraction() * count);
    let whole = 0;
    let none = 0;
    for (let cycle = 0; cycle < 100; cycle += 1) {
      const uids = Array.from({ length: 8 }, (_, index) => index + 1 + pick(2) * 100)
        .filter((uid, index, all) => all.indexOf(uid) === index)
        .sort((one, other) => one - other);
      const contents = new Map(uids.map((uid) => [uid, `Subject: ${uid}\r\n\r\nx\r\n`]));
      const marked = uids.filter(() => pick(2) === 0);
      const provider = new Mailbox(uids, pick(3));
      const imap = new ScriptedImap(mailbox(contents, provider.answer));
      const clock = new FakeClock();
      let isKilled = false;
      const maildrop = await Maildrop.open({
        clock,
        // Whoever is dead opens no second connection.
        open: () => (isKilled ? Promise.reject(new Error('killed')) : ((isKilled = true), imap.open())),
      });
      const [app, reader] = pair();
      reader.on('error', () => undefined).resume();
      reader.write([...marked.map((uid) => `DELE ${uids.indexOf(uid) + 1}`), 'QUIT', ''].join('\r\n'));
      await servePop3Transaction({ app, ahead: Buffer.alloc(0), maildrop, clock }).catch((error: unknown) => {
        if (!(error instanceof Error) || error.message !== 'killed') throw error;
      });
      app.destroy();
      const unmarked = uids.filter((uid) => !marked.includes(uid));
      expect([cycle, unmarked.filter((uid) => !provider.left.has(uid))]).toEqual([cycle, []]);
      expect([...provider.flagged].filter((uid) => !marked.includes(uid))).toEqual([]);
      const stay = marked.filter((uid) => provider.left.has(uid)).length;
      if (stay === 0) whole += 1;
      else if (stay === marked.length) none += 1;
    }
    // One command deletes them all, so it is all or none.
    expect(whole + none).toBe(100);
    expect(Math.min(whole, none)).toBeGreaterThan(10);
  });
});

describe('P01 a user name', () => {
  it.each([
    ['with a control', 'a\x01b'],
    ['with a bare CR and a command', 'app\rPASS local-password'],
    ['of 300 octets', 'x'.repeat(300)],
  ])('%s is wrong, and nothing of it goes upstream', async (_what, user) => {
    const stage = await open();
    expect(await new Pop3Reader(stage.port).logIn(user)).toBe('-ERR [AUTH] User name or password is wrong');
    expect(stage.upstreams).toEqual([]);
    expect(stage.upstreamText()).toBe('');
  });
});

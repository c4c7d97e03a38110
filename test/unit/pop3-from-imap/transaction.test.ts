import { describe, expect, it } from 'vitest';
import { ProblemError } from '../../../src/core/problem.ts';
import { Maildrop } from '../../../src/pop3-from-imap/maildrop.ts';
import { servePop3Transaction } from '../../../src/pop3-from-imap/transaction.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { mailbox, pair, ScriptedImap } from '../../support/scripted-imap.ts';
import { talk } from './stage.ts';

const FIRST = 'Subject: one\r\n\r\n.dot\r\n..two\r\nlast line without end';
const SECOND = 'Subject: two\r\n\r\n1\r\n2\r\n3\r\n';
const CONTENTS = new Map([
  [12, SECOND],
  [5, FIRST],
]);
const changes = (imap: ScriptedImap): string[] => imap.commands.filter((command) => /STORE|EXPUNGE/.test(command));

describe('POP3 from IMAP', () => {
  it('lists by UID, whatever the order in which the server tells', async () => {
    const { said } = await talk(new ScriptedImap(mailbox(CONTENTS)), 'STAT', 'LIST', 'UIDL', 'LIST 2', 'UIDL 1', 'LIST 3', 'QUIT');
    const sizes = [FIRST.length, SECOND.length];
    expect(said).toBe(
      [
        `+OK 2 ${sizes[0]! + sizes[1]!}`,
        `+OK messages follow\r\n1 ${sizes[0]}\r\n2 ${sizes[1]}\r\n.`,
        '+OK unique ids follow\r\n1 77.5\r\n2 77.12\r\n.',
        `+OK 2 ${sizes[1]}`,
        '+OK 1 77.5',
        '-ERR No such message',
        '+OK Postern says goodbye',
        '',
      ].join('\r\n'),
    );
  });

  it('gives the content octet for octet, dots stuffed, the last line ended', async () => {
    const { said } = await talk(new ScriptedImap(mailbox(CONTENTS)), 'RETR 1', 'NOOP');
    expect(said).toBe(`+OK ${FIRST.length} octets\r\nSubject: one\r\n\r\n..dot\r\n...two\r\nlast line without end\r\n.\r\n+OK\r\n`);
  });

  it('lets no bare LF end an answer early', async () => {
    const { said } = await talk(new ScriptedImap(mailbox(new Map([[1, 'A: b\r\n\r\nx\n.\r\n+OK smuggled']]))), 'RETR 1', 'NOOP');
    expect(said).toBe('+OK 25 octets\r\nA: b\r\n\r\nx\r\n..\r\n+OK smuggled\r\n.\r\n+OK\r\n');
  });

  it.each([
    [0, 'Subject: two\r\n\r\n'],
    [2, 'Subject: two\r\n\r\n1\r\n2\r\n'],
    [99, SECOND],
  ])('gives the header section and %i lines', async (lines, expected) => {
    const { said } = await talk(new ScriptedImap(mailbox(CONTENTS)), `TOP 2 ${lines}`);
    expect(said).toBe(`+OK The top follows\r\n${expected}.\r\n`);
  });

  it('asks for more of a long message until TOP has its lines', async () => {
    const long = `Subject: long\r\n\r\n${'x'.repeat(200_000)}\r\nsecond\r\nthird\r\n`;
    const imap = new ScriptedImap(mailbox(new Map([[1, long]])));
    const { said } = await talk(imap, 'TOP 1 2');
    expect(said).toBe(`+OK The top follows\r\n${long.slice(0, -'third\r\n'.length)}.\r\n`);
    expect(imap.commands.filter((command) => command.includes('PEEK'))).toHaveLength(4);
  });

  it('goes on with what QUIT has asked for where the application leaves without waiting', async () => {
    const [app, reader] = pair();
    const leave = (command: string): undefined => {
      if (command.includes('STORE')) app.destroy();
      return undefined;
    };
    const imap = new ScriptedImap(mailbox(CONTENTS, leave));
    const clock = new FakeClock();
    const maildrop = await Maildrop.open({ open: imap.open, clock });
    reader.on('error', () => undefined).write('DELE 1\r\nDELE 2\r\nQUIT\r\n');
    const report = await servePop3Transaction({ app, ahead: Buffer.alloc(0), maildrop, clock });
    expect(changes(imap)).toEqual(['UID STORE 5,12 +FLAGS.SILENT (\\Deleted)', 'UID EXPUNGE 5,12']);
    expect(report.removed).toBe(2);
  });

  it('deletes at QUIT and these messages alone', async () => {
    const imap = new ScriptedImap(mailbox(CONTENTS));
    const { said, report } = await talk(imap, 'DELE 2', 'DELE 2', 'STAT', 'RETR 2', 'QUIT');
    expect(said).toContain('-ERR No such message\r\n+OK 1 ');
    expect(changes(imap)).toEqual(['UID STORE 12 +FLAGS.SILENT (\\Deleted)', 'UID EXPUNGE 12']);
    expect(report).toEqual({ end: 'quit', removed: 1 });
  });

  it.each([[['DELE 1', 'DELE 2', 'RSET', 'QUIT']], [['DELE 1', 'DELE 2']], [['DELE 1', 'NOOP', 'RETR 2']]])(
    'P03 deletes nothing after %j',
    async (lines) => {
      const imap = new ScriptedImap(mailbox(CONTENTS));
      await talk(imap, ...lines);
      expect(changes(imap)).toEqual([]);
    },
  );

  it('without UIDPLUS expunges only where nobody else has marked a message', async () => {
    const others = mailbox(CONTENTS, (command) =>
      command === 'UID FETCH 1:* (UID FLAGS)'
        ? '* 1 FETCH (UID 5 FLAGS (\\Deleted))\r\n* 2 FETCH (UID 12 FLAGS (\\DELETED))\r\n%TAG% OK done\r\n'
        : undefined,
    );
    const careful = new ScriptedImap(others, ['IMAP4rev1']);
    expect((await talk(careful, 'DELE 1', 'QUIT')).report.removed).toBe(0);
    expect(changes(careful)).toEqual(['UID STORE 5 +FLAGS.SILENT (\\Deleted)']);
    const free = new ScriptedImap(mailbox(CONTENTS), ['IMAP4rev1']);
    expect((await talk(free, 'DELE 1', 'QUIT')).report.removed).toBe(1);
    expect(changes(free)).toEqual(['UID STORE 5 +FLAGS.SILENT (\\Deleted)', 'EXPUNGE']);
  });

  it('goes on after the session at the provider has ended', async () => {
    let ends = 1;
    const imap = new ScriptedImap(
      mailbox(CONTENTS, (command) =>
        command.includes('PEEK') && ends-- > 0 ? '* BYE Session invalidated - AccessTokenExpired\r\n' : undefined,
      ),
    );
    const { said } = await talk(imap, 'RETR 2', 'QUIT');
    expect(imap.sessions).toBe(2);
    expect(said).toBe(`+OK ${SECOND.length} octets\r\n${SECOND}.\r\n+OK Postern says goodbye\r\n`);
  });

  it('says so where the provider stays away, and deletes nothing', async () => {
    const imap = new ScriptedImap(
      mailbox(CONTENTS, (command) => (command.includes('PEEK') || command.includes('STORE') ? 'close' : undefined)),
    );
    const { said, report } = await talk(imap, 'DELE 1', 'RETR 2', 'QUIT');
    expect(said.split('\r\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^-ERR \[SYS\/TEMP\] imap\.test:993: the connection was lost \(UPSTREAM_LOST\)$/),
      expect.stringMatching(/^-ERR \[SYS\/TEMP\] Messages could not be deleted/),
    ]);
    expect(report.removed).toBe(0);
    expect(imap.commands.some((command) => command.includes('EXPUNGE'))).toBe(false);
  });

  it('does not go on in a mailbox that was made anew', async () => {
    let validity = 76;
    const imap = new ScriptedImap(
      mailbox(CONTENTS, (command) => {
        if (command.startsWith('SELECT')) return `* 2 EXISTS\r\n* OK [UIDVALIDITY ${(validity += 1)}] x\r\n%TAG% OK done\r\n`;
        return command.includes('PEEK') ? 'close' : undefined;
      }),
    );
    const { said } = await talk(imap, 'DELE 1', 'RETR 2', 'QUIT');
    expect(said).toContain('made anew');
    expect(changes(imap)).toEqual([]);
  });

  it('cuts an answer that cannot be brought to its end, without the dot', async () => {
    const imap = new ScriptedImap(
      mailbox(CONTENTS, (command) => (command.includes('PEEK') ? '* 1 FETCH (UID 5 BODY[] {100}\r\nhalf\r\n* BYE' : undefined)),
    );
    const talking = talk(imap, 'RETR 1', 'QUIT');
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(imap.commands.some((command) => command.includes('PEEK'))).toBe(true);
    imap.drop();
    const { said, report } = await talking;
    expect(report.end).toBe('broken');
    expect(said).toBe('+OK 100 octets\r\nhalf\r\n* BYE');
  });

  it.each([
    ['another message', '* 1 FETCH (UID 6 BODY[] "x")\r\n%TAG% OK done\r\n'],
    ['a huge literal that nobody asked for', '* 1 FETCH (UID 5 X {99999999999}\r\n'],
    ['a literal of no number', '* 1 FETCH (UID 5 BODY[] {99x}\r\n)\r\n%TAG% OK\r\n'],
    ['another tag', 'Z1 OK done\r\n'],
    ['a line without end', `* ${'x'.repeat(70_000)}`],
  ])('I04 does not follow a server that sends %s', async (_what, answer) => {
    const { said, report } = await talk(
      new ScriptedImap(mailbox(CONTENTS, (command) => (command.includes('PEEK') ? answer : undefined))),
      'RETR 1',
    );
    expect(said).toMatch(/^-ERR \[SYS\/TEMP\] .*\(UPSTREAM_PROTOCOL\)\r\n$/);
    expect(report.problem?.code).toBe('UPSTREAM_PROTOCOL');
  });

  it('tells a mailbox that does not open from a bad token', async () => {
    const script = (command: string): string =>
      command.startsWith('SELECT') ? '%TAG% BAD User is authenticated but not connected.\r\n' : '';
    const refused = await talk(new ScriptedImap(script)).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ProblemError);
    expect((refused as ProblemError).problem.code).toBe('UPSTREAM_MAILBOX_CLOSED');
  });

  it('refuses what it does not know and commands without end, and goes on', async () => {
    const { said } = await talk(
      new ScriptedImap(mailbox(CONTENTS)),
      'LAST',
      'PASS x',
      'x'.repeat(2_000),
      'RETR 0',
      'RETR -1',
      'TOP 1',
      'NOOP',
    );
    expect(said.split('\r\n')).toEqual([
      '-ERR Unknown command',
      '-ERR Unknown command',
      '-ERR The command is too long',
      '-ERR No such message',
      '-ERR No such message',
      '-ERR Syntax: TOP message lines',
      '+OK',
      '',
    ]);
  });
});

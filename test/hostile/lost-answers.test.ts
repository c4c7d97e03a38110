/** N06: an application vanishes before it has read the answer to its message, and sends it again. */
import { once } from 'node:events';
import { setImmediate as nextTurn, setTimeout as pause } from 'node:timers/promises';
import { afterEach, describe, expect, it } from 'vitest';
import { minutes } from '../../src/core/clock.ts';
import { reply } from '../../src/core/reply.ts';
import { UnconfirmedAnswers } from '../../src/listener/unconfirmed-answers.ts';
import { mailboxOf, PASSWORD, RelayLab } from '../campaign/relay-lab.ts';
import { FakeClock } from '../support/fake-clock.ts';
import { Latch } from '../support/latch.ts';
import { seededRandom } from '../support/open-spool.ts';
import { openSmtpStage, type SmtpStage } from '../support/smtp-stage.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

const MESSAGE = 'Message-ID: <1@app.test>\r\nSubject: x\r\n\r\nbody\r\n';
/** What {@link upToContent} says. */
const ENVELOPE = 'EHLO app.test\r\nMAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n';
const ACCEPTED = '250 2.0.0 OK <scripted>';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await nextTurn();
}

/** A session that has said everything up to the content. */
async function upToContent(port: number, recipient = 'a@example.test'): Promise<SmtpTalk> {
  const talk = SmtpTalk.plain(port);
  closers.push(async () => talk.destroy());
  await talk.reply();
  await talk.ask('EHLO app.test');
  await talk.ask('MAIL FROM:<scan@postern.test>');
  await talk.ask(`RCPT TO:<${recipient}>`);
  expect(await talk.ask('DATA')).toMatch(/^354 /);
  return talk;
}

async function open(): Promise<SmtpStage> {
  const stage = await openSmtpStage({ peer: '10.9.1.1' });
  closers.push(() => stage.close());
  return stage;
}

async function vanish(stage: SmtpStage, talk: SmtpTalk): Promise<void> {
  talk.destroy();
  await once(talk.socket, 'close');
  await until(() => [...stage.engine.sessions].every(({ socket }) => socket.readableEnded || socket.destroyed));
}

/** The first application is gone before its answer is there. */
async function loseTheAnswer(stage: SmtpStage, message = MESSAGE): Promise<void> {
  const latch = new Latch();
  stage.submission.beforeAnswer = () => latch.passed;
  const talk = await upToContent(stage.port);
  talk.send(`${message}.\r\n`);
  await until(() => stage.submission.transactions[0]?.messageId !== undefined);
  await vanish(stage, talk);
  latch.open();
  await until(() => stage.log.of('reply-undelivered').length === 1);
}

async function sendAgain(stage: SmtpStage, message = MESSAGE, recipient?: string): Promise<string> {
  const talk = await upToContent(stage.port, recipient);
  const answer = await talk.ask(`${message}.`);
  expect(await talk.ask('NOOP')).toMatch(/^250 /);
  return answer;
}

describe('N06 a message that is sent again after its answer was lost', () => {
  it('gets that answer, and is not taken twice', async () => {
    const stage = await open();
    await loseTheAnswer(stage);
    for (let count = 0; count < 3; count += 1) expect(await sendAgain(stage)).toBe(ACCEPTED);
    expect(stage.submission.submitted).toHaveLength(1);
    expect(stage.log.of('message-repeated')[0]).toMatchObject({ reply: ACCEPTED, problem: { code: 'MESSAGE_REPEATED' } });
  });

  it.each([
    ['without a body', 'Message-ID: <1@app.test>\r\nSubject: x\r\n\r\n'],
    ['without a blank line', 'Message-ID: <1@app.test>\r\nSubject: x\r\n'],
  ])('%s as well', async (_, message) => {
    const stage = await open();
    await loseTheAnswer(stage, message);
    expect(await sendAgain(stage, message)).toBe(ACCEPTED);
    expect(stage.submission.submitted).toHaveLength(1);
  });

  it('waits for the first answer where that is still to come', async () => {
    const stage = await open();
    const latch = new Latch();
    stage.submission.beforeAnswer = () => latch.passed;
    const talk = await upToContent(stage.port);
    talk.send(`${MESSAGE}.\r\n`);
    await until(() => stage.submission.transactions[0]?.messageId !== undefined);
    await vanish(stage, talk);
    const again = sendAgain(stage);
    const isRead = (octets: number): boolean => octets > ENVELOPE.length + MESSAGE.length;
    await until(() =>
      [...stage.engine.sessions].some(({ socket }) => !socket.readableEnded && !socket.destroyed && isRead(socket.bytesRead)),
    );
    for (let turn = 0; turn < 10; turn += 1) await nextTurn();
    expect(stage.submission.transactions[1]?.outcome).toBe('open');
    latch.open();
    expect(await again).toBe(ACCEPTED);
    expect(stage.submission.submitted).toHaveLength(1);
  });

  it('is served anew where it was refused', async () => {
    const stage = await open();
    const refused = MESSAGE.replace('Subject', 'X-Verdict: refuse\r\nSubject');
    await loseTheAnswer(stage, refused);
    expect(await sendAgain(stage, refused)).toMatch(/^550-5.7.60 /);
    expect(stage.submission.transactions.filter(({ outcome }) => outcome === 'refused')).toHaveLength(2);
  });
});

describe('N06 what is no repetition is taken', () => {
  const others: [string, string, string?][] = [
    ['another body', MESSAGE.replace('body', 'other')],
    ['another Message-ID', MESSAGE.replace('1@', '2@')],
    ['another recipient', MESSAGE, 'b@example.test'],
  ];
  it.each(others)('%s', async (_, message, recipient) => {
    const stage = await open();
    await loseTheAnswer(stage);
    expect(await sendAgain(stage, message, recipient)).toBe(ACCEPTED);
    expect(stage.submission.submitted).toHaveLength(2);
  });

  it('a message without a Message-ID: devices say the same thing again and mean it', async () => {
    const stage = await open();
    const plain = 'Subject: on battery\r\n\r\nx\r\n';
    await loseTheAnswer(stage, plain);
    expect(await sendAgain(stage, plain)).toBe(ACCEPTED);
    expect(stage.submission.submitted).toHaveLength(2);
  });

  it('a message whose first answer could be read, whether anything was said behind it or not', async () => {
    const stage = await open();
    for (let count = 0; count < 3; count += 1) expect(await sendAgain(stage)).toBe(ACCEPTED);
    for (let count = 0; count < 3; count += 1) {
      const talk = await upToContent(stage.port);
      expect(await talk.ask(`${MESSAGE}.`)).toBe(ACCEPTED);
      const ended = stage.log.of('session-ended').length;
      talk.destroy();
      await until(() => stage.log.of('session-ended').length > ended);
    }
    expect(stage.submission.submitted).toHaveLength(6);
  });

  it('the same message from clients that come and go without a word, one upon the other', async () => {
    const stage = await open();
    const rounds = Array.from({ length: 10 }, async () => {
      for (let count = 0; count < 20; count += 1) {
        const talk = await upToContent(stage.port);
        expect(await talk.ask(`${MESSAGE}.`)).toBe(ACCEPTED);
        talk.destroy();
      }
    });
    await Promise.all(rounds);
    expect(stage.submission.submitted).toHaveLength(200);
  });

  it('the same message on several connections at once, each with somebody who waits', async () => {
    const stage = await open();
    const answers = await Promise.all(Array.from({ length: 20 }, () => sendAgain(stage)));
    expect(answers).toEqual(Array(20).fill(ACCEPTED));
    expect(stage.submission.submitted).toHaveLength(20);
  });

  it('the same message twice in one go, from a client that closes its side at once and reads all answers', async () => {
    const stage = await open();
    const talk = SmtpTalk.plain(stage.port, { allowHalfOpen: true });
    closers.push(async () => talk.destroy());
    const envelope = 'MAIL FROM:<scan@postern.test>\r\nRCPT TO:<a@example.test>\r\nDATA\r\n';
    talk.socket.end(`EHLO app.test\r\n${`${envelope}${MESSAGE}.\r\n`.repeat(2)}QUIT\r\n`);
    await once(talk.socket, 'end');
    expect(talk.unread.match(/250 2\.0\.0 OK <scripted>/g)).toHaveLength(2);
    expect(stage.submission.submitted).toHaveLength(2);
  });

  it('a message that comes a quarter of an hour later, and what is beyond the thousand that are remembered', async () => {
    const clock = new FakeClock();
    const answers = new UnconfirmedAnswers(clock);
    const accept = async (key: string): Promise<boolean> => {
      const known = await answers.begin(key, () => true);
      if (!('settle' in known)) return false;
      known.settle(reply(250, '2.0.0', 'OK'));
      return true;
    };
    expect([await accept('a'), await accept('a')]).toEqual([true, false]);
    await clock.advance(minutes(15));
    expect(await accept('a')).toBe(true);
    for (let number = 0; number < 1_000; number += 1) expect(await accept(`other ${number}`)).toBe(true);
    expect([await accept('other 999'), await accept('a')]).toEqual([false, true]);
  });
});

describe('N06 a relay whose applications vanish at random moments behind the end of their messages', () => {
  it.each(['direct', 'auto', 'queue'] as const)(
    '%s: each of 70 messages that are sent again arrives once',
    { timeout: 120_000 },
    async (mode) => {
      const lab = await RelayLab.open({ accounts: 1, mode });
      closers.push(() => lab.close());
      const { port } = await lab.start();
      const random = seededRandom(20_261_130);
      const begin = async (): Promise<SmtpTalk> => {
        const talk = SmtpTalk.plain(port);
        await talk.reply();
        await talk.ask('EHLO app.test');
        await talk.ask(`AUTH PLAIN ${Buffer.from(`\0a0\0${PASSWORD}`).toString('base64')}`);
        for (const command of [`MAIL FROM:<${mailboxOf('a0')}>`, 'RCPT TO:<a@example.test>', 'DATA']) {
          expect(await talk.ask(command)).toMatch(/^[23]/);
        }
        return talk;
      };
      const subjects = Array.from({ length: 70 }, (_, number) => `trial ${number}`);
      for (const subject of subjects) {
        const message = `Message-ID: <${subject.replace(' ', '-')}@app.test>\r\nSubject: ${subject}\r\n\r\nx\r\n.\r\n`;
        const first = await begin();
        await new Promise((resolve) => first.socket.write(message, resolve));
        await pause(random.fraction() ** 2 * 20);
        // As the system does for a process that ends with something unread.
        first.socket.resetAndDestroy();
        await pause(5);
        const second = await begin();
        second.send(message);
        expect(await second.reply()).toMatch(/^250 /);
        await second.ask('QUIT');
      }
      const arrived = (): string[] => lab.sandbox.messages.list().map(({ subject }) => subject);
      while (!subjects.every((subject) => arrived().includes(subject))) await pause(20);
      await lab.stop();
      expect(arrived().sort()).toEqual(subjects.toSorted());
    },
  );
});

/**
 * Each step of an application at our own ports, met by each way in which a network breaks: nothing is delivered but what was ended by its dot, once, and no
 * session is held beyond the limit of its state. The limits are those of the relay itself, on a clock that runs a hundred times as fast from the fault on.
 */
import { describe, expect, it } from 'vitest';
import { openMailboxStage } from '../support/mailbox-stage.ts';
import { type Fault, FAULTS, FaultProxy } from '../support/fault-proxy.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { SubmissionPath } from '../support/submission-path.ts';

const FACTOR = 100;
/** Milliseconds that pass on the wall beyond a limit: a second, and no more. */
const GRACE = 1_000;

const LOGIN = `AUTH PLAIN ${Buffer.from('\0erp\0local-password').toString('base64')}\r\n`;
const CONTENT = 'From: billing@postern.test\r\nSubject: x\r\n\r\n';

/** What an application says, one answer awaited after each; the fault comes behind the last. `seconds` is the limit of that state. */
interface Step {
  readonly name: string;
  readonly says: readonly string[];
  readonly seconds: number;
  /** The last words are a message that is complete. */
  readonly isComplete?: boolean;
}

const OPENING = ['EHLO app.test\r\n', LOGIN, 'MAIL FROM:<billing@postern.test>\r\n', 'RCPT TO:<to@example.test>\r\n', 'DATA\r\n'];

const SMTP: readonly Step[] = [
  { name: 'greeting', says: [], seconds: 60 },
  { name: 'half a command', says: ['=EH'], seconds: 60 },
  { name: 'EHLO', says: OPENING.slice(0, 1), seconds: 60 },
  { name: 'AUTH, before the credentials', says: ['EHLO app.test\r\n', 'AUTH LOGIN\r\n'], seconds: 60 },
  { name: 'AUTH', says: OPENING.slice(0, 2), seconds: 300 },
  { name: 'MAIL', says: OPENING.slice(0, 3), seconds: 300 },
  { name: 'RCPT', says: OPENING.slice(0, 4), seconds: 300 },
  { name: 'DATA', says: OPENING, seconds: 180 },
  { name: 'header section', says: [...OPENING, '=From: billing@pos'], seconds: 180 },
  { name: 'body', says: [...OPENING, `=${CONTENT}Half a li`], seconds: 180 },
  { name: 'half an end of data', says: [...OPENING, `=${CONTENT}Text\r\n.`], seconds: 180 },
  { name: 'end of data', says: [...OPENING, `=${CONTENT}Text\r\n.\r\n`], seconds: 300, isComplete: true },
];

interface Outcome {
  readonly name: string;
  readonly delivered: number;
  readonly queued: number;
  /** Milliseconds on the wall from the fault to the end of the session. */
  readonly took: number | undefined;
}

async function submit({ name, says }: Step, fault: Fault): Promise<Outcome> {
  const path = await SubmissionPath.open({ clock: new ScaledClock() });
  const proxy = await FaultProxy.open(path.port);
  proxy.onStrike = () => (path.clock.speed = FACTOR);
  const talk = SmtpTalk.plain(proxy.port);
  try {
    await talk.reply();
    for (const words of says) {
      if (words.startsWith('=')) talk.send(words.slice(1));
      else await talk.ask(words.trimEnd());
    }
    const [connection] = proxy.connections;
    const sent = says.join('').replaceAll('=', '').length;
    while (connection === undefined || connection.passed.up < sent - 2) await new Promise(setImmediate);
    proxy.strike(fault);
    // An application that is slow to be heard says no more either; who only hears slowly leaves.
    if (fault === 'drip' || fault === 'delay') talk.socket.end();
    while (path.engine.sessions.size > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    const took = connection.struckAt === undefined ? undefined : performance.now() - connection.struckAt;
    return { name, delivered: path.server.messages.length, queued: (await path.queued()).length, took };
  } finally {
    talk.destroy();
    proxy.close();
    await path.close();
  }
}

function faultsOf({ name, delivered, queued, took }: Outcome, { seconds, isComplete = false }: Step): string[] {
  const wrong: string[] = [];
  const limit = (seconds * 1_000) / FACTOR + GRACE;
  if (took === undefined) wrong.push('was never reached');
  else if (took > limit) wrong.push(`was held for ${Math.round(took)} ms of ${limit}`);
  if (delivered + queued > (isComplete ? 1 : 0)) wrong.push(`arrived ${delivered} times, ${queued} queued`);
  return wrong.map((what) => `${name}: ${what}`);
}

describe('N10 N05 an application that submits', () => {
  it.each(FAULTS)('each of its steps met by %s ends in time, and nothing arrives in part', { timeout: 60_000 }, async (fault) => {
    const outcomes = await Promise.all(SMTP.map(async (step) => faultsOf(await submit(step, fault), step)));
    expect(outcomes.flat()).toEqual([]);
  });
});

/** Before the login; what comes after it is a session, which may be idle for as long as the listener says. */
const READERS = {
  imap: ['', 'a LOG', 'a LOGIN app {14}\r\n', 'a AUTHENTICATE PLAIN\r\n', 'a LOGIN app wrong-password\r\n'],
  pop3: ['', 'US', 'USER app\r\n', 'AUTH PLAIN\r\n', 'USER app\r\nPASS wrong-password\r\n'],
} as const;
const LOGIN_LIMIT = 60;

async function read(protocol: 'imap' | 'pop3', says: string, fault: Fault): Promise<string[]> {
  const clock = new ScaledClock();
  const stage = await openMailboxStage({ protocol, clock });
  const proxy = await FaultProxy.open(stage.port);
  proxy.onStrike = () => (clock.speed = FACTOR);
  const talk = SmtpTalk.plain(proxy.port);
  try {
    while (talk.unread === '') await new Promise(setImmediate);
    talk.send(says);
    const [connection] = proxy.connections;
    while (connection === undefined || connection.passed.up < says.length) await new Promise(setImmediate);
    proxy.strike(fault);
    if (fault === 'drip' || fault === 'delay') talk.socket.end();
    const took = await connection.gone('far');
    const limit = (LOGIN_LIMIT * 1_000) / FACTOR + GRACE;
    if (stage.upstreamText() !== '') return [`${JSON.stringify(says)} reached the provider`];
    return took !== undefined && took <= limit ? [] : [`${JSON.stringify(says)} was held for ${Math.round(took ?? -1)} ms of ${limit}`];
  } finally {
    talk.destroy();
    proxy.close();
    await stage.close();
  }
}

describe.each(['imap', 'pop3'] as const)('N10 an application that reads with %s', (protocol) => {
  it.each(FAULTS)('each step up to its login met by %s ends in time', { timeout: 60_000 }, async (fault) => {
    const outcomes = await Promise.all(READERS[protocol].map((says) => read(protocol, says, fault)));
    expect(outcomes.flat()).toEqual([]);
  });
});

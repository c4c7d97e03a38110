import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { days, seconds } from '../../../src/core/clock.ts';
import { defaultFaults, type SubmissionFault, type SubmissionStage, setFaults } from '../../../src/sandbox/faults.ts';
import { openSandbox, type TestSandbox, Wire, xoauth2 } from './wire.ts';

let box: TestSandbox;
const open: Wire[] = [];

async function keep(wire: Promise<Wire>): Promise<Wire> {
  const opened = await wire;
  open.push(opened);
  return opened;
}

beforeAll(async () => {
  box = await openSandbox();
});
afterEach(async () => {
  for (const wire of open.splice(0)) wire.close();
  setFaults(box.sandbox.faults, defaultFaults());
  box.sandbox.messages.clear();
  await box.clock.advance(days(1));
});
afterAll(() => box.sandbox.close());

const next = (...faults: SubmissionFault[]): void => void box.sandbox.faults.submission.next.push(...faults);

/** Walk to the stage and return the answer there. */
async function answerAt(stage: SubmissionStage): Promise<string> {
  const wire = await keep(Wire.open(box.sandbox.smtp.port));
  const steps: [SubmissionStage, () => Promise<string>][] = [
    ['connect', () => wire.reply()],
    ['ehlo', () => wire.command('EHLO client.test')],
    ['starttls', () => wire.command('STARTTLS')],
    ['auth', () => wire.command(`AUTH XOAUTH2 ${xoauth2('relay@sandbox.test', box.sandbox.mint.accessToken('relay@sandbox.test'))}`)],
    ['mail', () => wire.command('MAIL FROM:<relay@sandbox.test>')],
    ['rcpt', () => wire.command('RCPT TO:<a@example.com>')],
    ['data', () => wire.command('DATA')],
    ['content', () => wire.command('Subject: a\r\n\r\nb\r\n')],
    ['final', () => wire.command('Subject: a\r\n\r\nb\r\n.')],
  ];
  for (const [name, step] of steps) {
    if (name === 'content' && stage !== 'content') continue;
    const answer = await step();
    if (name === stage) return answer;
    if (name === 'starttls') {
      await wire.secure(box.sandbox.caPem);
      await wire.command('EHLO client.test');
    }
  }
  throw new Error('no such stage');
}

const STAGES: readonly SubmissionStage[] = ['connect', 'ehlo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'content', 'final'];

describe.each(STAGES)('at stage %s', (stage) => {
  it('gives any reply, as often as asked, then the true one', async () => {
    next({ stage, kind: 'reply', reply: '451 4.7.0 Temporary server error. Please try again later. PRX4', times: 2 });
    for (let count = 0; count < 2; count += 1) {
      expect(await answerAt(stage)).toBe('451 4.7.0 Temporary server error. Please try again later. PRX4');
    }
    expect(box.sandbox.faults.submission.next).toEqual([]);
    // Content has no answer of its own, so its stage is walked to the end.
    expect(await answerAt(stage === 'content' ? 'final' : stage)).toMatch(/^[23]/);
    expect(box.sandbox.messages.list()).toHaveLength(stage === 'final' || stage === 'content' ? 1 : 0);
  });

  it('drops the connection', async () => {
    next({ stage, kind: 'drop' });
    expect(await answerAt(stage)).toBe('closed');
    // After the dot the message counts as delivered unless the switch says otherwise: that is what makes the loss ambiguous.
    expect(box.sandbox.messages.list()).toHaveLength(stage === 'final' ? 1 : 0);
  });

  it('stalls: nothing is answered until the client leaves', async () => {
    next({ stage, kind: 'stall' });
    let answer: string | undefined;
    const waiting = answerAt(stage).then((text) => {
      answer = text;
    });
    while (box.sandbox.faults.submission.next.length > 0) await new Promise((resolve) => setImmediate(resolve));
    await box.clock.advance(days(1));
    expect(answer).toBeUndefined();
    for (const wire of open.splice(0)) wire.close();
    await waiting;
    expect(answer).toBe('closed');
  });

  it('answers late', async () => {
    next({ stage, kind: 'delay', milliseconds: 60_000 });
    let answer: string | undefined;
    const waiting = answerAt(stage === 'content' ? 'final' : stage).then((text) => {
      answer = text;
    });
    while (box.clock.pendingTimers === 0) await new Promise((resolve) => setImmediate(resolve));
    await box.clock.advance(seconds(59));
    expect(answer).toBeUndefined();
    await box.clock.advance(seconds(1));
    await waiting;
    expect(answer).toMatch(/^[23]/);
  });

  it('closes after a 421', async () => {
    next({ stage, kind: 'reply', reply: '421 4.3.2 Service not active' });
    expect(await answerAt(stage)).toBe('421 4.3.2 Service not active');
    expect(await open.at(-1)?.closed()).toBe('');
  });
});

describe('replies of fault switches', () => {
  it('change only the words where they are positive', async () => {
    next({ stage: 'ehlo', kind: 'reply', reply: '250-sandbox\n250 SIZE 10', times: 2 });
    next({ stage: 'connect', kind: 'reply', reply: '220-sandbox\n220 two lines' });
    next({ stage: 'mail', kind: 'reply', reply: '250 odd' });
    next({ stage: 'rcpt', kind: 'reply', reply: '251 2.1.5 User not local; will forward' });
    next({ stage: 'final', kind: 'reply', reply: '250-2.6.0 first\n250 2.6.0 second' });
    expect(await answerAt('final')).toBe('250-2.6.0 first\n250 2.6.0 second');
    expect(box.sandbox.messages.list()).toHaveLength(1);
  });

  it('go to the recipients that fit', async () => {
    next({ stage: 'rcpt', kind: 'reply', reply: '550 5.1.10 RecipientNotFound', address: '*@nowhere.test', times: 2 });
    const wire = await keep(Wire.signedIn(box.sandbox));
    await wire.command('MAIL FROM:<relay@sandbox.test>');
    expect(await wire.command('RCPT TO:<a@example.com>')).toMatch(/^250/);
    expect(await wire.command('RCPT TO:<A@NoWhere.test>')).toBe('550 5.1.10 RecipientNotFound');
    expect(await wire.command('RCPT TO:<b@nowhere.test.example.com>')).toMatch(/^250/);
    expect(await wire.command('RCPT TO:<b@nowhere.test> NOTIFY=NEVER')).toBe('550 5.1.10 RecipientNotFound');
    await wire.command('DATA');
    expect(await wire.command('x: y\r\n\r\n.')).toMatch(/^250/);
    expect(box.sandbox.messages.list()[0]?.forwardPaths.map(({ address }) => address)).toEqual([
      'a@example.com',
      'b@nowhere.test.example.com',
    ]);
  });

  it('may lie about the message in both directions', async () => {
    next({ stage: 'final', kind: 'reply', reply: '250 2.0.0 OK', keepsMessage: false });
    expect(await answerAt('final')).toBe('250 2.0.0 OK');
    expect(box.sandbox.messages.list()).toHaveLength(0);
    next({ stage: 'final', kind: 'reply', reply: '451 4.7.0 Temporary server error', keepsMessage: true });
    expect(await answerAt('final')).toMatch(/^451/);
    expect(box.sandbox.messages.list()).toHaveLength(1);
    next({ stage: 'final', kind: 'drop', keepsMessage: false });
    expect(await answerAt('final')).toBe('closed');
    expect(box.sandbox.messages.list()).toHaveLength(1);
  });

  it('strike in the middle of the content', async () => {
    next({ stage: 'content', kind: 'drop', afterOctets: 100_000 });
    const wire = await keep(Wire.signedIn(box.sandbox));
    await wire.command('MAIL FROM:<relay@sandbox.test>');
    await wire.command('RCPT TO:<a@example.com>');
    await wire.command('DATA');
    wire.write(`${'x'.repeat(78)}\r\n`.repeat(500));
    expect(wire.pending).toBe('');
    wire.write(`${'x'.repeat(78)}\r\n`.repeat(1_000));
    expect(await wire.closed()).toBe('');
    expect(box.sandbox.messages.list()).toHaveLength(0);
  });
});

describe('switches that stay', () => {
  it('offers no STARTTLS', async () => {
    box.sandbox.faults.submission.offersStartTls = false;
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    await wire.reply();
    expect(await wire.command('EHLO client.test')).not.toContain('STARTTLS');
    expect(await wire.command('STARTTLS')).toBe('500 5.3.3 Unrecognized command');
  });

  it('offers no XOAUTH2', async () => {
    box.sandbox.faults.submission.offersXoauth2 = false;
    const wire = await keep(Wire.secured(box.sandbox));
    expect(await wire.command('EHLO client.test')).toContain('AUTH LOGIN\n');
    expect(await wire.command('AUTH XOAUTH2')).toBe('504 5.7.4 Unrecognized authentication type');
  });

  it("refuses tokens in Gmail's manner", async () => {
    box.sandbox.faults.submission.tokenRefusal = 'challenge';
    const wire = await keep(Wire.secured(box.sandbox));
    await wire.command('AUTH XOAUTH2');
    const challenge = await wire.command(xoauth2('relay@sandbox.test', 'bad'));
    expect(JSON.parse(Buffer.from(challenge.slice(4), 'base64').toString())).toEqual({
      status: '400',
      schemes: 'Bearer',
      scope: 'https://mail.google.com/',
    });
    expect(await wire.command('')).toBe('535 5.7.8 Username and Password not accepted');
    expect(await wire.command('NOOP')).toMatch(/^250/);
  });

  it('injects octets behind the 220', async () => {
    box.sandbox.faults.submission.injectAfterStartTls = '250 2.0.0 injected\r\n';
    const wire = await keep(Wire.open(box.sandbox.smtp.port));
    await wire.reply();
    await wire.command('EHLO client.test');
    expect(await wire.command('STARTTLS')).toBe('220 2.0.0 SMTP server ready');
    expect(wire.pending).toBe('250 2.0.0 injected\r\n');
    expect(await wire.reply()).toBe('250 2.0.0 injected');
    await wire.secure(box.sandbox.caPem);
    expect(await wire.command('EHLO client.test')).toContain('XOAUTH2');
  });

  it.each([
    ['expired', 'CERT_HAS_EXPIRED'],
    ['wrong-host', 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['untrusted', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
  ] as const)('shows a certificate that is %s', async (certificate, code) => {
    box.sandbox.faults.submission.certificate = certificate;
    await expect(Wire.secured(box.sandbox)).rejects.toMatchObject({ code });
    box.sandbox.faults.submission.certificate = 'valid';
    await keep(Wire.secured(box.sandbox));
  });
});

/** What becomes of a message that some recipients get and others do not, of servers that lie, stall, vanish, or have no TLS. */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type DurationMs, minutes, seconds } from '../../../src/core/clock.ts';
import type { Clock } from '../../../src/core/ports/clock.ts';
import type { MessageSink } from '../../../src/core/ports/message-sink.ts';
import { type MailServerSettings, openLmtpSink, openSmtpSink } from '../../../src/fetch/sinks/mail-server-sink.ts';
import { RecipientLedger } from '../../../src/fetch/sinks/recipient-ledger.ts';
import { type Dial, dial } from '../../../src/platform/dial.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';
import { FakeClock } from '../../support/fake-clock.ts';
import { fetched, largeMessage, ODD } from '../../support/fetched-message.ts';
import { type Answerer, MailReceiver, type MailReceiverOptions, type ReceiverStep } from '../../support/mail-receiver.ts';
import { createTestAuthority } from '../../support/test-ca.ts';

const authority = createTestAuthority();
const certificate = authority.issue({ hosts: ['127.0.0.1', 'mail.test'] });
const never = new AbortController().signal;

let receivers: MailReceiver[] = [];
let sinks: MessageSink[] = [];
beforeEach(() => {
  [receivers, sinks] = [[], []];
});
afterEach(async () => {
  for (const sink of sinks) await sink.close();
  for (const receiver of receivers) await receiver.close();
});

async function receive(options: Partial<MailReceiverOptions> & { readonly protocol: 'lmtp' | 'smtp' }): Promise<MailReceiver> {
  const receiver = await MailReceiver.start(options);
  receivers.push(receiver);
  return receiver;
}

function open(receiver: MailReceiver, changes: Partial<MailServerSettings> = {}, parts: { clock?: Clock; dial?: Dial } = {}): MessageSink {
  const make = receiver.options.protocol === 'lmtp' ? openLmtpSink : openSmtpSink;
  const settings = {
    host: '127.0.0.1',
    port: receiver.port,
    recipients: ['one@x.test', 'two@x.test', 'three@x.test'] as const,
    ...changes,
  };
  const sink = make({ ...settings, recipients: [...settings.recipients] as [string, ...string[]] }, { clock: systemClock, dial, ...parts });
  sinks.push(sink);
  return sink;
}

/** Answers one step otherwise, where the line has the word. */
const at =
  (wanted: ReceiverStep, answer: string, word = ''): Answerer =>
  (step, line) =>
    step === wanted && line.includes(word) ? answer : undefined;

const recipientsOf = (receiver: MailReceiver): string[] => receiver.received.flatMap(({ recipients }) => recipients);

describe.each(['lmtp', 'smtp'] as const)('several recipients over %s', (protocol) => {
  it('all have it: stored', async () => {
    const receiver = await receive({ protocol });
    const sink = open(receiver, { from: 'billing@x.test' });
    expect(sink.description).toBe(`${protocol} 127.0.0.1:${receiver.port} for one@x.test and 2 more`);
    expect(await sink.deliver(fetched(), never)).toEqual({ kind: 'stored', detail: '250 2.0.0 taken' });
    expect(receiver.received).toMatchObject([
      { reversePath: 'billing@x.test', recipients: ['one@x.test', 'two@x.test', 'three@x.test'], octets: ODD },
    ]);
    expect(receiver.lines).toContain(`MAIL FROM:<billing@x.test> SIZE=${ODD.length} BODY=8BITMIME`);
  });

  it('one is refused for good: the others have it, once, however often it is offered', async () => {
    const receiver = await receive({ protocol, answer: at('rcpt', '550 5.1.1 no such mailbox', 'two@') });
    const sink = open(receiver);
    for (let offer = 0; offer < 3; offer += 1) {
      expect(await sink.deliver(fetched(), never)).toMatchObject({
        kind: 'refused',
        problem: { code: 'FETCH_PARTLY_REFUSED', cause: `127.0.0.1:${receiver.port}: two@x.test: 550 5.1.1 no such mailbox (rcpt)` },
      });
    }
    expect(recipientsOf(receiver)).toEqual(['one@x.test', 'three@x.test']);
    receiver.answer = () => undefined;
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
    expect(recipientsOf(receiver)).toEqual(['one@x.test', 'three@x.test', 'two@x.test']);
  });

  it('one has to wait, one is refused: later, and only those two are asked again', async () => {
    const answers: Record<string, string> = { 'two@x.test': '452 4.2.2 full', 'three@x.test': '550 5.1.1 no such mailbox' };
    const receiver = await receive({
      protocol,
      answer: (step, line) => (step === 'rcpt' ? answers[/<(.*)>/.exec(line)?.[1] ?? ''] : undefined),
    });
    const sink = open(receiver);
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_NOT_TAKEN', cause: expect.stringContaining('452 4.2.2 full') },
    });
    delete answers['two@x.test'];
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'refused', problem: { code: 'FETCH_PARTLY_REFUSED' } });
    delete answers['three@x.test'];
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
    expect(recipientsOf(receiver)).toEqual(['one@x.test', 'two@x.test', 'three@x.test']);
  });

  it('all are refused: no content is sent', async () => {
    const receiver = await receive({ protocol, answer: at('rcpt', '550 5.7.1 not from you') });
    expect(await open(receiver).deliver(fetched(), never)).toMatchObject({ kind: 'refused', problem: { code: 'FETCH_REFUSED' } });
    expect(receiver.lines).not.toContain('DATA');
  });
});

describe('LMTP answers for each recipient (RFC 2033 §4.2)', () => {
  it('taken for one, deferred for another, refused for the third: who has it does not get it again', async () => {
    const answers: Record<string, string> = { 'two@x.test': '451 4.2.0 locked', 'three@x.test': '554 5.6.0 not this' };
    const receiver = await receive({ protocol: 'lmtp', answer: (step, line) => (step === 'final' ? answers[line] : undefined) });
    const sink = open(receiver);
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_NOT_TAKEN', cause: expect.stringContaining('two@x.test: 451 4.2.0 locked (final-reply)') },
    });
    delete answers['two@x.test'];
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'refused',
      problem: { code: 'FETCH_PARTLY_REFUSED', cause: expect.stringContaining('three@x.test: 554 5.6.0') },
    });
    expect(recipientsOf(receiver)).toEqual(['one@x.test', 'two@x.test']);
  });

  it('gone after the first answer: the first has it, the others may have it', async () => {
    const receiver = await receive({ protocol: 'lmtp', answer: at('final', 'close', 'two@') });
    const sink = open(receiver);
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_AMBIGUOUS', cause: expect.not.stringContaining('one@x.test') },
    });
    receiver.answer = () => undefined;
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
    expect(recipientsOf(receiver)).toEqual(['one@x.test', 'two@x.test', 'three@x.test']);
  });
});

describe('a server that vanishes or lies', () => {
  const CASES: readonly [what: string, Answerer, kind: string, code: string][] = [
    ['is gone after the dot', at('final', 'close'), 'later', 'FETCH_SINK_AMBIGUOUS'],
    ['is gone at DATA', at('data', 'close'), 'later', 'FETCH_SINK_UNREACHABLE'],
    ['says that the message is taken before it has it', at('data', '354 go on\r\n250 2.0.0 taken'), 'later', 'FETCH_SINK_NONSENSE'],
    [
      'says yes to what was not asked yet',
      at('greeting', '220 x\r\n250 x\r\n250 x\r\n250 x\r\n354 x\r\n250 x'),
      'later',
      'FETCH_SINK_NONSENSE',
    ],
    ['answers RCPT twice', at('rcpt', '250 yes\r\n250 yes'), 'later', 'FETCH_SINK_NONSENSE'],
    ['answers DATA with 250', at('data', '250 2.0.0 taken'), 'later', 'FETCH_NOT_TAKEN'],
    ['answers the message with 354', at('final', '354 go on'), 'later', 'FETCH_NOT_TAKEN'],
    ['refuses in the middle of the content', at('data', '354 go on\r\n552 5.3.4 too large'), 'refused', 'FETCH_REFUSED'],
    ['has had enough in the middle of the content', at('data', '354 go on\r\n421 4.3.2 shutting down'), 'later', 'FETCH_NOT_TAKEN'],
    ['is shutting down at RCPT', at('rcpt', '421 4.3.2 shutting down'), 'later', 'FETCH_NOT_TAKEN'],
    ['turns us away', at('greeting', '554 5.7.1 not from there'), 'later', 'FETCH_SINK_TURNED_AWAY'],
    ['is busy', at('greeting', '421 4.3.2 too many'), 'later', 'FETCH_NOT_TAKEN'],
    ['speaks SMTP alone', at('hello', '500 5.5.1 what?'), 'later', 'FETCH_SINK_TURNED_AWAY'],
    ['wants a sign-in', at('mail', '530 5.7.0 authentication required'), 'later', 'FETCH_SINK_TURNED_AWAY'],
    ['finds the message too large', at('mail', '552 5.3.4 too large'), 'refused', 'FETCH_REFUSED'],
    ['speaks another protocol', at('greeting', '* OK IMAP4rev1'), 'later', 'FETCH_SINK_NONSENSE'],
  ];

  it.each(CASES)('%s', async (_, answer, kind, code) => {
    const receiver = await receive({ protocol: 'lmtp', answer });
    const { message } = largeMessage(2);
    expect(await open(receiver, { recipients: ['one@x.test'] }).deliver(message, never)).toMatchObject({ kind, problem: { code } });
    expect(receiver.received).toEqual([]);
  });

  it('refuses while the mailbox gives nothing: the wait is over at once', async () => {
    const receiver = await receive({ protocol: 'smtp', answer: at('data', '354 go on\r\n554 5.6.0 not this') });
    const message = fetched([ODD], {
      async *content(signal) {
        yield ODD;
        await new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason), { once: true }));
      },
    });
    expect(await open(receiver).deliver(message, never)).toMatchObject({ kind: 'refused', problem: { code: 'FETCH_REFUSED' } });
  });
});

describe('a server that says nothing', () => {
  const STEPS: readonly [ReceiverStep, DurationMs, string][] = [
    ['greeting', minutes(1), 'FETCH_SINK_UNREACHABLE'],
    ['hello', minutes(1), 'FETCH_SINK_UNREACHABLE'],
    ['mail', minutes(1), 'FETCH_SINK_UNREACHABLE'],
    ['rcpt', minutes(1), 'FETCH_SINK_UNREACHABLE'],
    ['data', minutes(1), 'FETCH_SINK_UNREACHABLE'],
    ['final', minutes(10), 'FETCH_SINK_AMBIGUOUS'],
  ];

  it.each(STEPS)('at %s is given up after its time, not before', async (step, deadline, code) => {
    const clock = new FakeClock();
    let isThere: () => void = () => undefined;
    const reached = new Promise<void>((resolve) => (isThere = resolve));
    const receiver = await receive({
      protocol: 'smtp',
      answer: (now) => {
        if (now !== step) return undefined;
        isThere();
        return 'silence';
      },
    });
    let outcome: unknown;
    const done = open(receiver, {}, { clock })
      .deliver(fetched(), never)
      .then((got) => (outcome = got));
    await reached;
    // The greeting is waited for from when the connection is open, of which the server hears first.
    if (step === 'greeting') await expect.poll(() => clock.pendingTimers).toBe(1);
    await clock.advance((deadline - 1000) as DurationMs);
    expect(outcome).toBeUndefined();
    await clock.advance(seconds(2));
    await done;
    expect(outcome).toMatchObject({
      kind: 'later',
      problem: { code, cause: expect.stringContaining(`no answer for ${deadline / 1000} s`) },
    });
  });

  it('and takes nothing of the content is given up, too', async () => {
    const clock = new FakeClock();
    const receiver = await receive({ protocol: 'smtp' });
    receiver.hold();
    const { message, given } = largeMessage(64);
    const done = open(receiver, {}, { clock }).deliver(message, never);
    await expect.poll(() => given() > 0 && clock.pendingTimers > 0).toBe(true);
    let outcome: unknown;
    void done.then((got) => (outcome = got));
    for (let tries = 0; outcome === undefined && tries < 200; tries += 1) await clock.advance(seconds(30));
    expect(await done).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_UNREACHABLE', cause: expect.stringMatching(/no answer for 180 s, at content/) },
    });
  });
});

describe('TLS', () => {
  /** As if the server were elsewhere. */
  const elsewhere =
    (receiver: MailReceiver): Dial =>
    (request) =>
      dial({ ...request, host: '127.0.0.1', port: receiver.port, servername: request.host });

  it('off this machine is required unless told: nothing about the message is said in clear', async () => {
    const receiver = await receive({ protocol: 'smtp' });
    const sink = open(receiver, { host: 'mail.test', port: 25 }, { dial: elsewhere(receiver) });
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_INSECURE', cause: 'mail.test:25 does not offer STARTTLS; nothing was sent' },
    });
    expect(receiver.lines.map((line) => line.split(' ')[0])).toEqual(['EHLO']);
    expect(receiver.received).toEqual([]);
  });

  it('by STARTTLS, with a certificate of an authority that is known', async () => {
    const receiver = await receive({ protocol: 'lmtp', certificate });
    const sink = open(receiver, { host: 'mail.test', ca: authority.caPem }, { dial: elsewhere(receiver) });
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
    expect(receiver.clear.map((line) => line.split(' ')[0])).toEqual(['LHLO', 'STARTTLS']);
  });

  it('with a certificate of a stranger: nothing is sent', async () => {
    const receiver = await receive({ protocol: 'smtp', certificate: createTestAuthority().issue({ hosts: ['mail.test'] }) });
    const sink = open(receiver, { host: 'mail.test', ca: authority.caPem }, { dial: elsewhere(receiver) });
    expect(await sink.deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_INSECURE', heals: 'after-repair' },
    });
    expect(receiver.lines.map((line) => line.split(' ')[0])).toEqual(['EHLO', 'STARTTLS']);
  });

  it('is not begun where clear text follows the reply to STARTTLS (CVE-2011-0411)', async () => {
    const receiver = await receive({ protocol: 'smtp', answer: at('starttls', '220 go on\r\n250 injected'), certificate });
    const sink = open(receiver, { host: 'mail.test', ca: authority.caPem }, { dial: elsewhere(receiver) });
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'later', problem: { code: 'FETCH_SINK_NONSENSE' } });
    expect(receiver.received).toEqual([]);
  });

  it('is left out where the configuration says so', async () => {
    const receiver = await receive({ protocol: 'smtp' });
    const sink = open(receiver, { host: 'mail.test', tls: 'none' }, { dial: elsewhere(receiver) });
    expect(await sink.deliver(fetched(), never)).toMatchObject({ kind: 'stored' });
  });
});

describe('who has a message', () => {
  it('is remembered for the last thousand', () => {
    const ledger = new RecipientLedger();
    for (let count = 0; count <= 1_000; count += 1) ledger.note(`key${count}`, 'one@x.test');
    expect(ledger.without('key0', ['one@x.test'])).toEqual(['one@x.test']);
    expect(ledger.without('key1', ['one@x.test', 'two@x.test'])).toEqual(['two@x.test']);
    ledger.forget('key1');
    expect(ledger.without('key1', ['one@x.test'])).toEqual(['one@x.test']);
  });
});

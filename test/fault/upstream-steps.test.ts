/**
 * Each step of a submission to the provider, met by each way in which a network breaks, with the deadlines of the relay itself: the message is delivered once, is
 * queued and then delivered, or is refused with a reason; and the connection ends with its deadline. Everything up to the fault happens at the speed of the wall; only
 * what is waited for afterwards comes faster.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type Fault, FAULTS } from '../support/fault-proxy.ts';
import { ScaledClock } from '../support/scaled-clock.ts';
import type { ScriptStep } from '../support/scripted-smtp-server.ts';
import { SubmissionPath } from '../support/submission-path.ts';

/** Speeds of the clock from the fault on: waiting needs no care, but what still works has to have its time, also on a busy machine. */
const SPEEDS: Readonly<Record<Fault, number>> = { reset: 1, close: 1, 'half-open': 1, 'black-hole': 100, stall: 100, drip: 30, delay: 1 };
/** For waits between messages and tries. */
const BETWEEN = 20;
/** Milliseconds that pass on the wall beyond a deadline: a second, and no more. */
const GRACE = 1_000;

/** Steps in their order, and the seconds that the relay gives the upstream for each. The octets of the handshake come within 30 s. */
const STEPS = {
  connect: 30,
  greeting: 30,
  ehlo: 60,
  starttls: 60,
  handshake: 30,
  ehloAfterTls: 60,
  auth: 60,
  authString: 60,
  mail: 60,
  rcpt: 60,
  data: 60,
  body: 600,
  content: 600,
  quit: 10,
} as const;
type Step = keyof typeof STEPS;
const NAMES = Object.keys(STEPS) as Step[];

/** What the server says of its own accord at a step that is hit. */
const USUAL: Partial<Record<Step, string>> = {
  greeting: '220 mail.test ready',
  ehlo: '250-mail.test\r\n250-PIPELINING\r\n250 STARTTLS',
  starttls: '220 2.0.0 SMTP server ready',
  ehloAfterTls: '250-mail.test\r\n250-PIPELINING\r\n250 AUTH LOGIN XOAUTH2',
  auth: '334 ',
  authString: '235 2.7.0 Authentication successful',
  mail: '250 2.1.0 Sender OK',
  rcpt: '250 2.1.5 Recipient OK',
  data: '354 Start mail input; end with <CRLF>.<CRLF>',
  content: '250 2.0.0 OK',
  quit: '221 2.0.0 Bye',
};
/** A dialogue that drips may take as long as all that is left of it together. */
const leftFrom = (step: Step): number => NAMES.slice(NAMES.indexOf(step)).reduce((sum, name) => sum + STEPS[name], 0);

/** Octets of `EHLO relay.postern.test` and `STARTTLS` with their line ends, and some of the ClientHello. */
const IN_THE_HANDSHAKE = 'EHLO relay.postern.test\r\nSTARTTLS\r\n'.length + 50;

/** The first connection that comes to this step is hit there. */
function arrange(path: SubmissionPath, step: Step, fault: Fault): () => Promise<void> {
  const { proxy, server } = path;
  proxy.dripMs = 1_000 / SPEEDS.drip;
  let isHit = false;
  const hitOnce = (): void => {
    if (isHit) return;
    isHit = true;
    proxy.strike(fault);
  };
  if (step === 'connect') {
    proxy.plan = () => {
      queueMicrotask(hitOnce);
      return undefined;
    };
  } else if (step === 'handshake') {
    proxy.plan = () => {
      if (isHit) return undefined;
      isHit = true;
      return { direction: 'up', after: IN_THE_HANDSHAKE, manner: fault };
    };
  } else if (step === 'body') {
    return async () => {
      // In mode `auto` the content is taken before anybody upstream is asked for it.
      if (server.sessions.length === 0) return;
      await server.until(() => server.sessions.some(({ content }) => content.length > 1_000));
      hitOnce();
    };
  } else {
    const scripted: ScriptStep = step;
    server.script[scripted] = () => {
      hitOnce();
      return USUAL[step] ?? '';
    };
  }
  return () => Promise.resolve();
}

interface Outcome {
  readonly step: Step;
  readonly answer: string;
  readonly messages: number;
  readonly isFlagged: boolean;
  readonly left: number;
  /** Seconds on the relay's clock from the fault to the end of the connection. */
  readonly took: number;
}

async function run(step: Step, fault: Fault, mode: 'direct' | 'auto'): Promise<Outcome> {
  const clock = new ScaledClock();
  const path = await SubmissionPath.open({ clock, mode });
  try {
    let struckAt: number | undefined;
    path.proxy.onStrike = () => {
      struckAt = clock.monotonic();
      clock.speed = SPEEDS[fault];
    };
    const answer = await path.submit(arrange(path, step, fault));
    // A connection that serves is left after a minute, and QUIT is said then.
    if (step === 'quit' || fault === 'delay') clock.speed = BETWEEN;
    while (struckAt === undefined) await pause(5);
    await path.proxy.connections.find((connection) => connection.struckAt !== undefined)?.gone('near');
    const took = (clock.monotonic() - struckAt) / 1_000;
    clock.speed = BETWEEN;
    if (mode === 'auto') while ((await path.queued()).length > 0) await pause(20);
    const isFlagged = JSON.stringify(path.log.lines).includes('UPSTREAM_AMBIGUOUS');
    return { step, answer, messages: path.server.messages.length, isFlagged, left: (await path.queued()).length, took };
  } finally {
    await path.close();
  }
}

/** What is wrong with an outcome. */
function faultsOf({ step, answer, messages, isFlagged, left, took }: Outcome, fault: Fault, mode: 'direct' | 'auto'): string[] {
  const wrong: string[] = [];
  const limit = fault === 'drip' || fault === 'delay' ? leftFrom(step) + 60 : STEPS[step];
  const grace = (GRACE * Math.max(BETWEEN, SPEEDS[fault])) / 1_000;
  if (took > limit + grace) wrong.push(`held the connection for ${Math.round(took)} s of ${limit}`);
  if (left > 0) wrong.push('left a message in the queue');
  const isAccepted = answer.startsWith('250');
  if (!isAccepted && !/^[45]\d\d [45]\.\d+\.\d+ \S+ /.test(answer)) wrong.push(`was answered with ${answer}`);
  if (mode === 'auto' && !isAccepted) wrong.push(`was refused where the queue would have taken it: ${answer}`);
  if (isAccepted && messages === 0) wrong.push('lost the message');
  if (messages > 1 && !(isFlagged && messages === 2)) wrong.push(`arrived ${messages} times`);
  if (!isAccepted && messages > 0 && !(isFlagged && answer.includes('may have been delivered')))
    wrong.push(`refused what arrived: ${answer}`);
  return wrong.map((what) => `${step}: ${what}`);
}

describe.each(['direct', 'auto'] as const)('N10 U08 delivery: %s', (mode) => {
  it.each(FAULTS)('each of 14 steps met by %s ends in a known way, in time', { timeout: 60_000 }, async (fault) => {
    const steps = mode === 'auto' ? NAMES.filter((step) => step !== 'body') : NAMES;
    const outcomes = await Promise.all(steps.map((step) => run(step, fault, mode)));
    expect(outcomes.flatMap((outcome) => faultsOf(outcome, fault, mode))).toEqual([]);
  });
});

/**
 * An upstream that goes away while applications go on sending: all of them read 250, and everything arrives once when it is back.
 * It is away for as long as sending takes, or for POSTERN_OUTAGE_SECONDS, over which the messages are spread then.
 *
 * @packageDocumentation
 */
import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { eventually } from '../support/real/daemon.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { type Arrived, arrived, type SampleMessage, sampleMessage } from '../support/real/messages.ts';
import { APP_ADDRESS, BILLING, configureRelay, LOGIN, type Relay, startRelay } from '../support/real/postern.ts';
import { type SubmissionOutcome, submit } from '../support/real/submit.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const MESSAGES = 500;
const BEFORE_THE_OUTAGE = 50;
const BATCHES = 9;
const OUTAGE_MS = Number(process.env['POSTERN_OUTAGE_SECONDS'] ?? 0) * 1000;

/** What came more than once, with the traces of Postfix and the relay's own account of it: whoever did that is found there. */
function deliveredTwice(inbox: readonly Arrived[], log: readonly Record<string, unknown>[]): unknown[] {
  const seen = new Set<string>();
  const twice = new Set(inbox.flatMap(({ digest }) => (seen.size === seen.add(digest).size ? [digest] : [])));
  return inbox
    .filter(({ digest }) => twice.has(digest))
    .map(({ trace }) => ({ trace, log: log.filter(({ queueId }) => typeof queueId === 'string' && trace.includes(queueId)) }));
}

describe.skipIf(notRun !== undefined)(`an outage of the upstream${whyNotRun}`, () => {
  let servers: RealServers;
  let relay: Relay;

  beforeAll(async () => {
    servers = await startRealServers();
    relay = await startRelay(await configureRelay(servers, { name: 'outage', delivery: 'auto' }));
  });
  afterAll(async () => {
    await relay?.stop();
    await servers?.stop();
  });

  const to = 'outage@postern.test';
  const send = (messages: readonly SampleMessage[]): Promise<SubmissionOutcome[]> => {
    const orders = messages.map((message) => {
      const order = { port: relay.ports.off, tls: 'off', login: LOGIN, source: APP_ADDRESS, from: BILLING, to: [to], message } as const;
      return order;
    });
    return submit('smtplib', orders, { folder: servers.folder.path, caFile: servers.caFile, together: 20 });
  };
  const refusals = (outcomes: readonly SubmissionOutcome[]): string[] =>
    outcomes.flatMap(({ code, text }) => (code === 250 ? [] : [`${code} ${text}`]));

  it(
    `${MESSAGES} messages, ${MESSAGES} × 250, each delivered once and unchanged`,
    async () => {
      const messages = Array.from({ length: MESSAGES }, () => sampleMessage('a kilobyte of text', BILLING, to));
      expect(refusals(await send(messages.slice(0, BEFORE_THE_OUTAGE)))).toEqual([]);
      await servers.stopSmtp();
      const size = (MESSAGES - BEFORE_THE_OUTAGE) / BATCHES;
      for (let start = BEFORE_THE_OUTAGE; start < MESSAGES; start += size) {
        const [outcomes] = await Promise.all([send(messages.slice(start, start + size)), pause(OUTAGE_MS / BATCHES)]);
        expect(refusals(outcomes)).toEqual([]);
      }
      await servers.startSmtp();
      const isDelivered = await eventually(async () => (await servers.countMessages(to)) >= MESSAGES, 150_000);
      const inbox = (await servers.readMailbox(to)).map(arrived);
      expect(deliveredTwice(inbox, relay.log())).toEqual([]);
      expect(isDelivered, `${inbox.length} arrived`).toBe(true);
      expect(inbox.map(({ digest }) => digest).sort()).toEqual(messages.map(({ digest }) => digest).sort());

      const queued = relay.log().filter((line) => line['event'] === 'message-queued').length;
      expect(queued).toBe(MESSAGES - BEFORE_THE_OUTAGE);
      expect(await relay.stop()).toBe(0);
    },
    300_000 + OUTAGE_MS,
  );
});

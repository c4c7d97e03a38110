/** Direct delivery as an application sees it, octet by octet on its own connection: at each step it reads what the upstream has said. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { UPSTREAM_REPLIES } from '../support/upstream-replies.ts';

/** Steps of an application, and the stage of the upstream at which the reply to each is given. */
const STAGES = { mail: 'mail', rcpt: 'rcpt', data: 'data', content: 'final' } as const;
type Step = keyof typeof STAGES;

describe('on the wire of the application', () => {
  let relay: RelayOnSandbox;
  beforeAll(async () => {
    relay = await startRelayOnSandbox();
  });
  afterAll(() => relay.close());

  /** What is read on a connection of its own after a whole transaction, up to the step. */
  async function answerAt(step: Step): Promise<string> {
    const app = SmtpTalk.plain(relay.port, { localAddress: '127.0.0.2' });
    try {
      await app.reply();
      await app.ask('EHLO app.test');
      const mail = await app.ask('MAIL FROM:<billing@sandbox.test>');
      if (step === 'mail') return mail;
      const rcpt = await app.ask('RCPT TO:<someone@example.test>');
      if (step === 'rcpt') return rcpt;
      const data = await app.ask('DATA');
      if (step === 'data') return data;
      return await app.ask('Subject: x\r\n\r\nbody\r\n.');
    } finally {
      app.destroy();
    }
  }

  /** The reply of the upstream as the application is to read it. */
  function presented(line: string, step: Step): RegExp {
    // 421 would announce the end of our own connection (RFC 5321 §3.8).
    const text = line.replace(/^421 /, '451 ').replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&');
    const isTaken = step === 'content' && line.startsWith('2');
    return new RegExp(`^${text}${isTaken ? ' \\[postern [0-9A-Z]{16}\\]' : ''}$`);
  }

  it.each(Object.keys(STAGES) as Step[])(
    `${UPSTREAM_REPLIES.length} replies of the upstream to %s are read as they were said, on one line`,
    async (step) => {
      const changed: string[] = [];
      let told = 0;
      for (const line of UPSTREAM_REPLIES) {
        // 2yz is no answer to DATA.
        if (step === 'data' && line.startsWith('2')) continue;
        // A session that was kept may have ended meanwhile, so 421 to its MAIL is asked again on a new one.
        const times = step === 'mail' && line.startsWith('421') ? 3 : 1;
        relay.sandbox.faults.submission.next = [{ stage: STAGES[step], kind: 'reply', reply: line, times }];
        const answer = await answerAt(step);
        told += 1;
        if (!presented(line, step).test(answer)) changed.push(`${line} became ${answer}`);
      }
      expect(changed).toEqual([]);
      expect(told).toBeGreaterThanOrEqual(step === 'data' ? 56 : 60);
    },
    60_000,
  );

  it('three recipients of one message read 250, 550 and 452, and the message goes to the first', async () => {
    const replies = {
      first: '250 2.1.5 Recipient OK',
      second: '550 5.1.10 RESOLVER.ADR.RecipientNotFound',
      third: '452 4.2.2 Mailbox full',
    };
    relay.sandbox.messages.clear();
    relay.sandbox.faults.submission.next = (['second', 'third'] as const).map((name) => ({
      stage: 'rcpt',
      address: `${name}@*`,
      kind: 'reply',
      reply: replies[name],
      times: 1,
    }));
    const app = SmtpTalk.plain(relay.port, { localAddress: '127.0.0.2' });
    await app.reply();
    await app.ask('EHLO app.test');
    await app.ask('MAIL FROM:<billing@sandbox.test>');
    const answers: string[] = [];
    for (const name of Object.keys(replies)) answers.push(await app.ask(`RCPT TO:<${name}@example.test>`));
    expect(answers.map((answer) => answer.slice(0, 3))).toEqual(['250', '550', '452']);
    expect(answers.slice(1)).toEqual([replies.second, replies.third]);
    await app.ask('DATA');
    expect(await app.ask('Subject: x\r\n\r\nbody\r\n.')).toMatch(/^250 /);
    app.destroy();
    expect(relay.sandbox.messages.list().map(({ forwardPaths }) => forwardPaths.map(({ address }) => address))).toEqual([
      ['first@example.test'],
    ]);
  });
});

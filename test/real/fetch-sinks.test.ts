/**
 * Fetched messages handed to Dovecot by LMTP and to Postfix by SMTP: octet for octet, once for each recipient, however often they are offered.
 *
 * @packageDocumentation
 */
import { rmSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type MailServerSettings, openLmtpSink, openSmtpSink } from '../../src/fetch/sinks/mail-server-sink.ts';
import { dial } from '../../src/platform/dial.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { fetched, largeMessage } from '../support/fetched-message.ts';
import { KINDS } from '../support/real/mail-readers.ts';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { sampleMessage } from '../support/real/messages.ts';
import { BILLING, PRINTERS } from '../support/real/postern.ts';
import { MAIL_DOMAIN } from '../support/real/postfix.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';

const parts = { clock: systemClock, dial };
const never = new AbortController().signal;
const at = (local: string): string => `${local}@${MAIL_DOMAIN}`;

describe.skipIf(notRun !== undefined)(`sinks of fetched mail at real servers${whyNotRun}`, () => {
  let servers: RealServers;
  beforeAll(async () => {
    servers = await startRealServers();
  });
  afterAll(async () => servers?.stop());

  const lmtp = (...recipients: readonly [string, ...string[]]) =>
    openLmtpSink({ host: '127.0.0.1', port: servers.lmtpPort, recipients }, parts);
  const smtp = (changes: Partial<MailServerSettings>, ...recipients: readonly [string, ...string[]]) =>
    openSmtpSink({ host: 'localhost', port: servers.inboundPort, tls: 'starttls', ca: servers.caPem, recipients, ...changes }, parts);
  /** What mailboxes hold, without the fields that the servers on the way put before it. */
  const holds = async (mailbox: string, content: Buffer): Promise<number> =>
    (await servers.readMailbox(mailbox)).filter((stored) => stored.subarray(-content.length).equals(content)).length;
  /** SMTP and LMTP end the last line. */
  const ended = (content: Buffer): Buffer =>
    content.subarray(-2).toString() === '\r\n' ? content : Buffer.concat([content, Buffer.from('\r\n')]);
  const marked = (subject: string): Buffer => Buffer.from(`Subject: ${subject}\r\n\r\n.\r\n..${subject}\r\n`);

  it('Dovecot takes every kind of message by LMTP, for two recipients, octet for octet', async () => {
    const sink = lmtp(BILLING, PRINTERS);
    const contents = KINDS.map((kind) => sampleMessage(kind, PRINTERS, BILLING).content);
    for (const [index, content] of contents.entries()) {
      expect(await sink.deliver(fetched([content], { key: `kind${index}` }), never)).toMatchObject({ kind: 'stored' });
    }
    for (const mailbox of [BILLING, PRINTERS]) {
      for (const content of contents) expect(await holds(mailbox, ended(content))).toBe(1);
    }
  });

  it('a recipient whose mailbox Dovecot cannot open waits; the other has the message once', async () => {
    const [whole, broken] = [at('whole'), at('broken')];
    // A file where the Maildir should be.
    const obstacle = servers.folder.write(`dovecot/mail/${broken}`, 'x');
    const sink = lmtp(broken, whole);
    const message = fetched([marked('partly')]);
    for (let offer = 0; offer < 3; offer += 1) {
      const outcome = await sink.deliver(message, never);
      expect(outcome).toMatchObject({
        kind: 'later',
        problem: { code: 'FETCH_NOT_TAKEN', cause: expect.stringContaining(broken) as string },
      });
    }
    rmSync(obstacle);
    expect(await sink.deliver(message, never)).toMatchObject({ kind: 'stored' });
    expect([await holds(whole, marked('partly')), await holds(broken, marked('partly'))]).toEqual([1, 1]);
  });

  it('Postfix takes a message over STARTTLS, and its refusals count for one recipient each', async () => {
    const taker = at('taker');
    const sink = smtp({}, taker, at('refused'), at('deferred'));
    expect(await sink.deliver(fetched([marked('smtp')]), never)).toMatchObject({
      kind: 'later',
      problem: { cause: expect.stringContaining('451 4.7.500') as string },
    });
    expect(await sink.deliver(fetched([marked('smtp')]), never)).toMatchObject({ kind: 'later' });
    expect(await smtp({}, at('refused')).deliver(fetched(), never)).toMatchObject({ kind: 'refused', problem: { code: 'FETCH_REFUSED' } });
    expect(await smtp({}, at('refused-content')).deliver(fetched(), never)).toMatchObject({
      kind: 'refused',
      problem: { cause: expect.stringContaining('(final-reply)') as string },
    });
    expect(await holds(taker, marked('smtp'))).toBe(1);
  });

  it('Postfix gets nothing where its certificate is a stranger, and refuses what is too large before it is sent', async () => {
    const taker = at('careful');
    expect(await smtp({ ca: undefined }, taker).deliver(fetched(), never)).toMatchObject({
      kind: 'later',
      problem: { code: 'FETCH_SINK_INSECURE' },
    });
    const { message, given } = largeMessage(40);
    expect(await smtp({}, taker).deliver(message, never)).toMatchObject({
      kind: 'refused',
      problem: { cause: expect.stringContaining('(mail)') as string },
    });
    expect(given()).toBe(0);
    expect(await servers.countMessages(taker)).toBe(0);
  });

  it('a message that breaks off leaves nothing', async () => {
    const taker = at('broken-off');
    const gone = new Error('the mailbox has gone');
    for (const sink of [lmtp(taker), smtp({}, taker)])
      await expect(sink.deliver(fetched([marked('broken off'), gone]), never)).rejects.toBe(gone);
    expect(await servers.readMailbox(taker)).toEqual([]);
  });
});

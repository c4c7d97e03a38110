/**
 * SMTP smuggling through the relay to a Postfix that is as open to it as Postfix ever was: each look-alike of an end of data arrives as part of one message.
 *
 * @packageDocumentation
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RealServers, startRealServers } from '../support/real/mail-servers.ts';
import { configureRelay, PRINTER_ADDRESS, PRINTERS, type Relay, startRelay } from '../support/real/postern.ts';
import { MAIL_DOMAIN } from '../support/real/postfix.ts';
import { notRun, whyNotRun } from '../support/real/suite.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';
import { inWireForm, LOOKALIKES, smuggling } from '../support/smuggling.ts';

const HEADER = 'Subject: look-alike\r\n\r\n';
const SMUGGLED = { from: PRINTERS, to: `smuggled@${MAIL_DOMAIN}` };

describe.skipIf(notRun !== undefined)(`SMTP smuggling to Postfix${whyNotRun}`, () => {
  let servers: RealServers;
  let relay: Relay;

  beforeAll(async () => {
    servers = await startRealServers();
    relay = await startRelay(await configureRelay(servers, { name: 'smuggling' }));
  });
  afterAll(async () => {
    await relay?.stop();
    await servers?.stop();
  });

  /** One message with this content, in one write; every reply behind 354, until the session is over. */
  async function send(port: number, from: string, to: string, content: string, localAddress: string): Promise<string[]> {
    const talk = SmtpTalk.plain(port, { localAddress });
    await talk.reply();
    for (const command of ['EHLO app.postern.test', `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']) {
      expect(await talk.ask(command)).toMatch(/^[23]/);
    }
    talk.send(`${content}.\r\nQUIT\r\n`);
    const replies: string[] = [];
    while (replies.at(-1) !== 'closed') replies.push(await talk.reply());
    talk.destroy();
    return replies.slice(0, -1).map((reply) => reply.slice(0, 3));
  }

  it.each(LOOKALIKES)('%s %j: one message, 0 smuggled', async (row, look) => {
    const to = `row-${row.toLowerCase()}-${Buffer.from(look).toString('hex')}@${MAIL_DOMAIN}`;
    const body = smuggling(look, SMUGGLED);
    expect(await send(relay.ports.off, PRINTERS, to, HEADER + body, PRINTER_ADDRESS)).toEqual(['250', '221']);
    const [stored = Buffer.alloc(0), ...more] = await servers.readMailbox(to);
    expect(more).toEqual([]);
    const text = stored.toString('latin1');
    // Dots that were stuffed on the way are not there any more; a NUL is 0x80 to whoever reads it over IMAP (Dovecot).
    const expected = inWireForm(body).replace(/^\./gm, '').replaceAll('\0', '\x80');
    expect(text.slice(text.indexOf(HEADER) + HEADER.length)).toBe(expected);
  });

  it('F01 F02 F03 F04 has smuggled nothing, where the same octets smuggle a message into Postfix itself', async () => {
    expect(await servers.countMessages(SMUGGLED.to)).toBe(0);
    const outcomes = [];
    for (const [, look] of LOOKALIKES) {
      const control = { from: 'stranger@elsewhere.test', to: `control@${MAIL_DOMAIN}` };
      outcomes.push(await send(servers.inboundPort, control.from, `first@${MAIL_DOMAIN}`, HEADER + smuggling(look, control), '127.0.0.1'));
    }
    const smuggled = (await servers.readMailbox(`control@${MAIL_DOMAIN}`)).length;
    process.stderr.write(`smuggling: ${LOOKALIKES.length} look-alikes, 0 through the relay, ${smuggled} into Postfix without it\n`);
    expect(smuggled, JSON.stringify(outcomes)).toBeGreaterThan(0);
  }, 60_000);
});

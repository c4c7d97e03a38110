/** Whether somebody who is nobody's client gets a message relayed, with a whole relay and its provider behind it: sixteen forms that have worked elsewhere. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { SmtpTalk } from '../support/smtp-talk.ts';

/** Clients come from 127.0.0.2 and .3, or have a password; this peer is neither. */
const STRANGER = '127.0.0.9';
const OURS = 'sandbox.test';
const IP = '127.0.0.1';
const EVIL = 'evil.example';

/** Reverse-path and forward-path, both as they are written between brackets. */
const FORMS: readonly (readonly [from: string, to: string])[] = [
  ['', `relaytest@${EVIL}`],
  [`relaytest@${EVIL}`, `relaytest@${EVIL}`],
  [`relaytest@${OURS}`, `relaytest@${EVIL}`],
  [`relaytest@[${IP}]`, `relaytest@${EVIL}`],
  [`relaytest@[${IP}]`, `relaytest%${EVIL}@[${IP}]`],
  [`relaytest@[${IP}]`, `relaytest%${EVIL}@${OURS}`],
  [`relaytest@[${IP}]`, `"relaytest@${EVIL}"`],
  [`relaytest@[${IP}]`, `"relaytest%${EVIL}"`],
  [`relaytest@[${IP}]`, `relaytest@${EVIL}@[${IP}]`],
  [`relaytest@[${IP}]`, `"relaytest@${EVIL}"@[${IP}]`],
  [`relaytest@[${IP}]`, `relaytest@${EVIL}@${OURS}`],
  [`relaytest@[${IP}]`, `@[${IP}]:relaytest@${EVIL}`],
  [`relaytest@[${IP}]`, `@${OURS}:relaytest@${EVIL}`],
  [`relaytest@[${IP}]`, `${EVIL}!relaytest`],
  [`relaytest@[${IP}]`, `${EVIL}!relaytest@[${IP}]`],
  [`relaytest@[${IP}]`, `${EVIL}!relaytest@${OURS}`],
];

let relay: RelayOnSandbox;

beforeAll(async () => {
  relay = await startRelayOnSandbox({ listener: { host: '0.0.0.0' } });
});
afterAll(() => relay.close());

/** Each command is sent whatever was said to the one before: RCPT and DATA may be open though MAIL is not. */
async function attempt(from: string, to: string, hello: 'HELO' | 'EHLO', localAddress: string): Promise<string[]> {
  const talk = SmtpTalk.plain(relay.port, { localAddress });
  await talk.reply();
  const replies: string[] = [];
  for (const command of [`${hello} relaytest`, `MAIL FROM:<${from}>`, `RCPT TO:<${to}>`, 'DATA']) replies.push(await talk.ask(command));
  if (replies.at(-1)?.startsWith('354') === true) replies.push(await talk.ask('Subject: x\r\n\r\nx\r\n.'));
  talk.destroy();
  return replies;
}

describe('C08 X06 a peer that is no client, on a listener that everybody reaches', () => {
  it.each(FORMS)('from <%s> to <%s>: not accepted', async (from, to) => {
    for (const hello of ['HELO', 'EHLO'] as const) {
      const [, mail, rcpt, data] = await attempt(from, to, hello, STRANGER);
      expect([mail, rcpt, data]).toEqual([
        expect.stringMatching(/^530 5\.7\.0 /),
        expect.stringMatching(/^50[13] /),
        expect.stringMatching(/^503 /),
      ]);
    }
  });

  it('has got none of sixteen to the provider, where a client gets through', async () => {
    expect(FORMS).toHaveLength(16);
    expect(relay.sandbox.messages.list().length).toBe(0);
    expect(relay.log.of('message-relayed')).toEqual([]);
    const replies = await attempt(`billing@${OURS}`, `someone@${EVIL}`, 'EHLO', '127.0.0.2');
    expect(replies.at(-1)).toMatch(/^250 /);
  });
});

describe('C08 C03 a client', () => {
  it.each([...new Set(FORMS.map(([, to]) => to))])('to <%s>: to that very address, or not at all', async (to) => {
    const before = relay.sandbox.messages.list().length;
    const replies = await attempt(`billing@${OURS}`, to, 'EHLO', '127.0.0.2');
    const arrived = relay.sandbox.messages.list().slice(before);
    if (!(replies[4]?.startsWith('250') ?? false))
      return expect([arrived, replies[2]]).toEqual([[], expect.stringMatching(/^501 5\.1\.3 /)]);
    // Nothing was made of its parts; a source route may be left out (RFC 5321 §4.1.1.3).
    const sent = arrived[0]?.forwardPaths.map(({ address }) => address);
    return expect(sent).toEqual([to.replace(/^@[^:]*:/, '')]);
  });
});

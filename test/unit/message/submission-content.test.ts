import PostalMime from 'postal-mime';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import type { QueueId } from '../../../src/core/ids.ts';
import { areHere, type Chunks, octets } from '../../../src/core/octets.ts';
import { describeReply } from '../../../src/core/reply.ts';
import type { FixUps } from '../../../src/message/fix-ups.ts';
import { type IncomingMessage, readSubmission } from '../../../src/message/submission-content.ts';
import { collect, octetsOf, streamed, streamOf, textOf } from '../../support/octets.ts';

const LIMITS = { headerSection: octets(10_000) };
const FIX_UPS: FixUps = {
  received: { client: 'erp', protocol: 'ESMTPA', hostname: 'relay.example.com', queueId: 'Q1' as QueueId },
  date: Date.UTC(2026, 10, 23) as EpochMs,
  newMessageId: () => '<new@example.com>',
};

const messageOf = (...chunks: string[]): Promise<IncomingMessage> => read(streamOf(chunks.map(octetsOf)));

async function read(source: Chunks): Promise<IncomingMessage> {
  const reading = await readSubmission(source, LIMITS);
  if (reading.kind === 'refused') throw new Error(describeReply(reading.reply));
  return reading;
}

/** What goes upstream, without the Received field. */
async function sent(...chunks: string[]): Promise<string> {
  const message = await messageOf(...chunks);
  const wire = textOf(...(await collect(message.content(FIX_UPS).chunks)));
  const { chunks: whole } = (await read(chunks.map(octetsOf))).content(FIX_UPS);
  expect(areHere(whole)).toBe(true);
  expect(textOf(...(await collect(whole)))).toBe(wire);
  expect(wire).toMatch(/^Received: from erp /);
  return wire.replace(/^Received:.*\r\n(\t.*\r\n)*/, '');
}

const DATE = 'Date: Mon, 23 Nov 2026 00:00:00 +0000\r\n';
const ADDED = `${DATE}Message-ID: <new@example.com>\r\n`;

describe('what is sent', () => {
  it.each([
    [
      'a complete message',
      'Date: x\r\nMessage-ID: <a@b>\r\nFrom: a@b\r\n\r\nbody\r\n',
      'Date: x\r\nMessage-ID: <a@b>\r\nFrom: a@b\r\n\r\nbody\r\n',
    ],
    ['bare LF and leading dots', 'Date: x\n.a: b\n\n.\n..\n', `Message-ID: <new@example.com>\r\nDate: x\r\n..a: b\r\n\r\n..\r\n...\r\n`],
    [
      'odd case and folding, as they are',
      'dATE :\t x\r\n  y \r\nmessage-id:<a@b>\r\n\r\n',
      'dATE :\t x\r\n  y \r\nmessage-id:<a@b>\r\n\r\n',
    ],
    ['8 bit and NUL in the body', 'Subject: \xe9\r\n\r\n\xff\0\r\n', `${ADDED}Subject: \xe9\r\n\r\n\xff\0\r\n`],
    ['an empty message', '', ADDED],
    ['only an empty line', '\r\n', `${ADDED}\r\n`],
    ['only fields', 'Subject: x', `${ADDED}Subject: x\r\n`],
    ['a text without header section', 'Hello, world\nbye', `${ADDED}\r\nHello, world\r\nbye\r\n`],
    ['a text that would continue our last field', ' evil\r\n', `${ADDED}\r\n evil\r\n`],
    ['a header section without an empty line after it', 'Subject: x\r\nHello, world\r\n', `${ADDED}Subject: x\r\n\r\nHello, world\r\n`],
    ['the same after a bare CR', 'Subject: x\rHello, world', `${ADDED}Subject: x\r\n\r\nHello, world\r\n`],
    [
      'a text that begins like an mbox separator',
      'From here on it rains.\nAnd snows.',
      `${ADDED}\r\nFrom here on it rains.\r\nAnd snows.\r\n`,
    ],
    ['nothing but such a line', 'From here', `${ADDED}\r\nFrom here\r\n`],
    ['an mbox separator', 'From a@b now\nSubject: x\n\nbody', `${ADDED}X-Mailbox-Line: From a@b now\r\nSubject: x\r\n\r\nbody\r\n`],
  ])('for %s', async (_, content, wire) => {
    expect(await sent(content)).toBe(wire);
    expect(await sent(...content.split(''))).toBe(wire);
  });

  it('is read by a MIME parser as meant', async () => {
    const message = await messageOf('From: ERP <erp@example.com>\nSubject: Invoice 7\n\nHello\n.\nbye\n');
    const mail = await PostalMime.parse(Buffer.concat(await collect(message.content(FIX_UPS).chunks)));
    expect(mail).toMatchObject({ subject: 'Invoice 7', from: { address: 'erp@example.com', name: 'ERP' }, messageId: '<new@example.com>' });
    expect(new Date(mail.date ?? '')).toEqual(new Date(FIX_UPS.date));
    expect(mail.text).toBe('Hello\n..\nbye\n');
  });

  it('comes once: a second reader gets an error, not a shorter message', async () => {
    const message = await messageOf('Subject: x\r\n\r\none', 'two');
    const { chunks } = message.content(FIX_UPS);
    await collect(chunks);
    await expect(collect(chunks)).rejects.toThrow('only once');
    await expect(collect(message.content(FIX_UPS).chunks)).rejects.toThrow('only once');
    const dropped = await messageOf('Subject: x\r\n\r\none', 'two');
    await dropped.discard();
    await expect(collect(dropped.content(FIX_UPS).chunks)).rejects.toThrow('only once');
  });

  it('fails when the source fails, before the last line has been ended', async () => {
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield octetsOf('Subject: x\r\n\r\nbody');
      throw new Error('peer gone');
    }
    const reading = await readSubmission(failing(), LIMITS);
    const pieces: Uint8Array[] = [];
    await expect(
      (async () => {
        if (reading.kind === 'message') for await (const piece of reading.content(FIX_UPS).chunks) pieces.push(piece);
      })(),
    ).rejects.toThrow('peer gone');
    expect(textOf(...pieces)).toMatch(/body$/);
  });

  it('is taken from the source chunk by chunk', async () => {
    let given = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      yield octetsOf('Subject: x\r\n\r\n');
      for (; given < 100; given += 1) yield octetsOf('body\r\n');
    }
    const reading = await readSubmission(source(), LIMITS);
    expect(given).toBe(0);
    if (reading.kind === 'refused') throw new Error(describeReply(reading.reply));
    const iterator = streamed(reading.content(FIX_UPS).chunks);
    for (let step = 0; step < 5; step += 1) await iterator.next();
    expect(given).toBeLessThan(5);
    await reading.discard(); // the upstream stopped taking it
    expect(given).toBe(100);
  });
});

describe('what policy and log get to know', () => {
  it('of an ordinary message', async () => {
    const message = await messageOf(
      'Received: a\r\nreceived: b\r\nFrom: "X" <a@b>, c@d\r\nMessage-ID: <1@x>\r\n\r\nReceived: c\r\nFrom: e@f\r\n',
    );
    expect(message).toMatchObject({ from: ['a@b', 'c@d'], isFromMalformed: false, messageId: '<1@x>', receivedCount: 2 });
    expect(message.content(FIX_UPS).messageId).toBe('<1@x>');
  });

  it('of an empty one', async () => {
    const message = await messageOf('');
    expect(message).toMatchObject({ from: [], isFromMalformed: false, receivedCount: 0 });
    expect('messageId' in message).toBe(false);
    expect(message.content(FIX_UPS).messageId).toBe('<new@example.com>');
  });

  it.each([
    ['several From fields', 'From: a@b\r\nFROM : c@d\r\n\r\n', ['a@b', 'c@d']],
    ['an empty From', 'From:\r\n\r\n', []],
    ['a From that is not clear', 'From: a@b <c@d>\r\n\r\n', ['a@b', 'c@d']],
    ['a From after a bare CR', 'From: a@b\rFrom: c@d\r\r', ['a@b', 'c@d']],
    ['a folded one', 'From: a@b\r\n <c@d>\r\n\r\n', ['a@b', 'c@d']],
  ])('of %s', async (_, content, from) => {
    const message = await messageOf(content);
    expect(message).toMatchObject({ from, isFromMalformed: true });
  });

  it('L02 keeps the log line of a hostile Message-ID printable and short', async () => {
    const message = await messageOf(`Message-ID: <a\x1b[2J\r\n\tb@c>${'x'.repeat(2000)}\r\n\r\n`);
    expect(message.messageId).toMatch(/^<a \[2J b@c>x+$/);
    expect(message.messageId?.length).toBeLessThanOrEqual(450);
  });
});

describe('a refusal', () => {
  it.each([
    ['NUL', 'Subject: \0\r\n\r\n', /^554 5\.6\.0 /],
    ['a header section over the limit', `Subject: ${'x'.repeat(10_000)}\r\n\r\n`, /^552 5\.3\.4 /],
  ])('for %s comes after the source has been read to its end', async (_, header, text) => {
    let given = 0;
    async function* source(): AsyncGenerator<Uint8Array> {
      yield octetsOf(header);
      for (; given < 100; given += 1) yield octetsOf('body\r\n');
    }
    const reading = await readSubmission(source(), LIMITS);
    expect(reading.kind === 'refused' && describeReply(reading.reply)).toMatch(text);
    expect(given).toBe(100);
  });
});

import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import { headerFromAddress, summarizeHeader } from '../../../src/sandbox/header-summary.ts';
import { escapeHtml } from '../../../src/sandbox/http/html.ts';
import { type Arrival, ReceivedMessages } from '../../../src/sandbox/received-messages.ts';
import { receiveContent } from '../../../src/sandbox/submission/content.ts';

const ARRIVAL: Arrival = {
  user: 'relay@sandbox.test',
  isApplication: false,
  reversePath: 'relay@sandbox.test',
  parameters: '',
  forwardPaths: [],
  tls: 'TLSv1.3',
  peer: '127.0.0.1',
};

describe('the store', () => {
  const add = (store: ReceivedMessages, id: string, size: number) => store.add(id, 0 as EpochMs, ARRIVAL, Buffer.alloc(size, 'x'));

  it('drops the oldest contents first and keeps their entries', () => {
    const store = new ReceivedMessages({ messages: 10, octets: 100 });
    add(store, 'a', 60);
    add(store, 'b', 30);
    add(store, 'c', 30);
    expect(store.content('a')).toBeUndefined();
    expect(store.content('b')).toHaveLength(30);
    expect(store.find('a')).toMatchObject({ size: 60 });
    add(store, 'd', 40);
    expect(store.content('b')).toHaveLength(30);
  });

  it('drops the oldest entries beyond its count', () => {
    const store = new ReceivedMessages({ messages: 2, octets: 100 });
    for (const id of ['a', 'b', 'c']) add(store, id, 50);
    expect(store.list().map(({ id }) => id)).toEqual(['b', 'c']);
    expect(store.content('b')).toHaveLength(50);
    store.clear();
    add(store, 'd', 100);
    expect(store.content('d')).toHaveLength(100);
  });

  it('tells listeners until they stop', () => {
    const store = new ReceivedMessages();
    const heard: string[] = [];
    const stop = store.onMessage(({ id }) => heard.push(id));
    add(store, 'a', 1);
    stop();
    add(store, 'b', 1);
    expect(heard).toEqual(['a']);
  });
});

describe('the header summary', () => {
  const summary = (text: string) => summarizeHeader(Buffer.from(text));

  it('unfolds, decodes encoded words and takes the first of a field', () => {
    expect(
      summary('SUBJECT: =?utf-8?Q?gr=C3=BC=C3=9Fe_?=\r\n =?ISO-8859-1?B?/A==?=\r\n\tx\r\nSubject: second\r\n\r\nSubject: body'),
    ).toMatchObject({
      subject: 'grüße ü\tx',
    });
    expect(summary('Subject: =?nonsense?B?YQ==?=\r\n\r\n').subject).toBe('=?nonsense?B?YQ==?=');
    expect(summary('no header at all')).toEqual({ from: '', to: '', subject: '', messageId: '' });
  });

  it('finds the address of From, or none', () => {
    const from = (value: string) => headerFromAddress(Buffer.from(`From: ${value}\r\n\r\n`));
    expect(from('A <A@b.test>')).toBe('a@b.test');
    expect(from('"x <fake@b.test>" <a@b.test>')).toBe('a@b.test');
    expect(from('a@b.test')).toBe('a@b.test');
    expect(from('nobody')).toBeUndefined();
    expect(headerFromAddress(Buffer.from('Subject: x\r\n\r\nFrom: a@b.test'))).toBeUndefined();
  });

  it('takes any octets, and stays short', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 2_000 }), (octets) => {
        const content = Buffer.concat([Buffer.from('Subject: =?'), octets]);
        for (const value of Object.values(summarizeHeader(content))) expect(value.length).toBeLessThanOrEqual(500);
      }),
    );
  });
});

describe('receiving content', () => {
  const receive = (chunks: Buffer[], maxSize = 1_000_000) => receiveContent(Readable.from(chunks), maxSize, () => Promise.resolve());

  it('finds bare line ends however the octets are cut', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.constantFrom('\r\n', '\r', '\n', 'a', 'bc'), { maxLength: 30 }),
        fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 30 }),
        async (parts, cuts) => {
          const whole = Buffer.from(parts.join(''));
          const chunks: Buffer[] = [];
          for (let at = 0, turn = 0; at < whole.length; turn += 1) {
            const size = cuts[turn % cuts.length] ?? 1;
            chunks.push(whole.subarray(at, at + size));
            at += size;
          }
          const received = await receive(chunks);
          expect(received.octets?.equals(whole)).toBe(true);
          expect(received.hasBareLineEnds).toBe(/\r(?!\n)|(?<!\r)\n/.test(whole.toString()));
        },
      ),
    );
  });

  it('keeps no octets beyond the limit but counts them', async () => {
    const received = await receive([Buffer.alloc(6), Buffer.alloc(6)], 10);
    expect(received).toMatchObject({ octets: undefined, size: 12 });
  });
});

describe('escaping', () => {
  it('leaves no character that HTML gives a meaning to', () => {
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom('<', '>', '&', '"', "'", ';', 'a', 'é', '\u0000', '\u202e', '😀') }), (text) => {
        const escaped = escapeHtml(text);
        expect(escaped).not.toMatch(/[<>"']|&(?!(?:amp|lt|gt|quot|#39);)/);
        expect(escaped).not.toMatch(/[\u0000\u202e]/u);
      }),
    );
  });
});

/** Messages of our own: what a reader sees, and that nothing in their texts can become anything else. */
import PostalMime from 'postal-mime';
import { describe, expect, it } from 'vitest';
import type { EpochMs } from '../../../src/core/clock.ts';
import { type ComposedText, composeText } from '../../../src/upstream/compose.ts';

const PARTS: ComposedText = {
  from: 'billing@postern.test',
  to: 'someone@example.test',
  subject: 'Postern test: billing',
  text: 'First line\n.leading dot\nlast',
  messageId: '<id.1@postern.test>',
  date: Date.UTC(2026, 10, 23, 9, 5, 7) as EpochMs,
};

async function compose(changes: Partial<ComposedText> = {}): Promise<string> {
  const { messageId, chunks } = await composeText({ ...PARTS, ...changes });
  expect(messageId).toBe(changes.messageId ?? PARTS.messageId);
  const octets: Uint8Array[] = [];
  for await (const chunk of chunks) octets.push(chunk);
  return Buffer.concat(octets).toString('utf8');
}

describe('composeText', () => {
  it('makes a message that a mail program reads', async () => {
    const wire = await compose();
    expect(wire).toContain('\r\n..leading dot\r\n');
    const message = await PostalMime.parse(wire.replaceAll('\r\n..', '\r\n.'));
    expect(message).toMatchObject({
      from: { name: 'Postern', address: PARTS.from },
      to: [{ address: PARTS.to }],
      subject: PARTS.subject,
      messageId: PARTS.messageId,
      date: '2026-11-23T09:05:07.000Z',
    });
    expect(message.text).toMatch(/^First line\n\.leading dot\nlast/);
    expect(wire).toMatch(/^Auto-Submitted: auto-generated\r$/im);
  });

  it('is in wire form: CRLF everywhere, the last line ended', async () => {
    const wire = await compose({ text: 'a\nb\r\nc\rd' });
    expect(wire.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(wire.endsWith('\r\n')).toBe(true);
  });

  it('lets no text become a header field', async () => {
    const wire = await compose({ subject: 'x\r\nBcc: victim@example.test', text: 'Bcc: body' });
    const headers = wire.slice(0, wire.indexOf('\r\n\r\n'));
    expect(headers).not.toMatch(/^Bcc:/im);
  });

  it('encodes what is not ASCII', async () => {
    const message = await PostalMime.parse(await compose({ subject: 'Grüße', text: 'Grüße' }));
    expect(message.subject).toBe('Grüße');
    expect(message.text?.trim()).toBe('Grüße');
  });
});

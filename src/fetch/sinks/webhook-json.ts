/**
 * A message as JSON for a webhook: header fields in their order, addresses, texts, attachments in base64.
 *
 * Parsing needs the whole message in memory, some times over, so it is done up to a bound only. Nesting and header size are bounded in the parser; it is loaded
 * with the first such message.
 *
 * Source: RFC 5322, RFC 2045 to 2047, as postal-mime reads them.
 *
 * @packageDocumentation
 */
import type { Octets } from '../../core/octets.ts';
import type { FetchedMessage } from '../../core/ports/message-sink.ts';
import { cleanText } from '../../core/reply.ts';
import { readContent } from './read-content.ts';

/** It cannot be JSON: too large, or not to be parsed. */
export class FormUnfit extends Error {
  override readonly name = 'FormUnfit';
}

const MOST_NESTING = 64;
const MOST_HEADERS = 1_048_576;

/** @throws FormUnfit, ReadFailure */
export async function composeJson(message: FetchedMessage, most: Octets, signal: AbortSignal): Promise<Buffer> {
  const limit = `${Math.floor(most / 1_048_576)} MiB`;
  if (message.size > most) throw new FormUnfit(`${message.size} octets, more than the ${limit} up to which messages are parsed`);
  const chunks: Buffer[] = [];
  for await (const chunk of readContent(message, signal)) chunks.push(chunk);
  const parsed = await parse(Buffer.concat(chunks));
  return Buffer.from(JSON.stringify({ ...placeOf(message), ...parsed }));
}

function placeOf({ key, rule, account, mailbox, uidValidity, uid, receivedAt, size, flags }: FetchedMessage): Record<string, unknown> {
  const arrived = receivedAt === undefined ? {} : { receivedAt: receivedAt.toISOString() };
  return { key, rule, account, mailbox, uidValidity: String(uidValidity), uid, ...arrived, size, flags };
}

async function parse(content: Buffer): Promise<Record<string, unknown>> {
  const { default: PostalMime } = await import('postal-mime');
  const limits = { attachmentEncoding: 'base64', maxNestingDepth: MOST_NESTING, maxHeadersSize: MOST_HEADERS } as const;
  const email = await PostalMime.parse(content, limits).catch((error: unknown) => {
    throw new FormUnfit(`it cannot be parsed: ${cleanText(error instanceof Error ? error.message : String(error)).slice(0, 200)}`, {
      cause: error,
    });
  });
  const { headers, from, sender, replyTo, to, cc, bcc, subject, date, messageId, inReplyTo, references, text, html, attachments } = email;
  return {
    headers: headers.map(({ originalKey, value }) => ({ name: originalKey, value })),
    from,
    sender,
    replyTo,
    to,
    cc,
    bcc,
    subject,
    date,
    messageId,
    inReplyTo,
    references,
    text,
    html,
    attachments: attachments.map(({ filename, mimeType, disposition, contentId, content: octets }) => ({
      filename,
      mimeType,
      disposition,
      contentId,
      encoding: 'base64',
      content: octets,
    })),
  };
}

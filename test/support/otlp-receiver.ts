/**
 * A collector: takes traces over OTLP/HTTP in JSON, and refuses, with the reason, what a strict one would.
 *
 * @packageDocumentation
 */
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import * as z from 'zod';

const attribute = z.strictObject({
  key: z.string().min(1),
  value: z.union([z.strictObject({ stringValue: z.string() }), z.strictObject({ intValue: z.string().regex(/^-?\d+$/) })]),
});
const nanoseconds = z.string().regex(/^\d{19}$/);
const spanId = z.string().regex(/^(?!0+$)[0-9a-f]{16}$/);
const span = z
  .strictObject({
    traceId: z.string().regex(/^(?!0+$)[0-9a-f]{32}$/),
    spanId,
    parentSpanId: spanId.optional(),
    flags: z.union([z.literal(0x101), z.literal(0x301)]),
    name: z.string().min(1),
    kind: z.int().min(1).max(5),
    startTimeUnixNano: nanoseconds,
    endTimeUnixNano: nanoseconds,
    attributes: z.array(attribute),
    status: z.strictObject({ code: z.literal(2).optional(), message: z.string().optional() }),
  })
  .refine(({ startTimeUnixNano, endTimeUnixNano }) => BigInt(startTimeUnixNano) <= BigInt(endTimeUnixNano), 'ends before it begins')
  .refine(({ attributes }) => new Set(attributes.map(({ key }) => key)).size === attributes.length, 'an attribute twice');
const request = z.strictObject({
  resourceSpans: z.array(
    z.strictObject({
      resource: z.strictObject({ attributes: z.array(attribute) }),
      scopeSpans: z.array(
        z.strictObject({ scope: z.strictObject({ name: z.string(), version: z.string() }), spans: z.array(span).min(1) }),
      ),
    }),
  ),
});

export type ReceivedSpan = z.infer<typeof span>;

export interface OtlpReceiver {
  /** For `OTEL_EXPORTER_OTLP_ENDPOINT`. */
  readonly endpoint: string;
  readonly spans: readonly ReceivedSpan[];
  /** What was wrong; must be empty. */
  readonly faults: readonly string[];
  readonly bodies: readonly string[];
  readonly headers: readonly IncomingHttpHeaders[];
  readonly resources: readonly Record<string, string>[];
  close(): Promise<void>;
}

export async function startOtlpReceiver(): Promise<OtlpReceiver> {
  const received = {
    spans: [] as ReceivedSpan[],
    faults: [] as string[],
    bodies: [] as string[],
    headers: [] as IncomingHttpHeaders[],
    resources: [] as Record<string, string>[],
  };
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      received.bodies.push(body);
      received.headers.push(incoming.headers);
      const how = `${incoming.method} ${incoming.url} ${incoming.headers['content-type']}`;
      const parsed = request.safeParse(JSON.parse(body));
      if (how !== 'POST /v1/traces application/json') received.faults.push(how);
      if (!parsed.success) received.faults.push(z.prettifyError(parsed.error));
      for (const { resource, scopeSpans } of parsed.data?.resourceSpans ?? []) {
        received.resources.push(Object.fromEntries(resource.attributes.map(({ key, value }) => [key, Object.values(value)[0] ?? ''])));
        received.spans.push(...scopeSpans.flatMap(({ spans }) => spans));
      }
      response.writeHead(parsed.success ? 200 : 400, { 'content-type': 'application/json' }).end('{"partialSuccess":{}}');
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  return {
    ...received,
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => void server.close(() => resolve())),
  };
}

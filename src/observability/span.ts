/**
 * A span, and how a batch of them is written for a collector.
 *
 * Pure. Source: OTLP 1.x, opentelemetry/proto/trace/v1/trace.proto in its JSON mapping: ids in hex, 64-bit numbers as decimal strings, enums as numbers.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import { VERSION } from '../core/version.ts';

/** `trace.proto`, SpanKind. */
export const SPAN_KIND = { internal: 1, server: 2, client: 3 } as const;

/** What is told of something that was done. Values are names and numbers of ours, never texts of others: those may hold anything. */
export interface Span {
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  /** The parent is the application's. */
  readonly isParentRemote?: boolean;
  readonly name: string;
  readonly kind: keyof typeof SPAN_KIND;
  readonly begin: EpochMs;
  readonly end: EpochMs;
  readonly attributes: Readonly<Record<string, string | number | undefined>>;
  /** It failed: code of the problem, or of the reply where there is none. */
  readonly failure?: string;
}

/** Names in the configuration are short; whoever passes something longer has it cut. */
const LONGEST_VALUE = 256;

/** `ExportTraceServiceRequest`. @param resource - Attributes of the process. */
export function exportRequest(spans: readonly Span[], resource: Readonly<Record<string, string>>): string {
  const scope = { name: 'postern', version: VERSION };
  return JSON.stringify({
    resourceSpans: [{ resource: { attributes: keyValues(resource) }, scopeSpans: [{ scope, spans: spans.map(spanJson) }] }],
  });
}

function spanJson(span: Span): unknown {
  const { traceId, spanId, parentSpanId, isParentRemote = false, name, kind, begin, end, attributes, failure } = span;
  return {
    traceId,
    spanId,
    ...(parentSpanId === undefined ? {} : { parentSpanId }),
    // Bit 0: sampled; bits 8 and 9: it is known whether the parent is remote, and it is.
    flags: isParentRemote ? 0x301 : 0x101,
    name,
    kind: SPAN_KIND[kind],
    startTimeUnixNano: nanoseconds(begin),
    endTimeUnixNano: nanoseconds(end),
    attributes: keyValues(attributes),
    status: failure === undefined ? {} : { code: 2, message: failure },
  };
}

function keyValues(attributes: Span['attributes']): unknown[] {
  return Object.entries(attributes).flatMap(([key, value]) => {
    if (value === undefined) return [];
    return {
      key,
      value: typeof value === 'string' ? { stringValue: value.slice(0, LONGEST_VALUE) } : { intValue: String(Math.round(value)) },
    };
  });
}

/** Beyond what a number can hold exactly. */
const nanoseconds = (moment: EpochMs): string => String(BigInt(Math.round(moment * 1000)) * 1000n);

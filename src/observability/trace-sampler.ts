/**
 * Which traces are recorded.
 *
 * Pure. The decision follows from the trace id, so that it is the same for every attempt of a message, after a restart as well.
 *
 * Source: OpenTelemetry specification, "Trace SDK", built-in samplers; the names are those of `OTEL_TRACES_SAMPLER`.
 *
 * @packageDocumentation
 */
import type { TraceParent } from '../core/trace-parent.ts';

/** @returns Whether the trace is recorded. */
export type Sampler = (traceId: string, parent: TraceParent | undefined) => boolean;

/** @param ratio - Part of the traces, 0 to 1, for those names that end in `traceidratio`. @returns Undefined for another name. */
export function samplerOf(name: string, ratio: number): Sampler | undefined {
  const isParentBased = name.startsWith('parentbased_');
  const root = rootSampler(isParentBased ? name.slice('parentbased_'.length) : name, ratio);
  if (root === undefined || !isParentBased) return root;
  return (traceId, parent) => parent?.isSampled ?? root(traceId, undefined);
}

/** The last 14 digits are those that W3C Trace Context Level 2 wants random; they are 56 bits. */
function rootSampler(name: string, ratio: number): Sampler | undefined {
  switch (name) {
    case 'always_on':
      return () => true;
    case 'always_off':
      return () => false;
    case 'traceidratio':
      // Of the 56 bits the upper 52 are compared, which a number holds exactly.
      return (traceId) => Number.parseInt(traceId.slice(18, 31), 16) < ratio * 2 ** 52;
    default:
      return undefined;
  }
}

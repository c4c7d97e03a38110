/**
 * Keeps the counts for charts over a restart. They are a convenience: a file that is missing, damaged or of another version counts as none, and one that cannot be written is
 * tried again with the next minute.
 *
 * @packageDocumentation
 */
import { readFile } from 'node:fs/promises';
import { replaceFile } from '../platform/atomic-file.ts';
import type { RateCounts } from './rate-counter.ts';

const VERSION = 1;

/** Undefined where there are none that can be used. */
export async function readRates(file: string): Promise<RateCounts | undefined> {
  try {
    const document: unknown = JSON.parse(await readFile(file, 'utf8'));
    return isOurs(document) ? { byMinute: document.byMinute, byHour: document.byHour } : undefined;
  } catch {
    return undefined; // Charts begin anew; nobody has to mend anything.
  }
}

/** @throws Error of node:fs */
export function writeRates(file: string, counts: RateCounts): Promise<void> {
  return replaceFile(file, Buffer.from(JSON.stringify({ version: VERSION, ...counts })));
}

function isOurs(document: unknown): document is RateCounts {
  if (typeof document !== 'object' || document === null) return false;
  const { version, byMinute, byHour } = document as Record<string, unknown>;
  return version === VERSION && [byMinute, byHour].every((ring) => Array.isArray(ring) && ring.length <= 200 && ring.every(isSpan));
}

function isSpan(span: unknown): boolean {
  if (typeof span !== 'object' || span === null) return false;
  const { from, relayed, queued, failed } = span as Record<string, unknown>;
  return [from, relayed, queued, failed].every((count) => typeof count === 'number' && Number.isSafeInteger(count) && count >= 0);
}

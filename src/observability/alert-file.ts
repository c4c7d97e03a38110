/**
 * Where the ledger of alerts survives a restart: `alerts.json` in the state directory.
 *
 * No secret is in it, and nothing depends on it but that no alert comes twice: a file that is lost or damaged counts as an empty one.
 *
 * @packageDocumentation
 */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ALERT_EVENTS, ALERT_TOPICS, type AlertTopic, type TroubleEvent } from '../core/alert.ts';
import type { EpochMs } from '../core/clock.ts';
import { mebibytes } from '../core/octets.ts';
import { PROBLEMS, type ProblemCode } from '../core/problem.ts';
import { isErrno, replaceFile } from '../platform/atomic-file.ts';
import { readSmallFile } from '../platform/small-file.ts';
import type { LedgerEntry, ToldTrouble } from './alert-ledger.ts';

const VERSION = 1;
/** An entry takes 250 octets. */
const LARGEST = mebibytes(4);

/**
 * @returns The entries that were written; none where there is no file.
 * @throws Error where the file cannot be read or is none of ours.
 */
export async function readAlertFile(path: string): Promise<LedgerEntry[]> {
  let text: string;
  try {
    text = await readSmallFile(path, LARGEST);
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return [];
    throw error;
  }
  const content = asMap(parseJson(text));
  if (content?.['version'] !== VERSION || !Array.isArray(content['entries'])) throw new Error('it does not hold what Postern writes there');
  return content['entries'].flatMap((entry: unknown) => readEntry(asMap(entry)) ?? []);
}

/** Durable once resolved. @throws Error of node:fs */
export async function writeAlertFile(path: string, entries: readonly LedgerEntry[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  await replaceFile(path, Buffer.from(`${JSON.stringify({ version: VERSION, entries }, null, 1)}\n`));
}

type JsonMap = Readonly<Record<string, unknown>>;

/** Undefined for an entry that this version does not understand. */
function readEntry(map: JsonMap | undefined): LedgerEntry | undefined {
  const { account, topic, told, toldAt, recent } = map ?? {};
  if (typeof account !== 'string' || !isTopic(topic) || !isMoment(toldAt) || !Array.isArray(recent) || !recent.every(isMoment))
    return undefined;
  if (told === undefined) return { account, topic, toldAt, recent };
  const trouble = readTold(asMap(told));
  return trouble === undefined ? undefined : { account, topic, told: trouble, toldAt, recent };
}

function readTold(map: JsonMap | undefined): ToldTrouble | undefined {
  const { event, code, since, mark } = map ?? {};
  if (!isTroubleEvent(event) || !isProblemCode(code) || !isMoment(since)) return undefined;
  return { event, code, since, ...(typeof mark === 'string' ? { mark } : {}) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error('it is not JSON', { cause: error });
  }
}

const asMap = (value: unknown): JsonMap | undefined => (typeof value === 'object' && value !== null ? (value as JsonMap) : undefined);
const isMoment = (value: unknown): value is EpochMs => typeof value === 'number' && Number.isFinite(value);
const isTopic = (value: unknown): value is AlertTopic => ALERT_TOPICS.some((topic) => topic === value);
const isTroubleEvent = (value: unknown): value is TroubleEvent => value !== 'recovered' && ALERT_EVENTS.some((event) => event === value);
const isProblemCode = (value: unknown): value is ProblemCode => typeof value === 'string' && Object.hasOwn(PROBLEMS, value);

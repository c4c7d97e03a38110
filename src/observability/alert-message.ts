/**
 * What a webhook gets for an alert: fields for programs, and a text for people, under the key that chat services show.
 *
 * Pure. Each text in it is cut at 450 characters, so the whole stays below 4 KB.
 *
 * @packageDocumentation
 */
import type { Alert } from '../core/alert.ts';
import { between, type DurationMs } from '../core/clock.ts';
import { cleanText } from '../core/reply.ts';

/** Which Postern speaks. */
export interface AlertOrigin {
  /** Name of this machine. */
  readonly host: string;
  readonly version: string;
}

/** @param id - The same for every try of one alert. */
export function alertBody(alert: Alert, id: string, { host, version }: AlertOrigin): string {
  const { event, account, topic, at } = alert;
  const base = { id, event, account, topic, at: iso(at), host: cleanText(host), version };
  const text = alertText(alert, host);
  if (alert.event === 'recovered') {
    const { was } = alert;
    return JSON.stringify({ ...base, was: { ...was, since: iso(was.since) }, text });
  }
  const { code, cause, remedy, heals } = alert.problem;
  const problem = { code, cause: cleanText(cause), remedy: cleanText(remedy), heals };
  return JSON.stringify({ ...base, isReminder: alert.isReminder, problem, text });
}

/** One paragraph for a person. */
export function alertText(alert: Alert, host: string): string {
  const who = `Postern on ${cleanText(host)}: account ${alert.account}`;
  if (alert.event === 'recovered') {
    const { event, code, since } = alert.was;
    return harmless(`${who} recovered. ${event} (${code}) is over after ${describeLength(between(since, alert.at))}.`);
  }
  const { code, cause, remedy } = alert.problem;
  return harmless(`${who}: ${alert.event}${alert.isReminder ? ', still' : ''}. [${code}] ${cleanText(cause)} Remedy: ${cleanText(remedy)}`);
}

/** `3 d`, `5 h`, `12 min`. */
export function describeLength(length: DurationMs): string {
  const minutes = Math.max(0, Math.round(length / 60_000));
  if (minutes < 120) return `${minutes} min`;
  return minutes < 48 * 60 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} d`;
}

/**
 * Causes quote what servers said. Chat services read `<…>` as a link or as a call to everybody (`<!channel>`), so it becomes a character that looks
 * like it and means nothing.
 */
const harmless = (text: string): string => text.replaceAll('<', '‹').replaceAll('>', '›');

/** A moment that no Date can be comes from a clock gone mad, and must not throw. */
const iso = (moment: number): string => new Date(Math.min(Math.max(moment, 0), 8.64e15)).toISOString();

/**
 * From alerts as written to webhooks that may be asked.
 *
 * Pure.
 *
 * @packageDocumentation
 */
import { ALERT_EVENTS } from '../core/alert.ts';
import type { AlertSettings } from './config.ts';
import { defined } from './defined.ts';
import type { Findings } from './findings.ts';
import type { Sections } from './sections.ts';
import { checkUrl } from './urls.ts';

/** A shorter secret could be guessed from one signed request. */
const SHORTEST_SECRET = 16;

export function buildAlerts({ alerts }: Sections, findings: Findings): AlertSettings[] {
  return alerts.map(({ path, value }) => {
    const { webhook, events = ALERT_EVENTS, secret } = value;
    // {tenant} is filled in elsewhere, not here.
    if (/[{}]/.test(webhook)) findings.problem([...path, 'webhook'], 'holds a placeholder: put the real URL there');
    else checkUrl(webhook, [...path, 'webhook'], findings);
    if (secret !== undefined && secret.length < SHORTEST_SECRET) {
      findings.notice([...path, 'secret'], `is short: use ${SHORTEST_SECRET} characters or more (openssl rand -hex 32)`);
    }
    return { webhook, events, ...defined({ secret }) };
  });
}

/**
 * Fetch rules with what they need of the other rooms.
 *
 * @packageDocumentation
 */
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Config } from '../config/config.ts';
import type { Alerts } from '../core/ports/alerts.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { Log } from '../core/ports/log.ts';
import type { MailboxUpstream } from '../core/ports/mailbox.ts';
import type { Random } from '../core/ports/random.ts';
import { FetchRules } from '../fetch/fetch-rules.ts';
import { FileCursorStore } from '../fetch/file-cursor-store.ts';
import { ImapMailboxSource } from '../fetch/imap-source.ts';
import { dial } from '../platform/dial.ts';
import { openSink } from '../fetch/sinks/open-sink.ts';

/** What the rules get. */
export interface FetchParts {
  readonly mailboxes: MailboxUpstream;
  readonly alerts: Alerts;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

/** Nothing is fetched before `update`. */
export function openFetch({ state }: Pick<Config, 'state'>, { mailboxes, ...parts }: FetchParts): FetchRules {
  const store = new FileCursorStore(join(state.dir, 'fetch'));
  return new FetchRules({
    ...parts,
    source: new ImapMailboxSource(mailboxes, parts.clock),
    store,
    openSink: (settings) => openSink(settings, { clock: parts.clock, dial, scratch: join(state.dir, 'scratch') }),
    hostname: hostname(),
  });
}

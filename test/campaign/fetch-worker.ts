/**
 * One fetch rule in a process of its own, to be killed: `node fetch-worker.cjs SETTINGS`. Prints `m` for each message that a sink has taken and the cursor
 * knows of, and `w` once it has seen everything.
 *
 * @packageDocumentation
 */
import { join } from 'node:path';
import type { SinkSettings } from '../../src/core/fetch-rule.ts';
import type { Log } from '../../src/core/ports/log.ts';
import { Fetcher } from '../../src/fetch/fetcher.ts';
import { FileCursorStore } from '../../src/fetch/file-cursor-store.ts';
import { ImapMailboxSource } from '../../src/fetch/imap-source.ts';
import { openSink } from '../../src/fetch/sinks/open-sink.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { dial } from '../../src/platform/dial.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { fetchRule } from '../support/fetch-rule.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';

export interface FetchWorkerSettings {
  /** For state, over kills. */
  readonly directory: string;
  readonly sink: SinkSettings;
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly mailbox: string;
  readonly accessToken: string;
}

const quiet = (): void => {};
const complain = (fields: object, message: string): void => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);

function work(settings: FetchWorkerSettings): void {
  const { host, port, ca, mailbox, accessToken, directory, sink } = settings;
  const log: Log = { error: complain, warn: complain, info: quiet, debug: quiet, trace: quiet };
  const provider = testProvider({ imap: { host, port, tls: 'implicit' }, ca });
  const accounts = [testAccount({ provider, mailbox })];
  const mailboxes = new Mailboxes({ accounts, tokens: new MemoryTokenSource(accessToken), clock: systemClock, log });
  const store = new FileCursorStore(join(directory, 'fetch'));
  const rule = fetchRule({ name: sink.kind, sink, after: { kind: 'delete' }, tries: 5 });
  const source = new ImapMailboxSource(mailboxes, systemClock);
  const base = { clock: systemClock, random: systemRandom, log, hostname: 'worker.test', onAside: quiet };
  const opened = openSink(sink, { clock: systemClock, dial, scratch: join(directory, 'scratch') });
  const fetcher = new Fetcher(rule, { ...base, source, store, sink: opened });
  fetcher.start(false);
  let told = 0;
  setInterval(() => {
    const { fetched, state } = fetcher.view;
    process.stdout.write('m'.repeat(fetched - told));
    told = fetched;
    if (state === 'waiting') process.stdout.write('w');
  }, 1);
}

const [, , text] = process.argv;
if (text !== undefined) work(JSON.parse(text) as FetchWorkerSettings);

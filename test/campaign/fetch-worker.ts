/**
 * One fetch rule in a process of its own, to be killed: `node fetch-worker.cjs SETTINGS`. Prints `m` for each message that a sink has taken and the cursor
 * knows of, and `w` once it has seen everything.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import type { Log } from '../../src/core/ports/log.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../src/core/ports/message-sink.ts';
import { Fetcher } from '../../src/fetch/fetcher.ts';
import { FileCursorStore } from '../../src/fetch/file-cursor-store.ts';
import { ImapMailboxSource } from '../../src/fetch/imap-source.ts';
import { DirectorySink } from '../../src/fetch/sinks/directory-sink.ts';
import { MaildirSink } from '../../src/fetch/sinks/maildir-sink.ts';
import { Mailboxes } from '../../src/mailbox/mailboxes.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { systemRandom } from '../../src/platform/system-random.ts';
import { testAccount, testProvider } from '../support/accounts.ts';
import { fetchRule } from '../support/fetch-rule.ts';
import { MemoryTokenSource } from '../support/memory-token-source.ts';

/** `ledger` is a receiver that takes whatever it is given, as often as it is given. */
export type WorkerSink = 'maildir' | 'directory' | 'ledger';

export interface FetchWorkerSettings {
  readonly directory: string;
  readonly sink: WorkerSink;
  readonly host: string;
  readonly port: number;
  readonly ca: string;
  readonly mailbox: string;
  readonly accessToken: string;
}

/** Everything behind the first field, which is the trace of the rule. */
export function withoutTrace(content: Buffer): Buffer {
  const text = content.toString('latin1');
  const end = /\r\n(?![ \t])/.exec(text);
  if (!text.startsWith('Received: ') || end === null) throw new Error('no trace field');
  return content.subarray(end.index + 2);
}

export const digestOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

class LedgerSink implements MessageSink {
  readonly description = 'ledger';
  readonly #file: string;

  constructor(file: string) {
    this.#file = file;
  }

  async deliver(message: FetchedMessage, signal: AbortSignal): Promise<SinkOutcome> {
    const parts: Buffer[] = [];
    for await (const part of message.content(signal)) parts.push(part);
    const file = await open(this.#file, 'a');
    try {
      await file.write(`${message.key} ${digestOf(withoutTrace(Buffer.concat(parts)))}\n`);
      await file.datasync();
    } finally {
      await file.close();
    }
    return { kind: 'stored', detail: 'ledger' };
  }

  async close(): Promise<void> {}
}

function sinkOf({ directory, sink }: FetchWorkerSettings): MessageSink {
  const at = join(directory, sink);
  if (sink === 'maildir') return new MaildirSink(at);
  return sink === 'directory' ? new DirectorySink(at) : new LedgerSink(at);
}

const quiet = (): void => {};
const complain = (fields: object, message: string): void => void process.stderr.write(`${message} ${JSON.stringify(fields)}\n`);

function work(settings: FetchWorkerSettings): void {
  const { host, port, ca, mailbox, accessToken, directory } = settings;
  const log: Log = { error: complain, warn: complain, info: quiet, debug: quiet, trace: quiet };
  const provider = testProvider({ imap: { host, port, tls: 'implicit' }, ca });
  const accounts = [testAccount({ provider, mailbox })];
  const mailboxes = new Mailboxes({ accounts, tokens: new MemoryTokenSource(accessToken), clock: systemClock, log });
  const store = new FileCursorStore(join(directory, 'fetch'));
  const rule = fetchRule({ name: settings.sink, sink: { kind: 'maildir', path: directory }, tries: 5 });
  const source = new ImapMailboxSource(mailboxes, systemClock);
  const base = { clock: systemClock, random: systemRandom, log, hostname: 'worker.test', onAside: quiet };
  const fetcher = new Fetcher(rule, { ...base, source, store, sink: sinkOf(settings) });
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
if (text !== undefined && process.argv[1]?.endsWith('fetch-worker.cjs') === true) work(JSON.parse(text) as FetchWorkerSettings);

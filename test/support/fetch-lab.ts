/**
 * A fetch rule on a mailbox in memory: messages come, go and are renumbered, commands fail, and the process dies when a test says so.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { type DurationMs, type EpochMs } from '../../src/core/clock.ts';
import type { Cursor } from '../../src/core/fetch-cursor.ts';
import type { AfterFetch, FetchFilter, FetchRule } from '../../src/core/fetch-rule.ts';
import type { CursorStore } from '../../src/core/ports/cursor-store.ts';
import type { FetchedMessage, MessageSink, SinkOutcome } from '../../src/core/ports/message-sink.ts';
import { ProblemError, problem } from '../../src/core/problem.ts';
import { Fetcher } from '../../src/fetch/fetcher.ts';
import type { MailboxSource, MessageFacts, OpenSource } from '../../src/fetch/mailbox-source.ts';
import { FakeClock } from './fake-clock.ts';
import { fetchRule } from './fetch-rule.ts';
import { MemoryCursorStore } from './memory-cursor-store.ts';
import { MemoryLog } from './memory-log.ts';

interface StoredMessage {
  readonly content: string;
  readonly receivedAt: Date;
  readonly flags: Set<string>;
}

/** What is done, in order; a hook hears of each before it takes effect, and of each that changes something after it has, too. */
export type Step = 'open' | 'search' | 'describe' | 'content' | 'change' | 'changed' | 'deliver' | 'delivered' | 'save' | 'saved' | 'wait';

/** Steps that the mailbox's server has a part in. */
export const AT_SERVER: ReadonlySet<Step> = new Set<Step>(['open', 'search', 'describe', 'content', 'change', 'changed', 'wait']);

export class MemoryMailbox {
  uidValidity = 1n;
  uidNext = 1;
  canIdle = true;
  tokenLife: DurationMs | undefined;
  messages = new Map<number, StoredMessage>();
  sessions = 0;
  #news: () => void = () => {};

  append(content: string, receivedAt: Date): number {
    const uid = this.uidNext;
    this.messages.set(uid, { content, receivedAt, flags: new Set() });
    this.uidNext += 1;
    this.#news();
    return uid;
  }

  /** All messages get other UIDs, in the same order. */
  renumber(uidValidity: bigint, from = 1): void {
    const all = [...this.messages.values()];
    this.uidValidity = uidValidity;
    this.uidNext = from;
    this.messages = new Map();
    for (const message of all) {
      this.messages.set(this.uidNext, message);
      this.uidNext += 1;
    }
  }

  onNews(listener: () => void): void {
    this.#news = listener;
  }
}

export class FetchLab {
  readonly clock = new FakeClock();
  readonly log = new MemoryLog();
  readonly mailbox = new MemoryMailbox();
  readonly saved = new Map<string, Cursor>();
  /** What the sink has, in order. */
  readonly taken: { readonly key: string; readonly content: string }[] = [];
  readonly aside: number[] = [];
  readonly rule: FetchRule;
  /** Throws, changes something, or returns a promise that never settles: the process has died. */
  hook: (step: Step, uid?: number) => Promise<void> | undefined = () => undefined;
  /** What the sink says; `stored` unless told. */
  answer: (message: FetchedMessage, content: string) => SinkOutcome = () => ({ kind: 'stored', detail: 'kept' });
  fetcher: Fetcher;

  constructor(changes: Partial<FetchRule> = {}) {
    this.rule = fetchRule({ name: 'billing-INBOX', ...changes });
    this.fetcher = this.#newFetcher();
  }

  get cursor(): Cursor {
    const cursor = this.saved.get(this.rule.name);
    if (cursor === undefined) throw new Error('no cursor');
    return cursor;
  }

  /** A message with its own Message-ID. */
  arrive(id: string, at: EpochMs = this.clock.now()): number {
    return this.mailbox.append(`Message-ID: <${id}>\r\n\r\nbody of ${id}\r\n`, new Date(at));
  }

  /** The ids of what the sink has, in order. */
  get ids(): string[] {
    return this.taken.map(({ content }) => /^Message-ID: <(.*)>\r$/m.exec(content)?.[1] ?? '');
  }

  async start(): Promise<void> {
    this.fetcher.start(false);
    await this.clock.advance(0 as DurationMs);
  }

  async pass(duration: DurationMs): Promise<void> {
    await this.clock.advance(duration);
  }

  /** The process has died, and another begins on what was saved. */
  async restart(): Promise<void> {
    this.hook = () => undefined;
    this.fetcher = this.#newFetcher();
    await this.start();
  }

  #newFetcher(): Fetcher {
    // What died must neither save nor deliver any more.
    const life = { isOver: false };
    const step = async (name: Step, uid?: number): Promise<void> => {
      if (life.isOver) return new Promise(() => {});
      return this.hook(name, uid);
    };
    const previous = this.#life;
    if (previous !== undefined) previous.isOver = true;
    this.#life = life;
    return new Fetcher(this.rule, {
      source: this.#source(step),
      store: this.#store(step),
      sink: this.#sink(step),
      clock: this.clock,
      random: { fraction: () => 0.5, octets: (count) => new Uint8Array(count) },
      log: this.log,
      hostname: 'relay.test',
      onAside: (_rule, count) => void this.aside.push(count),
    });
  }
  #life: { isOver: boolean } | undefined;

  #store(step: (name: Step) => Promise<void>): CursorStore {
    const store = new MemoryCursorStore(this.saved);
    const around =
      <Args extends readonly unknown[]>(work: (...args: Args) => Promise<void>) =>
      async (...args: Args): Promise<void> => {
        await step('save');
        await work(...args);
        await step('saved');
      };
    return {
      load: (rule) => store.load(rule),
      replace: around((rule, cursor) => store.replace(rule, cursor)),
      save: around((rule, change) => store.save(rule, change)),
      remove: around((rule) => store.remove(rule)),
      paused: () => store.paused(),
      setPaused: (rule, isPaused) => store.setPaused(rule, isPaused),
      close: () => store.close(),
    };
  }

  #sink(step: (name: Step, uid?: number) => Promise<void>): MessageSink {
    return {
      description: 'memory',
      deliver: async (message, signal) => {
        const parts: Buffer[] = [];
        for await (const part of message.content(signal)) parts.push(part);
        const content = Buffer.concat(parts).toString('latin1');
        await step('deliver', message.uid);
        const outcome = this.answer(message, content);
        if (outcome.kind === 'stored') this.taken.push({ key: message.key, content });
        await step('delivered', message.uid);
        return outcome;
      },
      close: async () => {},
    };
  }

  #source(step: (name: Step, uid?: number) => Promise<void>): MailboxSource {
    return {
      open: async (): Promise<OpenSource> => {
        await step('open');
        this.mailbox.sessions += 1;
        return new MemorySource(this.mailbox, this.clock, step);
      },
    };
  }
}

class MemorySource implements OpenSource {
  readonly upstream = 'imap.test:993';
  readonly uidValidity: bigint;
  readonly uidNext: number;
  readonly canIdle: boolean;
  readonly tokenExpiresAt?: EpochMs;
  readonly #mailbox: MemoryMailbox;
  readonly #clock: FakeClock;
  readonly #step: (name: Step, uid?: number) => Promise<void>;

  constructor(mailbox: MemoryMailbox, clock: FakeClock, step: (name: Step, uid?: number) => Promise<void>) {
    this.#mailbox = mailbox;
    this.#clock = clock;
    this.#step = step;
    this.uidValidity = mailbox.uidValidity;
    this.uidNext = mailbox.uidNext;
    this.canIdle = mailbox.canIdle;
    if (mailbox.tokenLife !== undefined) this.tokenExpiresAt = (clock.now() + mailbox.tokenLife) as EpochMs;
  }

  async search(from: number, to: number | undefined, { isUnseen }: FetchFilter): Promise<readonly number[]> {
    await this.#step('search');
    const uids = [...this.#mailbox.messages].filter(([, { flags }]) => !isUnseen || !flags.has('\\Seen')).map(([uid]) => uid);
    // As servers do: the end of `n:*` is the last message.
    const start = to === undefined ? Math.min(from, Math.max(...uids, 0)) : from;
    return uids.filter((uid) => uid >= start && (to === undefined || uid <= to));
  }

  async describe(uid: number): Promise<MessageFacts | undefined> {
    await this.#step('describe', uid);
    const message = this.#mailbox.messages.get(uid);
    if (message === undefined) return undefined;
    const { content, receivedAt, flags } = message;
    const [header = ''] = content.split('\r\n\r\n');
    const print = createHash('sha256').update(`${content.length}\n${header}`).digest('hex').slice(0, 20);
    return { uid, size: content.length, flags: [...flags], receivedAt, print };
  }

  async *content(uid: number): AsyncGenerator<Buffer, void, undefined> {
    await this.#step('content', uid);
    const message = this.#mailbox.messages.get(uid);
    if (message === undefined) throw new ProblemError(problem('FETCH_MESSAGE_UNREADABLE', 'it is gone'));
    yield Buffer.from(message.content);
  }

  async change(uid: number, { kind }: AfterFetch): Promise<void> {
    await this.#step('change', uid);
    if (kind === 'seen') this.#mailbox.messages.get(uid)?.flags.add('\\Seen');
    if (kind === 'delete' || kind === 'move') this.#mailbox.messages.delete(uid);
    await this.#step('changed', uid);
  }

  async waitForNews(limit: DurationMs, signal: AbortSignal): Promise<void> {
    await this.#step('wait');
    await new Promise<void>((resolve) => {
      const timer = this.#clock.startTimer(limit, resolve);
      const wake = (): void => {
        timer.cancel();
        resolve();
      };
      signal.addEventListener('abort', wake, { once: true });
      this.#mailbox.onNews(wake);
    });
  }

  close(): void {}
}

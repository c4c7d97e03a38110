/**
 * The ports that are open, one by one: a changed configuration touches those that it changes.
 *
 * @packageDocumentation
 */
import { isDeepStrictEqual } from 'node:util';
import type { DurationMs } from '../core/clock.ts';
import type { ListenerTls } from '../core/listener.ts';
import type { Log } from '../core/ports/log.ts';
import { ProblemError, problem } from '../core/problem.ts';

/** What every listener is set up with, whatever it speaks. */
export interface ListenerSettings {
  /** Host and port; no two listeners share it. */
  readonly name: string;
  /** Absent: SMTP. */
  readonly protocol?: 'imap' | 'pop3';
  readonly tls: ListenerTls;
  readonly cert?: string;
  readonly key?: string;
}

/** How a port is. */
export interface ListenerState {
  readonly name: string;
  readonly protocol: 'smtp' | 'imap' | 'pop3';
  readonly isOpen: boolean;
  /** Sessions that are open. */
  readonly sessionCount: number;
}

/** How a port that is wanted is. */
export interface WantedListenerState extends ListenerState {
  readonly tls: ListenerTls;
}

/** A port, whatever is spoken there. */
export interface Listener extends ListenerState {
  /** @throws ProblemError `LISTENER_FAILED` */
  open(): Promise<unknown>;
  /** Accept nothing more at once; what is in progress gets `grace`, or less where a later call gives less. */
  close(grace: DurationMs): Promise<void>;
  /** @throws ProblemError `LISTENER_FAILED` */
  updateTls(tls: { readonly cert: string; readonly key: string }): void;
  /** End the sessions of clients whose login is no longer good, where they do not look for themselves. */
  reviewClients?(): void;
}

interface Open<Settings> {
  readonly settings: Settings;
  readonly listener: Listener;
}

export class ListenerSet<Settings extends ListenerSettings> {
  readonly #make: (settings: Settings) => Listener;
  readonly #log: Log;
  readonly #open = new Map<string, Open<Settings>>();
  /** Closed by a change, while what was in progress there ends. */
  readonly #closing = new Set<Listener>();

  constructor(make: (settings: Settings) => Listener, log: Log) {
    this.#make = make;
    this.#log = log;
  }

  /** How the wanted ports are, open or not. */
  states(wanted: readonly Settings[]): readonly WantedListenerState[] {
    return wanted.map(({ name, protocol, tls }) => {
      const { isOpen = false, sessionCount = 0 } = this.#open.get(name)?.listener ?? {};
      return { name, protocol: protocol ?? 'smtp', tls, isOpen, sessionCount };
    });
  }

  /** @throws ProblemError `LISTENER_FAILED`; those already open stay open. */
  async openAll(wanted: readonly Settings[]): Promise<void> {
    for (const settings of wanted) await this.#openOne(settings);
  }

  /**
   * Open what is new, close what is gone, renew certificates; leave everything else alone.
   *
   * @param grace - What sessions of closed ports get to finish.
   * @returns Why ports could not be opened; each of them that was open before with other settings is open with those again.
   */
  async update(wanted: readonly Settings[], grace: DurationMs): Promise<ProblemError[]> {
    const gone = [...this.#open.values()].filter((open) => !this.#keeps(open, wanted));
    // First of all, since a port may be wanted on another address, and two addresses may overlap.
    for (const { settings, listener } of gone) {
      this.#open.delete(settings.name);
      this.#closeBehind(listener, grace);
    }
    const failures: ProblemError[] = [];
    for (const settings of wanted) {
      if (this.#open.has(settings.name)) continue;
      const failure = await this.#tryOpen(settings);
      if (failure === undefined) continue;
      failures.push(failure);
      const before = gone.find(({ settings: { name } }) => name === settings.name);
      if (before !== undefined) await this.#tryOpen(before.settings);
    }
    return failures;
  }

  /** The clients have changed. */
  reviewClients(): void {
    for (const { listener } of this.#open.values()) listener.reviewClients?.();
    for (const listener of this.#closing) listener.reviewClients?.();
  }

  async closeAll(grace: DurationMs): Promise<void> {
    const all = [...[...this.#open.values()].map(({ listener }) => listener), ...this.#closing];
    this.#open.clear();
    await Promise.all(all.map((listener) => listener.close(grace)));
  }

  /** Whether an open port serves as it is, perhaps with a renewed certificate. */
  #keeps({ settings, listener }: Open<Settings>, wanted: readonly Settings[]): boolean {
    const next = wanted.find(({ name }) => name === settings.name);
    if (next === undefined || !isDeepStrictEqual(withoutPair(settings), withoutPair(next))) return false;
    const { name, cert, key } = next;
    if (cert === settings.cert && key === settings.key) return true;
    if (cert === undefined || key === undefined) return false;
    try {
      listener.updateTls({ cert, key });
      this.#open.set(name, { settings: next, listener });
      this.#log.info({ event: 'certificate-renewed', listener: name }, 'new connections get the renewed certificate');
      return true;
    } catch (error) {
      this.#log.error({ event: 'certificate-refused', listener: name, problem: problemOf(error) }, 'the certificate in use stays in use');
      return true;
    }
  }

  #closeBehind(listener: Listener, grace: DurationMs): void {
    this.#closing.add(listener);
    void listener.close(grace).finally(() => this.#closing.delete(listener));
  }

  async #tryOpen(settings: Settings): Promise<ProblemError | undefined> {
    try {
      await this.#openOne(settings);
      return undefined;
    } catch (error) {
      this.#log.error({ event: 'listener-failed', listener: settings.name, problem: problemOf(error) }, 'a port cannot be opened');
      return error instanceof ProblemError ? error : new ProblemError(problemOf(error), { cause: error });
    }
  }

  async #openOne(settings: Settings): Promise<void> {
    const listener = this.#make(settings);
    await listener.open();
    this.#open.set(settings.name, { settings, listener });
  }
}

const withoutPair = <Settings extends ListenerSettings>({ cert: _cert, key: _key, ...rest }: Settings) => rest;

const problemOf = (error: unknown) =>
  error instanceof ProblemError ? error.problem : problem('LISTENER_FAILED', error instanceof Error ? error.message : String(error));

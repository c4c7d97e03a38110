/**
 * Keeps the last lines of the log, for whoever looks at the admin page: {@link MOST_LINES} of them, of level info and above, whatever `log.level` is.
 *
 * Scrubbed when they are read, as a secret may be learned of later than the line.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../core/clock.ts';
import type { Clock } from '../core/ports/clock.ts';
import type { LogFields } from '../core/ports/log.ts';
import type { LogReader, LogLine } from '../core/ports/log-reader.ts';
import { lineFields } from './log-fields.ts';
import { boundedFields, cut, scrubbedDocument } from './kept-fields.ts';
import type { LogObserver } from './observed-log.ts';
import type { Scrubber } from './scrubber.ts';

const MOST_LINES = 1_000;
const RANK = { info: 0, warn: 1, error: 2 } as const;

type Level = keyof typeof RANK;

interface Heard {
  readonly number: number;
  readonly at: EpochMs;
  readonly level: Level;
  readonly fields: LogFields;
  readonly message: string;
}

/** What a desk needs. */
export interface LogDeskOptions {
  readonly clock: Pick<Clock, 'now'>;
  readonly scrubber: Pick<Scrubber, 'scrub'>;
}

export class LogDesk implements LogReader {
  readonly #options: LogDeskOptions;
  #lines: Heard[] = [];
  #count = 0;

  constructor(options: LogDeskOptions) {
    this.#options = options;
  }

  /** For the log of the relay. */
  readonly observe: LogObserver = (level, fields, message) => {
    if (level === 'debug' || level === 'trace') return;
    this.#count += 1;
    this.#lines.push({ number: this.#count, at: this.#options.clock.now(), level, fields: boundedFields(fields), message: cut(message) });
    // Cut seldom, so that a line costs nothing.
    if (this.#lines.length >= 2 * MOST_LINES) this.#lines = this.#lines.slice(-MOST_LINES);
  };

  lines(level: Level, limit: number): readonly LogLine[] {
    const wanted = this.#lines.slice(-MOST_LINES).filter((line) => RANK[line.level] >= RANK[level]);
    return scrubbedDocument(wanted.slice(-limit).toReversed().map(describe), this.#options.scrubber);
  }
}

function describe({ number, at, level, fields, message }: Heard): LogLine {
  return { number, at: new Date(at).toISOString(), level, message, fields: lineFields(fields) };
}

/**
 * The log: pino, one JSON object a line (or one readable line for a terminal), every line scrubbed of known secrets as its last step.
 *
 * @packageDocumentation
 */
import { pino } from 'pino';
import type { Log } from '../core/ports/log.ts';
import { atTurnEnd } from '../platform/turn-end.ts';
import { lineFields } from './log-fields.ts';
import { prettyLine } from './pretty.ts';
import type { Scrubber } from './scrubber.ts';

/** How much and in what form. */
export interface LogSettings {
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  /** `json` for machines, `pretty` for people. */
  readonly format: 'json' | 'pretty';
}

/** Where lines go. Must not throw. */
export interface LineSink {
  write(line: string): void;
}

/** A line is written where its level ranks no higher than that of the settings. */
const RANK: Readonly<Record<LogSettings['level'], number>> = { error: 0, warn: 1, info: 2, debug: 3, trace: 4 };

/** More than this is not put off. */
const MOST_PUT_OFF = 65_536;

/**
 * Standard output. The lines of a turn of the event loop are written together when it ends, with what it has to say on its connections, or when the process exits: a
 * process that is killed, or that V8 aborts, takes the lines of that turn along.
 */
export function standardOutput(): LineSink {
  const destination = pino.destination({ fd: 1, sync: true });
  // A closed standard output must not stop a relay (`postern serve | head`); there is nowhere left to say so.
  destination.on('error', () => undefined);
  let lines = '';
  const flush = (): void => {
    const text = lines;
    lines = '';
    if (text !== '') destination.write(text);
  };
  return {
    write(line) {
      if (lines === '') atTurnEnd(flush, 'record');
      lines += line;
      if (lines.length > MOST_PUT_OFF) flush();
    },
  };
}

/** A log whose settings may be changed while it is written to. */
export interface AdjustableLog extends Log {
  adjust(settings: LogSettings): void;
}

export function createLog(initial: LogSettings, scrubber: Scrubber, sink: LineSink): AdjustableLog {
  let settings = initial;
  // Asked some twenty times for each message, so it is known here and not asked of pino, which lets everything pass.
  let rank = RANK[settings.level];
  const logger = pino(
    {
      level: 'trace',
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      messageKey: 'message',
    },
    {
      write(line: string): void {
        const clean = scrubber.scrub(line);
        sink.write(settings.format === 'json' ? clean : prettyLine(clean));
      },
    },
  );
  return {
    error(fields, message) {
      logger.error(lineFields(fields), message);
    },
    warn(fields, message) {
      if (rank >= RANK.warn) logger.warn(lineFields(fields), message);
    },
    info(fields, message) {
      if (rank >= RANK.info) logger.info(lineFields(fields), message);
    },
    debug(fields, message) {
      if (rank >= RANK.debug) logger.debug(lineFields(fields), message);
    },
    trace(fields, message) {
      if (rank >= RANK.trace) logger.trace(lineFields(fields), message);
    },
    get hearsTrace() {
      return rank >= RANK.trace;
    },
    adjust(changed) {
      settings = changed;
      rank = RANK[changed.level];
    },
  };
}

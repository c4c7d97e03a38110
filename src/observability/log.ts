/**
 * The log: pino, one JSON object a line (or one readable line for a terminal), every line scrubbed of known secrets as its last step.
 *
 * @packageDocumentation
 */
import { type Level, pino } from 'pino';
import type { Log, LogFields } from '../core/ports/log.ts';
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
  const logger = pino(
    {
      level: settings.level,
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
  const at =
    (level: Level) =>
    (fields: LogFields, message: string): void => {
      if (logger.isLevelEnabled(level)) logger[level](lineFields(fields), message);
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    get hearsTrace() {
      return logger.isLevelEnabled('trace');
    },
    adjust(changed) {
      settings = changed;
      logger.level = changed.level;
    },
  };
}

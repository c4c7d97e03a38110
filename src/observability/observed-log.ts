/**
 * A log that others listen to: each event goes to all observers, whatever level is written, and then to the log itself.
 *
 * So what is counted and what is traced at run time is what the log says, and no room has to say it twice.
 *
 * @packageDocumentation
 */
import type { Log, LogFields, LogLevel } from '../core/ports/log.ts';

/** Hears every event. Must not throw, and must not log. */
export type LogObserver = (level: LogLevel, fields: LogFields, message: string) => void;

/**
 * @param observers - Looked at for each event: more may be added while it runs.
 * @param hearTrace - Whether one of them listens to lines of level trace now.
 */
export function observedLog(log: Log, observers: readonly LogObserver[], hearTrace: () => boolean = () => true): Log {
  const tell: LogObserver = (level, fields, message) => {
    for (const observe of observers) observe(level, fields, message);
  };
  return {
    error(fields, message) {
      tell('error', fields, message);
      log.error(fields, message);
    },
    warn(fields, message) {
      tell('warn', fields, message);
      log.warn(fields, message);
    },
    info(fields, message) {
      tell('info', fields, message);
      log.info(fields, message);
    },
    debug(fields, message) {
      tell('debug', fields, message);
      log.debug(fields, message);
    },
    trace(fields, message) {
      tell('trace', fields, message);
      log.trace(fields, message);
    },
    get hearsTrace() {
      return log.hearsTrace !== false || hearTrace();
    },
  };
}

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
  const at =
    (level: LogLevel) =>
    (fields: LogFields, message: string): void => {
      for (const observe of observers) observe(level, fields, message);
      log[level](fields, message);
    };
  return {
    error: at('error'),
    warn: at('warn'),
    info: at('info'),
    debug: at('debug'),
    trace: at('trace'),
    get hearsTrace() {
      return log.hearsTrace !== false || hearTrace();
    },
  };
}

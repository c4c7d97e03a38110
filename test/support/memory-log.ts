/**
 * A log that keeps its lines, for assertions.
 *
 * @packageDocumentation
 */
import type { LogFields } from '../../src/core/ports/log.ts';
import type { AdjustableLog, LogSettings } from '../../src/observability/log.ts';

export interface LogLine extends LogFields {
  readonly level: 'error' | 'warn' | 'info' | 'debug' | 'trace';
  readonly message: string;
}

export class MemoryLog implements AdjustableLog {
  readonly lines: LogLine[] = [];
  /** As it was last told; it keeps everything all the same. */
  settings: LogSettings | undefined;

  adjust(settings: LogSettings): void {
    this.settings = settings;
  }

  error(fields: LogFields, message: string): void {
    this.lines.push({ ...fields, level: 'error', message });
  }

  warn(fields: LogFields, message: string): void {
    this.lines.push({ ...fields, level: 'warn', message });
  }

  info(fields: LogFields, message: string): void {
    this.lines.push({ ...fields, level: 'info', message });
  }

  debug(fields: LogFields, message: string): void {
    this.lines.push({ ...fields, level: 'debug', message });
  }

  trace(fields: LogFields, message: string): void {
    this.lines.push({ ...fields, level: 'trace', message });
  }

  /** Lines of one event. */
  of(event: string): LogLine[] {
    return this.lines.filter((line) => line.event === event);
  }
}

/**
 * What sinks that hand messages to somebody else work with.
 *
 * @packageDocumentation
 */
import type { Clock } from '../../core/ports/clock.ts';
import type { Dial } from '../../platform/dial.ts';

export interface SinkParts {
  readonly clock: Clock;
  readonly dial: Dial;
}

/**
 * What sinks that hand messages to somebody else work with.
 *
 * @packageDocumentation
 */
import type { Clock } from '../../core/ports/clock.ts';
import type { Dial } from '../../platform/dial.ts';

export interface NetworkParts {
  readonly clock: Clock;
  readonly dial: Dial;
}

/** What all of them together work with. */
export interface SinkParts extends NetworkParts {
  /** Directory for messages on their way to a program: absolute, made when it is needed. */
  readonly scratch: string;
}

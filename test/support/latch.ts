/**
 * Something to wait for until a test lets it happen.
 *
 * @packageDocumentation
 */

export class Latch {
  /** Resolves once {@link open} is called. */
  readonly passed: Promise<void>;
  open: () => void = () => undefined;

  constructor() {
    this.passed = new Promise<void>((resolve) => (this.open = resolve));
  }
}

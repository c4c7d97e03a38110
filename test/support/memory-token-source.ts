/**
 * A token source that counts what is asked of it.
 *
 * @packageDocumentation
 */
import type { EpochMs } from '../../src/core/clock.ts';
import type { AccessToken, TokenSource } from '../../src/core/ports/token-source.ts';

export class MemoryTokenSource implements TokenSource {
  /** Values handed out, oldest first. */
  readonly refused: string[] = [];
  asked = 0;
  /** Thrown in place of an answer. */
  failure: Error | undefined;
  replaceFailure: Error | undefined;
  current: AccessToken;

  constructor(value = 'first-access-token', expiresAt = Number.MAX_SAFE_INTEGER) {
    this.current = { value, expiresAt: expiresAt as EpochMs, generation: 1 };
  }

  async accessToken(): Promise<AccessToken> {
    this.asked += 1;
    await Promise.resolve();
    if (this.failure !== undefined) throw this.failure;
    return this.current;
  }

  async replaceRefused(_account: string, refused: AccessToken): Promise<AccessToken> {
    this.refused.push(refused.value);
    await Promise.resolve();
    if (this.replaceFailure !== undefined) throw this.replaceFailure;
    if (refused.generation === this.current.generation) {
      const generation = this.current.generation + 1;
      this.current = { ...this.current, value: `access-token-${generation}`, generation };
    }
    return this.current;
  }
}

/**
 * A token endpoint that answers as a test says, without a network.
 *
 * @packageDocumentation
 */
import { type DurationMs, seconds } from '../../src/core/clock.ts';
import type { GrantedTokens, TokenAnswer, TokenEndpoint, TokenFailure, TokenRefusal, TokenRequest } from '../../src/token/token-answer.ts';

type Answer = TokenAnswer | ((request: TokenRequest) => TokenAnswer | Promise<TokenAnswer>);

export class ScriptedTokenEndpoint implements TokenEndpoint {
  readonly requests: TokenRequest[] = [];
  readonly #script: Answer[] = [];
  #always: Answer;
  isClosed = false;

  /** @param always - The answer once the script has been used up; a new access token each time unless told. */
  constructor(always?: Answer) {
    this.#always = always ?? (() => grantedTokens({ accessToken: `access-${this.requests.length}` }));
  }

  /** The next answers, in order. */
  next(...answers: Answer[]): void {
    this.#script.push(...answers);
  }

  always(answer: Answer): void {
    this.#always = answer;
  }

  /** Keeps the next request waiting until the test answers it. */
  hold(): { answer(answer: TokenAnswer): void } {
    let release: (answer: TokenAnswer) => void = () => {};
    const held = new Promise<TokenAnswer>((resolve) => {
      release = resolve;
    });
    this.next(() => held);
    return { answer: (answer) => release(answer) };
  }

  get refreshTokensSent(): (string | undefined)[] {
    return this.requests.map(({ refreshToken }) => refreshToken);
  }

  async request(request: TokenRequest): Promise<TokenAnswer> {
    this.requests.push(request);
    const answer = this.#script.shift() ?? this.#always;
    return typeof answer === 'function' ? answer(request) : answer;
  }

  async close(): Promise<void> {
    this.isClosed = true;
  }
}

export function grantedTokens(changes: Partial<Omit<GrantedTokens, 'kind'>> = {}): GrantedTokens {
  return { kind: 'granted', accessToken: 'access', expiresIn: seconds(3600), ...changes };
}

export function refusedWith(error: string, ...errorCodes: number[]): TokenRefusal {
  return { kind: 'refused', httpStatus: 400, error, errorCodes, traceId: 'trace-1', correlationId: 'correlation-1' };
}

export const unreachable: TokenFailure = { kind: 'unreachable', cause: '127.0.0.1:1: connection refused' };

export function busy(retryAfter?: DurationMs): TokenFailure {
  return { kind: 'busy', cause: '127.0.0.1:1 answered HTTP 429', ...(retryAfter === undefined ? {} : { retryAfter }) };
}

/**
 * A process that dies at a given step: from then on none of its calls on the spool or the upstream has an effect or an answer.
 *
 * @packageDocumentation
 */
import type { Draft, Spool } from '../../src/core/ports/spool.ts';
import type { Upstream } from '../../src/core/ports/upstream.ts';

const never = new Promise<never>(() => {});

export class Mortal {
  /** Steps so far. */
  steps = 0;
  isDead = false;
  readonly #diesAt: number;

  /** @param diesAt - The number of the step that is not survived; a step is before or after each call that changes something. */
  constructor(diesAt: number) {
    this.#diesAt = diesAt;
  }

  /** One step. Does not return where the process is dead. */
  async step(): Promise<void> {
    this.steps += 1;
    if (this.steps >= this.#diesAt) this.isDead = true;
    if (this.isDead) await never;
  }

  /** A spool that outlives the process. */
  spool(spool: Spool): Spool {
    return new Proxy(spool, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name);
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        switch (name) {
          case 'onChange':
            return (listener: (change: unknown) => void) => call((change: unknown) => (this.isDead ? undefined : listener(change)));
          case 'entries':
          case 'content':
            return call;
          case 'openDraft':
            return async (...args: unknown[]) => this.#draft((await this.#call(() => call(...args))) as Draft);
          case 'settleAttempt':
            return async (...args: unknown[]) => this.#call(() => call(...args.map(unwrapReport)));
          default:
            return async (...args: unknown[]) => this.#call(() => call(...args));
        }
      },
    });
  }

  upstream(upstream: Upstream): Upstream {
    return {
      begin: async (...args) => this.#call(() => upstream.begin(...args)) as ReturnType<Upstream['begin']>,
      relay: async (...args) => this.#call(() => upstream.relay(...args)) as ReturnType<Upstream['relay']>,
    };
  }

  #draft(draft: Draft): Draft {
    const proxy = new Proxy(draft, {
      get: (target, name) => {
        if (name === REAL) return target;
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== 'function') return value;
        const call = (...args: unknown[]): unknown => Reflect.apply(value, target, args);
        return name === 'accept' || name === 'acceptLeased' ? async (...args: unknown[]) => this.#call(() => call(...args)) : call;
      },
    });
    return proxy;
  }

  async #call(action: () => unknown): Promise<unknown> {
    await this.step();
    const result = await action();
    await this.step();
    return result;
  }
}

const REAL = Symbol('the draft behind the proxy');

/** The report of `settleAttempt` holds a draft, which must be the spool's own. */
function unwrapReport(argument: unknown): unknown {
  if (typeof argument !== 'object' || argument === null || !('draft' in argument)) return argument;
  return { ...argument, draft: Reflect.get(argument.draft as object, REAL) ?? argument.draft };
}

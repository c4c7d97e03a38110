/**
 * Values that are often here already.
 *
 * A promise for what is here costs a turn through the queue of microtasks, and some hundred octets, for each function on the way. Where most calls have their answer at
 * once, and there are many of them for a message, it is passed on as it is.
 *
 * @packageDocumentation
 */

/** A value that is here, or on its way. */
export type Awaitable<Value> = Value | Promise<Value>;

/** Go on with `value`: now where it is here, else once it is. What `use` throws is thrown, or rejects. */
export function whenHere<Value, Result>(value: Awaitable<Value>, use: (value: Value) => Awaitable<Result>): Awaitable<Result> {
  return value instanceof Promise ? value.then(use) : use(value);
}

/**
 * A value while it is being put together.
 *
 * What may be absent is assigned where it is there: spreading `{}` or `{ it }` in between, shorter to write, has V8 copy properties one by one and make a new hidden class
 * as it goes, several microseconds each time.
 *
 * @packageDocumentation
 */

/** The same shape, to be written by whoever makes it. */
export type Mutable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

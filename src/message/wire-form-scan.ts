/**
 * Whether octets are in wire form as they are, sixteen at a time.
 *
 * An octet is out of place where it is LF and the one before is not CR, or the other way round, or where it is a dot behind LF. That takes no more than comparing
 * the octets with themselves, one place on; JavaScript has no instruction for it, WebAssembly has (its fixed-width SIMD). The module is so small that it is put together
 * here, instruction by instruction; V8 runs it at three times the speed of a native search for each line end, and at the same speed whatever the octets are.
 *
 * Source: WebAssembly Core Specification 2.0, §5 (binary format).
 *
 * @packageDocumentation
 */
import { CARRIAGE_RETURN, DOT, LINE_FEED } from './line-ends.ts';

/** Most octets that can be looked at at once. */
export const MOST_SCANNED = 65_536;

/**
 * True where nothing in `part` has to change.
 *
 * @param part - 1 to {@link MOST_SCANNED} octets. A CR at its end is none out of place: its LF may be next.
 * @param before - The octet in front of it; LF at the start of a line.
 */
export type WireFormScan = (part: Uint8Array, before: number) => boolean;

/** Octets that one turn of the loop looks at. */
const STEP = 128;
const WIDTH = 16;
/** Where the octets begin in the module's memory; the one in front of them stands before it. */
const START = WIDTH;
/** Of 64 KiB each. */
const PAGES = 2;

/** As much of the interface of WebAssembly as is used; Node's types have nothing of it. */
interface Engine {
  readonly Module: new (code: Uint8Array) => object;
  readonly Instance: new (
    module: object,
  ) => { readonly exports: { readonly memory: { readonly buffer: ArrayBuffer }; scan(length: number): number } };
}

/** @returns Undefined where this Node, or its processor, cannot do it. */
export function openWireFormScan(engine = (globalThis as { WebAssembly?: Engine }).WebAssembly): WireFormScan | undefined {
  if (engine === undefined) return undefined;
  let exports: InstanceType<Engine['Instance']>['exports'];
  try {
    exports = new engine.Instance(new engine.Module(assemble())).exports;
  } catch {
    return undefined; // No SIMD, or no room for the addresses that V8 sets aside: whoever asks has another way, which finds the same.
  }
  const memory = new Uint8Array(exports.memory.buffer);
  return (part, before) => {
    const end = START + part.length;
    memory[START - 1] = before;
    memory.set(part, START);
    memory.fill(0, end, end + STEP);
    if (part.at(-1) === CARRIAGE_RETURN) memory[end] = LINE_FEED;
    return exports.scan(part.length + 1) === 0;
  };
}

const I32 = 0x7f;
const V128 = 0x7b;
/** Parameter: octets to look at. */
const LENGTH = 0;
/** How many have been. */
const AT = 1;
/** What was out of place so far; the octets of a block; the same one place before. */
const [BAD, HERE, BEFORE] = [2, 3, 4];

/** The module: `memory`, and `scan(length)`, which is 0 where none of so many octets is out of place. What lies behind them up to the next {@link STEP} is looked at, too. */
function assemble(): Uint8Array {
  const code = [
    [2, 1, I32, 3, V128], // locals: AT; BAD, HERE and BEFORE
    [0x03, 0x40], // loop
    get(BAD),
    ...Array.from({ length: STEP / WIDTH }, (_, index) => block(index * WIDTH)),
    set(BAD),
    [...get(AT), 0x41, ...number(STEP), 0x6a, 0x22, AT], // i32.const, i32.add, local.tee
    [...get(LENGTH), 0x49, 0x0d, 0], // i32.lt_u, br_if
    [0x0b], // end
    [...get(BAD), ...simd(0x53)], // v128.any_true
    [0x0b],
  ].flat();
  const module = [
    [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    section(1, [1, 0x60, 1, I32, 1, I32]), // one type: i32 to i32
    section(3, [1, 0]), // one function of that type
    section(5, [1, 0, PAGES]), // one memory
    section(7, [2, ...name('memory'), 2, 0, ...name('scan'), 0, 0]), // exports
    section(10, [1, ...number(code.length), ...code]),
  ];
  return Uint8Array.from(module.flat());
}

/** With what is on the stack, what is out of place in the sixteen octets at `offset`. */
function block(offset: number): number[] {
  return [
    [...get(AT), ...load(START + offset), ...set(HERE)],
    [...get(AT), ...load(START - 1 + offset), ...set(BEFORE)],
    [...isEqual(HERE, LINE_FEED), ...isEqual(BEFORE, CARRIAGE_RETURN), ...simd(0x51), ...simd(0x50)], // v128.xor, v128.or
    [...isEqual(HERE, DOT), ...isEqual(BEFORE, LINE_FEED), ...simd(0x4e), ...simd(0x50)], // v128.and, v128.or
  ].flat();
}

const get = (local: number): number[] => [0x20, local];
const set = (local: number): number[] => [0x21, local];
const simd = (instruction: number): number[] => [0xfd, ...number(instruction)];
const load = (offset: number): number[] => [...simd(0x00), 0, ...number(offset)];
/** v128.const, i8x16.eq */
const isEqual = (local: number, octet: number): number[] => [
  ...get(local),
  ...simd(0x0c),
  ...Array<number>(WIDTH).fill(octet),
  ...simd(0x23),
];
const section = (id: number, content: number[]): number[] => [id, ...number(content.length), ...content];
const name = (text: string): number[] => [text.length, ...Buffer.from(text)];

/** LEB128. Below 64 in each last group, so that a signed reader finds the same. */
function number(value: number): number[] {
  return value < 0x40 ? [value] : [(value & 0x7f) | 0x80, ...number(value >>> 7)];
}

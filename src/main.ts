#!/usr/bin/env node
/**
 * The entry: hands the arguments to the command line and ends with its exit code.
 *
 * @packageDocumentation
 */
import { setFlagsFromString } from 'node:v8';
import { run } from './cli/run.ts';

// V8 lets the heap grow to several times what is alive before it looks what is not. A relay shares its machine with the applications it serves: here it
// looks once half as much again has come. A long queue that drains at full speed takes two thirds of the memory so, at the same speed.
setFlagsFromString('--heap-growing-percent=50');

process.exitCode = await run(process.argv.slice(2));

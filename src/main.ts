#!/usr/bin/env node
/**
 * The entry: hands the arguments to the command line and ends with its exit code.
 *
 * @packageDocumentation
 */
import { run } from './cli/run.ts';

process.exitCode = await run(process.argv.slice(2));

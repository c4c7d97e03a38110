/**
 * The entry: hands the arguments to the command line and ends with its exit code. src/launch.ts is what comes before it in a build.
 *
 * @packageDocumentation
 */
import { run } from './cli/run.ts';

void run(process.argv.slice(2)).then((code) => {
  process.exitCode = code;
});

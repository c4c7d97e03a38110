/**
 * `postern fetch list|run|reset|pause|resume`: the fetch rules of the relay that runs.
 *
 * @packageDocumentation
 */
import { controlOf } from '../app/running-relay.ts';
import type { FetchControl, FetchView } from '../core/ports/fetch-control.ts';
import { type Command, EXIT } from './command.ts';
import { type FetchRequest, fetchText, readFetchRequest } from './fetch-arguments.ts';
import { loadForCommand, printJson } from './load.ts';
import { reportingProblems } from './report.ts';

export const fetchCommand: Command = {
  async run(invocation) {
    const request = readFetchRequest(invocation);
    if (request.kind === 'mistake') {
      process.stderr.write(`postern: ${request.what}\n`);
      return EXIT.usage;
    }
    const loaded = await loadForCommand(invocation);
    if ('exitCode' in loaded) return loaded.exitCode;
    const { isJson } = invocation;
    return reportingProblems(isJson, async () => {
      const views = await execute(request, controlOf(loaded.config).fetch);
      if (isJson) printJson(views);
      else process.stdout.write(fetchText(views));
      return EXIT.ok;
    });
  },
};

/** @throws ProblemError */
async function execute(request: Exclude<FetchRequest, { kind: 'mistake' }>, rules: FetchControl): Promise<readonly FetchView[]> {
  switch (request.kind) {
    case 'list':
      return rules.list();
    case 'run':
      return [await rules.run(request.rule, request.isAside)];
    case 'reset':
      return [await rules.reset(request.rule)];
    case 'pause':
    case 'resume':
      return [await rules.setPaused(request.rule, request.kind === 'pause')];
    default:
      return request satisfies never;
  }
}

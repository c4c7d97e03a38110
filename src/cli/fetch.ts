/**
 * `postern fetch list|run|reset|pause|resume`: the fetch rules of the relay that runs.
 *
 * @packageDocumentation
 */
import { controlOf } from '../app/running-relay.ts';
import type { FetchControl, FetchView } from '../core/ports/fetch-control.ts';
import { EXIT } from './command.ts';
import { type FetchRequest, fetchText, readFetchRequest } from './fetch-arguments.ts';
import { printJson } from './load.ts';
import { requested } from './requested.ts';

export const fetchCommand = requested(readFetchRequest, async (request, config, isJson) => {
  const views = await execute(request, controlOf(config).fetch);
  if (isJson) printJson(views);
  else process.stdout.write(fetchText(views));
  return EXIT.ok;
});

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

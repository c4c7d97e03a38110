/**
 * `postern trace start|list|show|stop`: look over the shoulder of one client, account or message of the relay that runs.
 *
 * @packageDocumentation
 */
import { controlOf, type RunningRelay } from '../app/running-relay.ts';
import { seconds } from '../core/clock.ts';
import { systemClock } from '../platform/system-clock.ts';
import { EXIT } from './command.ts';
import { printJson } from './load.ts';
import { requested } from './requested.ts';
import { linesText, readTraceRequest, type TraceRequest, tracesText } from './trace-arguments.ts';

const LOOK_EVERY = seconds(1);

export const trace = requested(readTraceRequest, async (request, config, isJson) => {
  await execute(request, controlOf(config), isJson);
  return EXIT.ok;
});

/** @throws ProblemError */
async function execute(request: Exclude<TraceRequest, { kind: 'mistake' }>, relay: RunningRelay, isJson: boolean): Promise<void> {
  switch (request.kind) {
    case 'start': {
      const started = await relay.startTrace(request.subject, request.duration);
      if (isJson) printJson(started);
      else process.stdout.write(`${tracesText([started])}\npostern trace show ${started.id} --follow\n`);
      return;
    }
    case 'list': {
      const traces = await relay.traces();
      if (isJson) printJson(traces);
      else process.stdout.write(tracesText(traces));
      return;
    }
    case 'stop':
      await relay.removeTrace(request.id);
      if (isJson) printJson({ removed: true });
      return;
    default:
      await show(request, relay, isJson);
  }
}

/** With `--json`, one object a line. */
async function show({ id, isFollowed }: Extract<TraceRequest, { kind: 'show' }>, relay: RunningRelay, isJson: boolean): Promise<void> {
  for (let after = 0; ; ) {
    const { trace: state, lines } = await relay.readTrace(id, after);
    process.stdout.write(isJson ? lines.map((line) => `${JSON.stringify(line)}\n`).join('') : linesText(lines));
    after = lines.at(-1)?.number ?? after;
    if (!isFollowed || !state.isListening) return;
    await new Promise<void>((resolve) => void systemClock.startTimer(LOOK_EVERY, resolve));
  }
}

/**
 * `postern queue list|show|retry|hold|release|drop|export`: look at accepted mail that waits, and change what becomes of it.
 *
 * Works while the relay runs (through its control socket) and while it does not.
 *
 * @packageDocumentation
 */
import { type FileHandle, open, unlink } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type OpenQueue, withQueue } from '../app/queue-access.ts';
import { systemClock } from '../platform/system-clock.ts';
import { EXIT } from './command.ts';
import { printJson } from './load.ts';
import { type QueueRequest, readQueueRequest } from './queue-arguments.ts';
import { changeText, itemText, listingText } from './queue-text.ts';
import { requested } from './requested.ts';

export const queue = requested(readQueueRequest, (request, config, isJson) =>
  withQueue(config, (opened) => execute(request, opened, isJson)),
);

/** @returns The exit code. @throws ProblemError */
async function execute(request: Exclude<QueueRequest, { kind: 'mistake' }>, opened: OpenQueue, isJson: boolean): Promise<number> {
  switch (request.kind) {
    case 'list': {
      const listing = await opened.queue.list(request.filter, request.limit);
      print(isJson, listing, () => listingText(listing, systemClock.now(), Object.keys(request.filter).length > 0));
      return EXIT.ok;
    }
    case 'show': {
      const item = await opened.queue.show(request.queueId);
      print(isJson, item, () => itemText(item, systemClock.now()));
      return EXIT.ok;
    }
    case 'change':
      return change(request, opened, isJson);
    default:
      return exportContent(request, opened);
  }
}

/** Not found is a problem only for what was named; a filter that matches nothing has done what it should. */
async function change(
  { verb, selection }: Extract<QueueRequest, { kind: 'change' }>,
  { queue: control, isServed }: OpenQueue,
  isJson: boolean,
): Promise<number> {
  const outcome = await control.change(verb, selection);
  print(isJson, outcome, () => (outcome.changed.length === 0 && outcome.unknown.length > 0 ? '' : changeText(verb, outcome, isServed)));
  for (const queueId of outcome.unknown) {
    process.stderr.write(`postern: there is no message ${queueId} in the queue; it may have been delivered or dropped meanwhile\n`);
  }
  return outcome.unknown.length === 0 ? EXIT.ok : EXIT.problem;
}

async function exportContent({ queueId, file }: Extract<QueueRequest, { kind: 'export' }>, { queue: control }: OpenQueue): Promise<number> {
  const content = Readable.from(control.export(queueId));
  if (file === undefined) await pipeline(content, process.stdout, { end: false });
  else await writeNewFile(file, content);
  return EXIT.ok;
}

/** Mail is private: mode 0600. A file that is there is not overwritten, and half a message is not left behind. */
async function writeNewFile(file: string, content: Readable): Promise<void> {
  let handle: FileHandle;
  try {
    handle = await open(file, 'wx', 0o600);
  } catch (error) {
    content.destroy();
    throw error;
  }
  try {
    await pipeline(content, handle.createWriteStream());
  } catch (error) {
    await unlink(file);
    throw error;
  }
}

function print(isJson: boolean, document: unknown, text: () => string): void {
  if (isJson) printJson(document);
  else process.stdout.write(text());
}

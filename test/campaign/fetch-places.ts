/**
 * Where a campaign's fetched messages go, one place for each sink, and what is there afterwards.
 *
 * @packageDocumentation
 */
import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { minutes } from '../../src/core/clock.ts';
import type { SinkSettings } from '../../src/core/fetch-rule.ts';
import { MailReceiver } from '../support/mail-receiver.ts';

export type SinkKind = SinkSettings['kind'];

/** A message at the place where it was to go. */
export interface Delivery {
  /** By which the place can recognise a repetition. */
  readonly key: string;
  /** SHA-256, in hex, of what follows the rule's trace field. */
  readonly digest: string;
}

/** The other side of a sink. */
export interface FetchPlace {
  readonly settings: SinkSettings;
  /** Everything that has come. */
  deliveries(): Promise<readonly Delivery[]>;
  close(): Promise<void>;
}

/** @param directory - An empty one. */
export type OpenPlace = (directory: string) => Promise<FetchPlace>;

/** Keeps a message once, however often it is offered. */
export const recognises = (kind: SinkKind): boolean => kind === 'maildir' || kind === 'directory';

/** Places that need nothing but this process. */
export const PLACES: Readonly<Record<SinkKind, OpenPlace>> = {
  maildir: async (directory) => ({
    settings: { kind: 'maildir', path: directory },
    deliveries: () => readFiles(join(directory, 'new'), (name) => name.split('.')[1]),
    close: async () => {},
  }),
  directory: async (directory) => ({
    settings: { kind: 'directory', path: directory },
    deliveries: () => readFiles(directory, (name) => /^(.*)\.json$/.exec(name)?.[1], '.eml'),
    close: async () => {},
  }),
  lmtp: () => receiver('lmtp'),
  smtp: () => receiver('smtp'),
  webhook,
  command,
};

export const digestOf = (content: Buffer): string => createHash('sha256').update(content).digest('hex');

/**
 * Everything behind the trace field of a rule, and the key that this names. Fields before that are those of servers on the way.
 *
 * @throws Error where there is none.
 */
export function behindTrace(content: Buffer): { readonly key: string; readonly rest: Buffer } {
  const text = content.toString('latin1', 0, 65_536);
  const [, trace, key] = /^(?:.*\r\n)*?(Received: .*\r\n .* \(Postern, fetch rule .*\r\n id ([0-9a-f]{40});.*\r\n)/.exec(text) ?? [];
  if (trace === undefined || key === undefined) throw new Error(`no trace field: ${text.slice(0, 500)}`);
  return { key, rest: content.subarray(text.indexOf(trace) + trace.length) };
}

export function deliveryOf(content: Buffer): Delivery {
  const { key, rest } = behindTrace(content);
  return { key, digest: digestOf(rest) };
}

/** @param keyOf - Undefined for files that are not looked at. @param extension - Of the file with the content, where it is another one. */
async function readFiles(directory: string, keyOf: (name: string) => string | undefined, extension?: string): Promise<Delivery[]> {
  const names = (await readdir(directory)).flatMap((name) => {
    const key = keyOf(name);
    return key === undefined ? [] : [{ name, key }];
  });
  return Promise.all(
    names.map(async ({ name, key }) => {
      const delivery = deliveryOf(await readFile(join(directory, extension === undefined ? name : `${key}${extension}`)));
      if (delivery.key !== key) throw new Error(`${name} holds the message with the key ${delivery.key}`);
      return delivery;
    }),
  );
}

/** Takes whatever it is given, as often as it is given. */
async function receiver(protocol: 'lmtp' | 'smtp'): Promise<FetchPlace> {
  const server = await MailReceiver.start({ protocol });
  return {
    settings: { kind: protocol, host: '127.0.0.1', port: server.port, to: ['app@fetch-kill.test'], tls: 'none' },
    deliveries: async () => server.received.map(({ octets }) => deliveryOf(octets)),
    close: () => server.close(),
  };
}

async function webhook(): Promise<FetchPlace> {
  const taken: Delivery[] = [];
  const server = createServer((request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('end', () => {
      const delivery = deliveryOf(Buffer.concat(parts));
      taken.push({ ...delivery, key: String(request.headers['idempotency-key']) });
      response.end();
    });
    request.on('error', () => undefined); // Killed in the middle of it, which is what the campaign does.
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return {
    settings: { kind: 'webhook', url, format: 'rfc822', timeoutMs: minutes(1) },
    deliveries: async () => taken,
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Each run of the program leaves a file of its own. */
async function command(directory: string): Promise<FetchPlace> {
  await mkdir(join(directory, 'part'), { recursive: true });
  const script = 'cat > "$0/part/$$" && mv "$0/part/$$" "$0/$POSTERN_KEY.$$"';
  return {
    settings: { kind: 'command', argv: ['sh', '-c', script, directory], directory, timeoutMs: minutes(1) },
    async deliveries() {
      // A program goes on when the process that has started it is killed.
      while ((await readdir(join(directory, 'part'))).length > 0) await pause(20);
      return readFiles(directory, (name) => /^([0-9a-f]{40})\.\d+$/.exec(name)?.[1]);
    },
    close: async () => {},
  };
}

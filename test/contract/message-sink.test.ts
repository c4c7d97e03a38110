import { createHash } from 'node:crypto';
import { createReadStream, mkdirSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { minutes } from '../../src/core/clock.ts';
import { openCommandSink } from '../../src/fetch/sinks/command-sink.ts';
import { DirectorySink } from '../../src/fetch/sinks/directory-sink.ts';
import { openLmtpSink, openSmtpSink } from '../../src/fetch/sinks/mail-server-sink.ts';
import { MaildirSink } from '../../src/fetch/sinks/maildir-sink.ts';
import { openWebhookSink } from '../../src/fetch/sinks/webhook-sink.ts';
import { dial } from '../../src/platform/dial.ts';
import { systemClock } from '../../src/platform/system-clock.ts';
import { MailReceiver } from '../support/mail-receiver.ts';
import { type HoldableSink, messageSinkContract, type SinkUnderTest, slowMessageSinkContract } from './message-sink.ts';

const parts = { clock: systemClock, dial };

function folder(): string {
  return mkdtempSync(join(tmpdir(), 'postern-sink-'));
}

/** Of the files of a folder, in the order of their names. */
async function digests(path: string, isMessage: (name: string) => boolean): Promise<string[]> {
  const all: string[] = [];
  for (const name of readdirSync(path).filter(isMessage).sort()) {
    const hash = createHash('sha256');
    for await (const chunk of createReadStream(join(path, name))) hash.update(chunk as Buffer);
    all.push(hash.digest('hex'));
  }
  return all;
}

async function mailServer(protocol: 'lmtp' | 'smtp'): Promise<HoldableSink> {
  const receiver = await MailReceiver.start({ protocol });
  const open = protocol === 'lmtp' ? openLmtpSink : openSmtpSink;
  return {
    sink: open({ host: '127.0.0.1', port: receiver.port, recipients: ['app@example.test'] }, parts),
    stored: async () => receiver.received.map(({ digest }) => digest),
    hold: () => receiver.hold(),
    close: () => receiver.close(),
  };
}

async function webhook(secret?: string): Promise<HoldableSink> {
  const taken: string[] = [];
  let held: IncomingMessage[] | undefined;
  const server = createServer((request, response) => {
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk)).on('error', () => undefined);
    if (held !== undefined) {
      request.pause();
      held.push(request);
    }
    request.on('end', () => {
      if (!request.complete) return;
      taken.push(hash.digest('hex'));
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`;
  return {
    sink: openWebhookSink({ url, format: 'rfc822', timeoutMs: minutes(2), ...(secret === undefined ? {} : { secret }) }, parts),
    stored: async () => taken,
    hold: () => {
      held = [];
      return () => {
        for (const request of held ?? []) request.resume();
        held = undefined;
      };
    },
    close: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function command(): Promise<SinkUnderTest> {
  const path = folder();
  const script = 'cat > "$0/.$POSTERN_KEY" && mv "$0/.$POSTERN_KEY" "$0/$POSTERN_KEY.eml"';
  const settings = { argv: ['sh', '-c', script, path], directory: '/', timeoutMs: minutes(2) } as const;
  return {
    sink: openCommandSink(settings, { clock: systemClock, scratch: join(path, 'scratch') }),
    stored: () => digests(path, (name) => name.endsWith('.eml') && !name.startsWith('.')),
    close: async () => rmSync(path, { recursive: true }),
  };
}

slowMessageSinkContract('lmtp', () => mailServer('lmtp'));
slowMessageSinkContract('smtp', () => mailServer('smtp'));
slowMessageSinkContract('webhook', () => webhook());
slowMessageSinkContract('webhook, signed', () => webhook('c0ntract-secret'));
messageSinkContract('command', command);
messageSinkContract('maildir', async () => {
  const path = folder();
  return {
    sink: new MaildirSink(path),
    stored: async () => {
      mkdirSync(join(path, 'new'), { recursive: true });
      return digests(join(path, 'new'), () => true);
    },
    close: async () => rmSync(path, { recursive: true }),
  };
});
messageSinkContract('directory', async () => {
  const path = folder();
  return {
    sink: new DirectorySink(path),
    stored: () => digests(path, (name) => name.endsWith('.eml')),
    close: async () => rmSync(path, { recursive: true }),
  };
});

/** A relay on the sandbox with a collector that looks closely: one trace per message, below the span that the application names. */
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { secretTraces } from '../../src/core/secret-traces.ts';
import { type OtlpReceiver, type ReceivedSpan, startOtlpReceiver } from '../support/otlp-receiver.ts';
import { postern } from '../support/process.ts';
import { type RelayOnSandbox, startRelayOnSandbox } from '../support/relay-on-sandbox.ts';
import { submit } from '../support/submit.ts';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const PARENT = '00f067aa0ba902b7';
const FIELD = `traceparent: 00-${TRACE}-${PARENT}-01\r\n`;
const CONTENT = 'Subject: canary-subject\r\n\r\ncanary-body\r\n';
const KEY = 'canary-collector-key-0123456789';
const LOGIN = { user: 'erp', pass: 'local-pässword 1' };

let receiver: OtlpReceiver;
let relay: RelayOnSandbox | undefined;
beforeEach(async () => {
  receiver = await startOtlpReceiver();
});
afterEach(async () => {
  await relay?.close();
  relay = undefined;
  await receiver.close();
});

async function start(changes: Parameters<typeof startRelayOnSandbox>[0] = {}): Promise<RelayOnSandbox> {
  const environment = {
    OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
    OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer%20${KEY}`,
    OTEL_SERVICE_NAME: 'mail',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=test',
  };
  relay = await startRelayOnSandbox({ environment, ...changes });
  return relay;
}

/** What waits is sent at the end, so nothing has to be waited for. */
async function stop(): Promise<void> {
  await relay?.close();
  relay = undefined;
  expect(receiver.faults).toEqual([]);
}

const named = (name: string): ReceivedSpan[] => receiver.spans.filter((span) => span.name === name);

async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 600 && !isSo(); turn += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(isSo()).toBe(true);
}

describe('traces of a relay', () => {
  it.each(['direct', 'auto', 'queue'] as const)('are one per message, %s, with the span of the application above', async (mode) => {
    const running = await start({ mode });
    expect((await submit({ port: running.port, login: LOGIN, content: FIELD + CONTENT })).code).toBe(250);
    expect((await submit({ port: running.port, login: LOGIN, content: CONTENT })).code).toBe(250);
    await until(() => running.sandbox.messages.list().length === 2 && running.log.of('message-relayed').length === 2);
    await stop();
    const traces = new Map(named('message').map((span) => [span.traceId, span]));
    expect(traces.size).toBe(2);
    expect(traces.get(TRACE)).toMatchObject({ parentSpanId: PARENT, kind: 2, flags: 0x301 });
    for (const [traceId, root] of traces) {
      const below = receiver.spans.filter((span) => span.traceId === traceId && span !== root);
      expect(below.map(({ name }) => name).sort()).toEqual(['accept', 'relay']);
      expect(below.every(({ parentSpanId }) => parentSpanId === root.spanId)).toBe(true);
    }
    expect(receiver.spans).toHaveLength(6);
    expect(receiver.resources[0]).toMatchObject({ 'service.name': 'mail', 'deployment.environment.name': 'test' });
    expect(receiver.headers[0]?.authorization).toBe(`Bearer ${KEY}`);
  });

  it('go on over a failed attempt and a restart, and leave the field in the message', async () => {
    const running = await start({ mode: 'queue' });
    running.sandbox.faults.submission.next.push({ stage: 'mail', kind: 'reply', reply: '451 4.3.2 Not now', times: 1 });
    await submit({ port: running.port, login: LOGIN, content: FIELD + CONTENT });
    await until(() => running.log.of('message-deferred').length === 1);
    await running.restart();
    const [{ queueId = '' } = {}] = running.log.of('message-deferred');
    await postern(['queue', '--config', join(running.folder, 'postern.yaml'), 'retry', queueId]).end();
    await until(() => running.sandbox.messages.list().length === 1 && running.log.of('message-relayed').length === 1);
    const [stored] = running.sandbox.messages.list();
    expect(running.sandbox.messages.content(stored?.id ?? '')?.toString()).toContain(`\r\n${FIELD}Subject:`);
    await stop();
    expect(new Set(receiver.spans.map(({ traceId }) => traceId))).toEqual(new Set([TRACE]));
    const [root] = named('message');
    expect(named('relay').map(({ parentSpanId, status }) => [parentSpanId, status.code])).toEqual([
      [root?.spanId, 2],
      [root?.spanId, undefined],
    ]);
  });

  it('say when a message was refused', async () => {
    const running = await start();
    running.sandbox.faults.submission.next.push({ stage: 'mail', kind: 'reply', reply: '550 5.7.1 canary-reply', times: 1 });
    expect((await submit({ port: running.port, login: LOGIN })).code).toBe(550);
    await until(() => running.log.of('session-ended').length === 1);
    await stop();
    expect(named('message')[0]?.status.code).toBe(2);
    expect(named('relay')[0]?.attributes).toContainEqual({ key: 'smtp.reply.code', value: { intValue: '550' } });
  });

  it('hold neither secrets, nor addresses, nor anything of a message', async () => {
    const running = await start({ mode: 'auto' });
    await submit({ port: running.port, login: LOGIN, content: FIELD + CONTENT });
    await submit({ port: running.port, login: { ...LOGIN, pass: 'canary-wrong-password' } });
    const { secrets, log, scrubber } = running;
    await stop();
    expect(receiver.spans).toHaveLength(3);
    const sent = receiver.bodies.join('\n');
    for (const trace of [...secrets, KEY, 'canary', 'someone@', 'billing@'].flatMap((secret) => [secret, ...secretTraces(secret)])) {
      expect(sent).not.toContain(trace);
    }
    const lines = log.lines.map((line) => scrubber.scrub(JSON.stringify(line))).join('\n');
    for (const trace of [KEY, ...secretTraces(KEY)]) expect(lines).not.toContain(trace);
    expect(scrubber.scrub(`Bearer ${KEY}`)).not.toContain(KEY);
  });

  it('hold up neither mail nor the end where the collector never answers', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)));
    await new Promise<void>((resolve) => void silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    const running = await start({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` } });
    expect((await submit({ port: running.port, login: LOGIN })).code).toBe(250);
    await stop();
    expect(sockets).toHaveLength(1);
    for (const socket of sockets) socket.destroy();
    silent.close();
  });

  it('are off without an endpoint, and where the variables make no sense that is said', async () => {
    const running = await start({ environment: { OTEL_EXPORTER_OTLP_ENDPOINT: 'nonsense' } });
    expect(running.log.of('traces-off')).toMatchObject([{ level: 'error', problem: { code: 'TRACES_MISCONFIGURED' } }]);
    expect((await submit({ port: running.port, login: LOGIN })).code).toBe(250);
    await stop();
    relay = await startRelayOnSandbox();
    expect(relay.log.of('traces-on')).toEqual([]);
  });
});

/** What servers do to a batch, and what is read of the environment. */
import { once } from 'node:events';
import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { type EpochMs, milliseconds, seconds } from '../../../src/core/clock.ts';
import { ProblemError } from '../../../src/core/problem.ts';
import { type Environment, traceSettings } from '../../../src/observability/otel-environment.ts';
import { OtlpHttp } from '../../../src/observability/otlp-http.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';
import type { Span } from '../../../src/observability/span.ts';
import { systemClock } from '../../../src/platform/system-clock.ts';

const CANARY = 'canary-account-secret-0123456789';
const at = 1_795_000_000_000 as EpochMs;
const SPAN: Span = {
  traceId: '1',
  spanId: '2',
  name: 'relay',
  kind: 'client',
  begin: at,
  end: at,
  attributes: { 'postern.account': CANARY },
};

const servers: Server[] = [];
const sinks: OtlpHttp[] = [];
afterEach(async () => {
  for (const sink of sinks.splice(0)) await sink.close();
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

async function serve(respond: RequestListener): Promise<string> {
  const server = createServer(respond).listen(0, '127.0.0.1');
  servers.push(server);
  await once(server, 'listening');
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/traces`;
}

function sinkAt(url: string, deadline = seconds(10)): OtlpHttp {
  const scrubber = new Scrubber();
  scrubber.add(CANARY);
  const sink = new OtlpHttp({ url: new URL(url), headers: { 'x-key': 'k' }, deadline, resource: {}, clock: systemClock, scrubber });
  sinks.push(sink);
  return sink;
}

const answering = async (status: number, headers: Record<string, string> = {}): Promise<OtlpHttp> =>
  sinkAt(await serve((_, response) => response.writeHead(status, headers).end('no')));

describe('a batch', () => {
  it('is posted without any known secret', async () => {
    let body = '';
    const url = await serve((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      request.on('end', () => response.end('{}'));
    });
    expect(await sinkAt(url).send([SPAN])).toEqual({ kind: 'taken' });
    expect(body).toContain('"postern.account"');
    expect(body).not.toContain(CANARY);
  });

  it.each([400, 401, 404, 302, 500])('is refused for good with %i', async (status) => {
    expect(await (await answering(status)).send([SPAN])).toMatchObject({ kind: 'refused' });
  });

  it.each([429, 502, 503, 504])('is to come again with %i', async (status) => {
    expect(await (await answering(status)).send([SPAN])).toMatchObject({ kind: 'later' });
  });

  it('is to come again when the server says', async () => {
    expect(await (await answering(429, { 'retry-after': '7' })).send([SPAN])).toMatchObject({ kind: 'later', after: 7_000 });
    expect(await (await answering(503, { 'retry-after': 'soon' })).send([SPAN])).not.toHaveProperty('after');
    const past = { 'retry-after': 'Mon, 01 Jan 2024 00:00:00 GMT' };
    expect(await (await answering(503, past)).send([SPAN])).toMatchObject({ after: 0 });
  });

  it('is taken though the answer has no end', async () => {
    const url = await serve((_, response) => {
      response.writeHead(200);
      const more = (): void => {
        while (!response.destroyed && response.write(Buffer.alloc(65_536)));
        if (!response.destroyed) response.once('drain', more);
      };
      more();
    });
    expect(await sinkAt(url).send([SPAN])).toEqual({ kind: 'taken' });
  });

  it('is to come again where nobody answers in time, or listens, or speaks HTTP', async () => {
    const silent = await serve(() => undefined);
    expect(await sinkAt(silent, milliseconds(50)).send([SPAN])).toMatchObject({
      kind: 'later',
      cause: expect.stringContaining('no answer'),
    });
    expect(await sinkAt('http://127.0.0.1:1/').send([SPAN])).toMatchObject({ kind: 'later' });
    const rude = await serve((request) => request.socket.end('220 mail.test ESMTP\r\n'));
    expect(await sinkAt(rude).send([SPAN])).toMatchObject({ kind: 'later', cause: expect.stringContaining('does not speak HTTP') });
  });

  it('under way is cut by the end', async () => {
    let arrived: () => void = () => undefined;
    const arrival = new Promise<void>((resolve) => (arrived = resolve));
    const sink = sinkAt(await serve(() => arrived()));
    const sending = sink.send([SPAN]);
    await arrival;
    await sink.close();
    expect(await sending).toMatchObject({ kind: 'later' });
  });
});

describe('the environment', () => {
  const ENDPOINT = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector.test:4318' };

  it.each<[string, Environment]>([
    ['without an endpoint', { OTEL_SERVICE_NAME: 'mail' }],
    ['with an empty one', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
    ['where it is disabled', { ...ENDPOINT, OTEL_SDK_DISABLED: 'TRUE' }],
    ['without an exporter', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'none' }],
  ])('switches nothing on %s', (_how, environment) => {
    expect(traceSettings(environment)).toBeUndefined();
  });

  it('says where to, as what, and with which headers', () => {
    const settings = traceSettings({
      ...ENDPOINT,
      OTEL_EXPORTER_OTLP_HEADERS: 'api-key=a%20b%3D, X-Tenant=t,host=evil.test',
      OTEL_RESOURCE_ATTRIBUTES: 'service.name=other,team=mail%2Cpost',
      OTEL_SERVICE_NAME: 'mail',
      OTEL_EXPORTER_OTLP_TIMEOUT: '2500',
    });
    expect(settings?.url.href).toBe('http://collector.test:4318/v1/traces');
    expect(settings?.headers).toEqual({ 'api-key': 'a b=', 'x-tenant': 't' });
    expect(settings?.resource).toMatchObject({ 'service.name': 'mail', team: 'mail,post' });
    expect(settings?.deadline).toBe(2_500);
  });

  it('takes the endpoint of traces as it is, and below a path that of all signals', () => {
    const own = traceSettings({ ...ENDPOINT, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://traces.test/in?key=1' });
    expect(own?.url.href).toBe('https://traces.test/in?key=1');
    expect(traceSettings({ OTEL_EXPORTER_OTLP_ENDPOINT: 'https://c.test/otlp/' })?.url.href).toBe('https://c.test/otlp/v1/traces');
  });

  it.each<[string, Environment]>([
    ['OTEL_EXPORTER_OTLP_ENDPOINT', { OTEL_EXPORTER_OTLP_ENDPOINT: 'collector:4317' }],
    ['OTEL_EXPORTER_OTLP_ENDPOINT', { OTEL_EXPORTER_OTLP_ENDPOINT: `https://user:${CANARY}@c.test` }],
    ['OTEL_EXPORTER_OTLP_PROTOCOL', { ...ENDPOINT, OTEL_EXPORTER_OTLP_PROTOCOL: 'grpc' }],
    ['OTEL_EXPORTER_OTLP_HEADERS', { ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: CANARY }],
    ['OTEL_EXPORTER_OTLP_HEADERS', { ...ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS: `key=${CANARY}%0d%0aX: y` }],
    ['OTEL_EXPORTER_OTLP_TIMEOUT', { ...ENDPOINT, OTEL_EXPORTER_OTLP_TIMEOUT: '10s' }],
    ['OTEL_RESOURCE_ATTRIBUTES', { ...ENDPOINT, OTEL_RESOURCE_ATTRIBUTES: 'a=%zz' }],
    ['OTEL_TRACES_EXPORTER', { ...ENDPOINT, OTEL_TRACES_EXPORTER: 'zipkin' }],
    ['OTEL_TRACES_SAMPLER', { ...ENDPOINT, OTEL_TRACES_SAMPLER: 'jaeger_remote' }],
    ['OTEL_TRACES_SAMPLER_ARG', { ...ENDPOINT, OTEL_TRACES_SAMPLER_ARG: '2' }],
  ])('that makes no sense is named, without its value: %s', (name, environment) => {
    let thrown: unknown;
    try {
      traceSettings(environment);
    } catch (error) {
      thrown = error;
    }
    if (!(thrown instanceof ProblemError)) throw new Error(`not refused: ${String(thrown)}`);
    expect(thrown.problem.code).toBe('TRACES_MISCONFIGURED');
    expect(thrown.problem.cause).toMatch(new RegExp(`^${name}: `));
    expect(JSON.stringify(thrown.problem)).not.toContain(CANARY);
  });
});

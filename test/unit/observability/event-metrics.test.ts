/** From log events to numbers. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import type { DurationMs } from '../../../src/core/clock.ts';
import type { CounterName, HistogramName } from '../../../src/core/metric.ts';
import type { LogFields, LogLevel } from '../../../src/core/ports/log.ts';
import type { Metrics } from '../../../src/core/ports/metrics.ts';
import { problem } from '../../../src/core/problem.ts';
import { COUNTED_EVENTS, countEvents } from '../../../src/observability/event-metrics.ts';
import { type LogObserver, observedLog } from '../../../src/observability/observed-log.ts';
import { MemoryLog } from '../../support/memory-log.ts';

class Recorder implements Metrics {
  readonly counted: unknown[] = [];
  readonly observed: unknown[] = [];

  add(name: CounterName, labels: object, by = 1): void {
    this.counted.push({ name, ...labels, by });
  }

  observe(name: HistogramName, labels: object, seconds: number): void {
    this.observed.push({ name, ...labels, seconds });
  }
}

let recorder: Recorder;

beforeEach(() => {
  recorder = new Recorder();
});

function say(fields: Omit<LogFields, 'durationMs'> & { durationMs?: number }, level: LogLevel = 'info'): void {
  countEvents(recorder)(level, fields as LogFields & { durationMs: DurationMs }, '');
}

describe('the table of events', () => {
  it('has only names that some room logs', () => {
    const root = join(import.meta.dirname, '../../../src');
    const source = readdirSync(root, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !name.endsWith('event-metrics.ts'))
      .map((name) => readFileSync(join(root, name), 'utf8'))
      .join('\n');
    const isLogged = (event: string): boolean =>
      source.includes(`'${event}'`) || (event === 'queue-drop' && source.includes('`queue-${verb}`'));
    expect(COUNTED_EVENTS.filter((event) => !isLogged(event))).toEqual([]);
  });

  it('counts a relayed message, its recipients and its duration', () => {
    say({ event: 'message-relayed', account: 'billing', forwardPaths: ['a@b.c', 'd@e.f'], durationMs: 1500 });
    expect(recorder.counted).toEqual([
      { name: 'postern_messages_total', account: 'billing', outcome: 'relayed', by: 1 },
      { name: 'postern_recipients_relayed_total', account: 'billing', by: 2 },
    ]);
    expect(recorder.observed).toEqual([{ name: 'postern_relay_seconds', account: 'billing', seconds: 1.5 }]);
  });

  it.each([
    ['250 2.0.0 Queued', 'accepted'],
    ['451 4.3.0 Later', 'deferred'],
    ['554 5.7.1 No', 'refused'],
  ])('sorts the answer %s', (reply, answer) => {
    say({ event: 'message-answered', client: 'erp', listener: 'l', reply, durationMs: 20 }, 'debug');
    expect(recorder.counted).toEqual([{ name: 'postern_answers_total', client: 'erp', answer, by: 1 }]);
    expect(recorder.observed).toEqual([{ name: 'postern_accept_seconds', client: 'erp', seconds: 0.02 }]);
  });

  it('tells a refusal of the listener from one of the upstream', () => {
    say({ event: 'message-refused', account: 'billing', listener: 'l', problem: problem('MESSAGE_TOO_LARGE') }, 'warn');
    expect(recorder.counted).toEqual([
      { name: 'postern_log_lines_total', level: 'warn', by: 1 },
      { name: 'postern_refusals_total', listener: 'l', code: 'MESSAGE_TOO_LARGE', by: 1 },
    ]);
    say({ event: 'message-refused', account: 'billing', problem: problem('UPSTREAM_REFUSED') });
    expect(recorder.counted).toContainEqual({ name: 'postern_messages_total', account: 'billing', outcome: 'refused', by: 1 });
  });

  it.each([
    ['CLIENT_UNKNOWN', 'unknown'],
    ['CLIENT_PASSWORD_WRONG', 'password'],
    ['CLIENT_THROTTLED', 'throttled'],
  ] as const)('counts a failed login: %s', (code, reason) => {
    say({ event: 'login-refused', listener: 'l', problem: problem(code) }, 'debug');
    expect(recorder.counted).toEqual([{ name: 'postern_auth_failures_total', listener: 'l', reason, by: 1 }]);
  });

  it('counts tries to get a token by their outcome', () => {
    say({ event: 'token-obtained', account: 'a', durationMs: 100 });
    say({ event: 'token-restored', account: 'a', durationMs: 1 });
    say({ event: 'token-failed', account: 'a', durationMs: 200, problem: problem('TOKEN_ENDPOINT_BUSY') });
    expect(recorder.counted).toEqual(
      ['obtained', 'restored', 'TOKEN_ENDPOINT_BUSY'].map((result) => ({
        name: 'postern_token_requests_total',
        account: 'a',
        result,
        by: 1,
      })),
    );
    expect(recorder.observed).toHaveLength(2);
  });

  it('leaves events alone that it does not know, and names of Object', () => {
    say({ event: 'constructor' });
    say({ event: 'ready' });
    expect(recorder.counted).toEqual([]);
  });
});

describe('an observed log', () => {
  it('passes everything on, and everything to its observers, those that come later too', () => {
    const inner = new MemoryLog();
    const heard: unknown[] = [];
    const observers: LogObserver[] = [];
    const log = observedLog(inner, observers);
    log.info({ event: 'before' }, 'm');
    observers.push((level, fields, message) => heard.push([level, fields.event, message]));
    for (const level of ['error', 'warn', 'info', 'debug', 'trace'] as const) log[level]({ event: level }, 'text');
    expect(inner.lines.map(({ level, event }) => [level, event]).slice(1)).toEqual(heard.map((entry) => (entry as unknown[]).slice(0, 2)));
    expect(heard).toHaveLength(5);
  });

  it('hears trace where its own log does, or an observer listens', () => {
    const quiet = Object.assign(new MemoryLog(), { hearsTrace: false });
    let isListening = false;
    const log = observedLog(quiet, [], () => isListening);
    expect(log.hearsTrace).toBe(false);
    isListening = true;
    expect(log.hearsTrace).toBe(true);
    expect(observedLog(new MemoryLog(), [], () => false).hearsTrace).toBe(true);
  });
});

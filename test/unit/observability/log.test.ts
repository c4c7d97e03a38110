/** Which lines are written, and what they are made of. */
import { describe, expect, it } from 'vitest';
import { milliseconds } from '../../../src/core/clock.ts';
import type { LogFields, LogLevel } from '../../../src/core/ports/log.ts';
import { createLog, type LogSettings } from '../../../src/observability/log.ts';
import { Scrubber } from '../../../src/observability/scrubber.ts';

const LEVELS = ['error', 'warn', 'info', 'debug', 'trace'] as const satisfies readonly LogLevel[];

function open(level: LogSettings['level']) {
  const lines: string[] = [];
  return { lines, log: createLog({ level, format: 'json' }, new Scrubber(), { write: (line) => void lines.push(line) }) };
}

describe('the level of the log', () => {
  it.each(LEVELS.map((level, rank) => [level, LEVELS.slice(0, rank + 1)] as const))('%s writes %j', (level, written) => {
    const { log, lines } = open(level);
    for (const each of LEVELS) log[each]({ event: 'e' }, 'm');
    expect(lines.map((line) => (JSON.parse(line) as { level: string }).level)).toEqual(written);
    expect(log.hearsTrace).toBe(level === 'trace');
  });

  it('may be changed while it is written to, and the form of the lines with it', () => {
    const { log, lines } = open('warn');
    log.info({ event: 'e' }, 'unseen');
    log.adjust({ level: 'trace', format: 'json' });
    expect(log.hearsTrace).toBe(true);
    log.trace({ event: 'e' }, 'seen');
    log.adjust({ level: 'info', format: 'pretty' });
    expect(log.hearsTrace).toBe(false);
    log.debug({ event: 'e' }, 'unseen');
    log.info({ event: 'e' }, 'for people');
    expect(lines).toHaveLength(2);
    expect(lines[0]).toContain('"message":"seen"');
    expect(lines[1]).toMatch(/INFO {2}for people/);
  });

  it('keeps a line below it from being looked at', () => {
    const { log, lines } = open('info');
    const fields: LogFields = {
      event: 'e',
      get reply() {
        return expect.fail('nobody reads it');
      },
    };
    log.debug(fields, 'm');
    log.trace(fields, 'm');
    expect(lines).toEqual([]);
  });
});

it('a line begins with level and time and ends with the message; its fields are in the order of the list', () => {
  const { log, lines } = open('info');
  const texts = { reply: 'a "b" \\ \n\u0001 é', reversePath: 'x'.repeat(101), user: `"${'y'.repeat(100)}` };
  log.info(
    { ...texts, forwardPaths: ['a@x.test', 'b@x.test'], durationMs: milliseconds(1.5), size: 7, event: 'e', attempt: 1 },
    'said "so"',
  );
  const [line = ''] = lines;
  const time = /"time":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)"/.exec(line)?.[1];
  expect(line).toBe(
    `{"level":"info","time":"${time}","event":"e","user":"\\"${'y'.repeat(100)}","reversePath":"${'x'.repeat(101)}",` +
      '"forwardPaths":["a@x.test","b@x.test"],"size":7,"reply":"a \\"b\\" \\\\ \\n\\u0001 é","durationMs":2,"attempt":1,"message":"said \\"so\\""}\n',
  );
});

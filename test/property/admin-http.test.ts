/** No input from the network ends, confuses or grows the admin port: mutated requests, on a connection each, and it serves as before. */
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { type AdminStage, ask, closeAdminStages, openAdminStage, talk } from '../support/admin-stage.ts';
import { accept, newMessage } from '../support/spool-messages.ts';

afterEach(closeAdminStages);

const SEEDS = [
  'GET /api/v1/status HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic YWRtaW46eA==\r\n\r\n',
  'GET /api/v1/queue?limit=2&after=1.Q000000000000001 HTTP/1.1\r\nHost: localhost\r\nCookie: postern_session=abc\r\n\r\n',
  'POST /api/v1/queue/drop HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 22\r\n\r\n{"filter":{"code":1}}\n',
  'POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n4\r\n{"a"\r\n0\r\n\r\n',
  'DELETE /api/v1/traces/0123456789ab HTTP/1.1\r\nHost: [::1]:1\r\nOrigin: http://evil.example\r\nX-CSRF-Token: x\r\n\r\n',
  'GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n',
];

const PIECES = [
  '\r\n',
  '\r',
  '\n',
  '\0',
  ' ',
  ':',
  '%',
  '/../',
  '?',
  '#',
  'HTTP/1.1',
  'Host: x\r\n',
  'Content-Length: 9\r\n',
  '{',
  '"',
  '\u00ff',
  'A'.repeat(300),
];

interface Change {
  readonly at: number;
  readonly kind: 'delete' | 'insert' | 'repeat' | 'flip';
  readonly piece: string;
  readonly length: number;
}

const change: fc.Arbitrary<Change> = fc.record({
  at: fc.nat(200),
  kind: fc.constantFrom('delete', 'insert', 'repeat', 'flip'),
  piece: fc.oneof(fc.constantFrom(...PIECES), fc.string({ maxLength: 12, unit: 'binary' })),
  length: fc.integer({ min: 1, max: 24 }),
});

function mutate(text: string, { at, kind, piece, length }: Change): string {
  const from = at % (text.length + 1);
  const part = text.slice(from, from + length);
  const rest = text.slice(from + length);
  if (kind === 'delete') return text.slice(0, from) + rest;
  if (kind === 'insert') return text.slice(0, from) + piece + text.slice(from);
  if (kind === 'repeat') return text.slice(0, from) + part.repeat(3) + rest;
  return text.slice(0, from) + Array.from(part, (one) => String.fromCharCode(one.charCodeAt(0) ^ 32)).join('') + rest;
}

const requests = fc
  .tuple(fc.constantFrom(...SEEDS), fc.array(change, { maxLength: 4 }))
  .map(([seed, changes]) => changes.reduce(mutate, seed));

const isAnswer = (text: string): boolean => text === '' || /^HTTP\/1\.1 [2-5]\d\d /.test(text);

describe('the admin port', () => {
  it('answers or hangs up, whatever comes, and changes nothing for who may not', async () => {
    const stage: AdminStage = await openAdminStage();
    await accept(stage.spool, newMessage(1));
    await fc.assert(
      fc.asyncProperty(fc.array(requests, { minLength: 8, maxLength: 8 }), async (texts) => {
        const answers = await Promise.all(texts.map((text) => talk(stage, text, true)));
        expect(answers.filter((answer) => !isAnswer(answer))).toEqual([]);
        expect(answers.join('')).not.toMatch(/\bat .*\.(ts|js):\d+/);
      }),
      { numRuns: 150 },
    );
    expect(stage.log.of('defect')).toEqual([]);
    expect((await stage.spool.stats()).entries).toBe(1);
    expect((await ask(stage, 'GET', '/healthz')).status).toBe(200);
  }, 60_000);

  it('stands what an operator sends as well', async () => {
    const stage = await openAdminStage({ secret: 'none' });
    await fc.assert(
      fc.asyncProperty(fc.array(requests, { minLength: 8, maxLength: 8 }), async (texts) => {
        const answers = await Promise.all(texts.map((text) => talk(stage, text, true)));
        expect(answers.filter((answer) => !isAnswer(answer) || answer.startsWith('HTTP/1.1 500'))).toEqual([]);
      }),
      { numRuns: 150 },
    );
    expect(stage.log.of('defect')).toEqual([]);
  }, 60_000);
});

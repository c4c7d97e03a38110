import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SecretTraces, secretTraces } from '../../../src/core/secret-traces.ts';

const TOKEN = `eyJ0eXAiOiJKV1QifQ.${'Qx7-Rw_2kZ'.repeat(150)}.sig`;
const PASSWORD = 'p"a\\s% wörd+1';

describe('the traces of a secret', () => {
  it('are found in base64 of anything that holds it, wherever it begins, in both alphabets', () => {
    const text = fc.string({ unit: 'binary', maxLength: 12 });
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 6, maxLength: 40 }), text, text, (secret, before, after) => {
        for (const encoding of ['base64', 'base64url'] as const) {
          const encoded = Buffer.from(before + secret + after).toString(encoding);
          expect(secretTraces(secret).some((trace) => encoded.includes(trace))).toBe(true);
        }
      }),
    );
  });

  it('are none where the secret is so short that it may be a word', () => {
    expect(secretTraces('relay')).toEqual([]);
  });
});

describe('concealing', () => {
  const leaks: readonly [string, (secret: string) => string][] = [
    ['in clear', (secret) => secret],
    ['in a URL', (secret) => encodeURIComponent(secret)],
    ['in a URL, lower case', (secret) => encodeURIComponent(secret).replace(/%../g, (escape) => escape.toLowerCase())],
    ['in a form', (secret) => new URLSearchParams({ s: secret }).toString().slice(2)],
    ['in JSON', (secret) => JSON.stringify(secret).slice(1, -1)],
    ['in hex', (secret) => Buffer.from(secret).toString('hex').toUpperCase()],
    ['in AUTH PLAIN', (secret) => Buffer.from(`\0erp\0${secret}`).toString('base64')],
    ['in XOAUTH2', (secret) => Buffer.from(`user=a@b.test\u0001auth=Bearer ${secret}\u0001\u0001`).toString('base64')],
  ];

  it.each(leaks)('leaves nothing of a secret %s', (_name, leak) => {
    for (const secret of [TOKEN, PASSWORD]) {
      const clean = new SecretTraces(['another-secret', secret]).conceal(`refused: ${leak(secret)} (no)`);
      expect(clean).toContain('[secret]');
      for (const trace of secretTraces(secret)) expect(clean).not.toContain(trace);
      expect(clean).toMatch(/^refused: .* \(no\)$/);
    }
  });

  it('finds what was cut or folded', () => {
    const encoded = Buffer.from(`user=a@b.test\u0001auth=Bearer ${TOKEN}\u0001\u0001`).toString('base64');
    const traces = new SecretTraces([TOKEN]);
    for (let at = 64; at + 64 < encoded.length; at += 64) expect(traces.conceal(`x ${encoded.slice(at, at + 64)}`)).toBe('x [secret]');
  });

  it('leaves other texts as they are', () => {
    const text = 'trace id 0f3c9f0e-8d7e-4d4f-9a43-1f1f5a1c2b00, correlation id 5a7d1f6c-26f5-4cf5-9f57-000000000001 AADSTS7000215';
    expect(new SecretTraces([TOKEN, PASSWORD]).conceal(text)).toBe(text);
  });
});
